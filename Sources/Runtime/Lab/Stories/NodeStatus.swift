import Basics

/// What one node says of itself: the fields of `tandem status --json` that stories wait for.
///
/// The names of the fields stand here and nowhere else in the lab.
public struct NodeStatus: Sendable {
    private let group: JSONValue

    /// The first group of a status; nil when the text is none.
    init?(json text: String) {
        guard let whole = JSONValue(text), let group = whole["groups"].list.first else { return nil }
        self.group = group
    }

    public var isPrimary: Bool { group["role"].text == "Primary" }
    public var disk: String { group["disk"].text ?? "?" }
    public var connection: String { group["connection"].text ?? "?" }
    public var replication: String { group["replication"].text ?? "?" }
    /// Bytes that this node's resyncs sent since its process started.
    public var resyncBytesSent: UInt64 { count("resyncBytesSent") }
    /// Bytes that may differ between the copies now.
    public var dirtyBytes: UInt64 { count("dirtyBytes") }
    /// Bytes that the last handshake marked from the activity logs.
    public var loggedBytes: UInt64 { count("loggedBytes") }

    private func count(_ name: String) -> UInt64 { UInt64(group[name].number ?? 0) }

    /// Whether this node holds current data and replicates, with nothing left to copy.
    public var isSettled: Bool {
        disk == "UpToDate" && connection == "Connected" && replication == "Established" && dirtyBytes == 0
    }

    /// For a line of a story.
    public var text: String { "\(isPrimary ? "Primary" : "Secondary") \(disk) \(connection) \(replication)" }
}

extension LabTopology {
    /// What a node says; nil when it is off or does not answer.
    public func status(of node: String) -> NodeStatus? {
        guard machine(node).first != nil else { return nil }
        do {
            let answer = try verb(["status", "--json"], on: node, limit: .seconds(3))
            return answer.status == 0 ? NodeStatus(json: answer.output) : nil
        } catch {
            // It died between the two questions: the same as off.
            return nil
        }
    }

    /// The node that says it is Primary.
    public func primary() -> String? { ["node1", "node2"].first { status(of: $0)?.isPrimary == true } }
}
