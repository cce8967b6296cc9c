import Failover

/// What a group's thread is told by the others.
enum NodeGroupEvent: Sendable {
    case volume(VolumeReport)
    case arbiter(ArbiterNews)
    case peer(PeerNews)
    /// The performer has ended an attempt; nil for success.
    case performed(AttemptIdentifier, StepFailure?)
    /// The NFS server has something for the journal.
    case served(ServerNews)
    case verb(NodeVerb, NodeAnswer)
    /// The proxy was asked.
    case service(ProxyAnswer)
}

/// A line of the journal about the NFS server.
struct ServerNews: Sendable, Equatable {
    var name: String
    var text: String
}

/// What an operator, or the daemon's end, asks of a group.
enum NodeVerb: String, Sendable, CaseIterable {
    case up, down, promote, demote, switchover, connect, disconnect
    /// The daemon ends: hand over or demote, and stay in `copies`.
    case leaveForNow = "stop"
}

/// Whether a verb was obeyed, and a sentence. Called once, by the group's thread.
typealias NodeAnswer = @Sendable (_ isDone: Bool, _ text: String) -> Void
