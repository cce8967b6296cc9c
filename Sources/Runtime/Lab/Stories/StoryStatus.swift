import Basics
import ControlPlane

/// What one node says of the lab's group: the fields that stories wait for.
public struct StoryStatus: Sendable {
    private let group: JSONValue

    /// The first group of `tandem status --json`; nil when the text is none.
    init?(json text: String) {
        do {
            guard let group = try JSONValue.decode(Array(text.utf8))["groups"].elements.first else {
                return nil
            }
            self.group = group
        } catch {
            return nil
        }
    }

    /// A number of the volume, under the name that scripts use or the one that the daemon uses.
    private func count(_ name: String, _ other: String) -> UInt64 {
        UInt64(clamping: group["volume"][name].integer ?? group[other].integer ?? 0)
    }

    private func word(_ name: String) -> String { group[name].string ?? "?" }

    /// Where the plan of promoting or demoting is.
    private var failover: String { group["failover"]["state"].string ?? word("state") }
    /// Whether the node is Primary, its promotion complete.
    public var isPrimary: Bool { word("role") == "Primary" && failover == "primary" }
    /// DRBD's word for the state of the connection.
    public var connection: String { word("connection") }
    /// Bytes that this node's resyncs sent since its process started.
    public var resyncBytesSent: UInt64 { count("resync_bytes_sent", "resyncBytesSent") }
    /// Bytes that may differ between the copies now.
    public var dirtyBytes: UInt64 { count("dirty_bytes", "dirtyBytes") }
    /// Bytes that the last handshake marked from the activity logs.
    public var loggedBytes: UInt64 { count("logged_bytes", "loggedBytes") }

    /// Whether this node holds current data and replicates, with nothing left to copy.
    public var isSettled: Bool {
        word("disk") == "UpToDate" && connection == "Connected" && word("replication") == "Established"
            && dirtyBytes == 0
    }

    /// Whether this node was told that the other could not serve now.
    public var isPeerBlocked: Bool { group["peer"]["blocked"].boolean == true }

    /// For a line of a story.
    public var text: String {
        var text =
            "\(word("role")) \(word("disk")) \(connection) \(word("replication")), \(dirtyBytes) bytes dirty"
        if group["frozen"].boolean == true { text += ", frozen" }
        text += ", failover \(failover)"
        if let stuck = group["failover"]["stuck"].string ?? group["stuck"].string {
            text += ", stuck: \(stuck)"
        }
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
