import Basics
import ControlPlane

/// What one node says of the lab's group: the fields that stories wait for.
public struct StoryStatus: Sendable {
    private let group: GroupStatus

    /// The first group of `tandem status --json`; nil when the text is none.
    init?(json text: String) {
        do {
            guard let status = NodeStatus(json: try JSONValue.decode(Array(text.utf8))) else { return nil }
            guard let group = status.groups.first else { return nil }
            self.group = group
        } catch {
            return nil
        }
    }

    /// Whether the node is Primary, its promotion complete.
    public var isPrimary: Bool { group.role == "Primary" && group.failover.state == "primary" }
    /// DRBD's word for the state of the connection.
    public var connection: String { group.connection }
    /// Bytes that this node's resyncs sent since its process started.
    public var resyncBytesSent: UInt64 { group.volume?.resyncBytesSent ?? 0 }
    /// Bytes that may differ between the copies now.
    public var dirtyBytes: UInt64 { (group.volume?.dirtyBlocks ?? 0) * 4096 }
    /// Bytes that the last handshake marked from the activity logs.
    public var loggedBytes: UInt64 { group.volume?.loggedBytes ?? 0 }

    /// Whether this node holds current data and replicates, with nothing left to copy.
    public var isSettled: Bool {
        group.disk == "UpToDate" && group.connection == "Connected" && group.replication == "Established"
            && dirtyBytes == 0
    }

    /// For a line of a story.
    public var text: String {
        var text =
            "\(group.role) \(group.disk) \(group.connection) \(group.replication), \(dirtyBytes) bytes dirty"
        if group.isFrozen { text += ", frozen" }
        text += ", failover \(group.failover.state)"
        if let step = group.failover.step { text += " at \(step)" }
        if let stuck = group.failover.stuck { text += ", stuck: \(stuck)" }
        if let record = group.record {
            text +=
                "; epoch \(record.epoch), holder \(record.holder), copies \(record.copies.joined(separator: " "))"
        }
        if let request = group.arbiter.openRequest { text += ", asks for \(request)" }
        return text
    }
}

extension LabTopology {
    /// What a node says; nil when it is off or does not answer.
    public func status(of node: String) -> StoryStatus? {
        guard machine(node).first != nil else { return nil }
        do {
            let answer = try verb(["status", "--json"], on: node, limit: .seconds(3))
            return answer.status == 0 ? StoryStatus(json: answer.output) : nil
        } catch {
            // It died between the two questions: the same as off.
            return nil
        }
    }

    /// The node that says it is Primary.
    public func primary() -> String? { ["node1", "node2"].first { status(of: $0)?.isPrimary == true } }
}
