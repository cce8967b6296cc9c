public import Quorum
public import Replication

/// Which faults a run may meet, and how often: a swarm, so that no fault hides another.
public struct Profile: Sendable {
    /// Deliberate faults of the machines, for the tests of the simulator itself.
    public var breaks: ReplicaBreaks = []
    public var quorumBreaks: QuorumBreaks = []
    /// The fdatasync that is left out.
    public var skippedSync: SyncPoint?
    /// Whether there is a witness; otherwise `arbiter: none`.
    public var hasArbiter = true
    /// Virtual seconds with faults.
    public var faultSeconds: UInt64 = 6

    public init() {}
}

/// The rates of one seed, drawn from it.
struct Swarm {
    var crash = 0
    var crashWitness = 0
    var loseWitnessDisk = 0
    var cut = 0
    var diskError = 0
    var operatorAction = 0
    var connectionBreak = 0
    var slowDisk = 0
    var actionCrash = 0
    var pause = 0
    var diskMicroseconds = 0
    var networkMicroseconds = 0
    var thinkMilliseconds = 0
    var logCapacity = 0
}
