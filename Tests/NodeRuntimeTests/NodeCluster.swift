import Basics
import Glibc
import LinuxSystem
import SecureChannel
import Settings
import Synchronization
import Telemetry
import Testing

@testable import NodeRuntime

/// A cluster's settings and what its nodes know, on loopback addresses of a test's own.
struct NodeCluster {
    let settings: Settings
    let secret: ClusterSecret

    /// Ports are drawn: tests of other processes run beside this one.
    init(
        folder: String = "/dev/shm", port: Int, more: String = "", secret: ClusterSecret = .generate()
    ) throws {
        settings = try Settings.parse(
            text: """
                cluster: test
                secret: \(folder)/secret
                state-directory: \(folder)/state
                run-directory: \(folder)/run
                nodes:
                  one: { address: 127.0.0.2, port: \(port) }
                  two: { address: 127.0.0.3, port: \(port) }
                witness: { address: 127.0.0.4, port: \(port) }
                \(more)
                groups:
                  files:
                    volume: { size: 16MiB, backing: \(folder)/data.img }
                """, file: "test.yaml")
        self.secret = secret
    }

    static func port() -> Int { 20_000 + Int(NodeStart.random() % 20_000) }

    func context(_ node: NodeIndex, secret other: ClusterSecret? = nil, journal: Journal) -> NodeContext {
        NodeContext(
            settings: settings, node: node, secret: other ?? secret,
            life: Mark(high: NodeStart.random(), low: NodeStart.random()), journal: journal)
    }
}

/// News of one kind, to be waited for.
final class News<Value: Sendable>: Sendable {
    private let seen = Mutex<[Value]>([])
    private let arrived: EventCounter

    init() throws { arrived = try EventCounter() }

    func take(_ value: Value) {
        seen.withLock { $0.append(value) }
        arrived.signal()
    }

    /// The first of those not taken yet that `match` accepts.
    func first<Found>(_ what: String, within limit: Interval = .seconds(20), _ match: (Value) -> Found?)
        throws
        -> Found
    {
        let deadline = Instant.now() + limit
        while true {
            let found: Found? = seen.withLock { values in
                for index in values.indices {
                    if let found = match(values[index]) {
                        values.removeFirst(index + 1)
                        return found
                    }
                }
                return nil
            }
            if let found { return found }
            var poll = PollSet()
            poll.add(arrived.descriptor.raw, .readable)
            guard try poll.wait(until: deadline) > 0 else {
                Issue.record("waited in vain for \(what)")
                throw Missing()
            }
            arrived.drain()
        }
    }

    struct Missing: Error {}
}

/// A journal whose lines can be waited for.
final class HeardJournal: Sendable {
    let journal = Journal(logger: nil)
    private let lines: News<String>

    init() throws {
        let lines = try News<String>()
        self.lines = lines
        let journal = journal
        _ = journal.observe { [weak journal] in
            if let last = journal?.events(limit: 1).last { lines.take(last.text) }
        }
    }

    /// Waits until a line contains `text`.
    func wait(for text: String) throws {
        try lines.first("a line that says '\(text)'") { $0.contains(text) ? () : nil }
    }
}
