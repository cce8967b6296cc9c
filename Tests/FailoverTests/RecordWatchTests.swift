import Basics
import Failover
import Testing

@Suite("Who is in the records of an NFS server")
struct RecordWatchTests {
    /// The watch of a server with a lease of 10 s, whose changes are written.
    private final class Watched {
        private var watch = RecordWatch(lease: .seconds(10))

        func changes(_ clients: [SeenClient]) -> RecordWatch.Changes {
            let changes = watch.changes(clients)
            watch.wrote(changes)
            return changes
        }
    }

    private static func client(
        _ name: String, _ states: Int, after silence: UInt64? = 0, saysWhenDone: Bool = false
    ) -> SeenClient {
        SeenClient(
            name: name, states: states, saysWhenDone: saysWhenDone,
            silence: silence.map { .seconds($0) })
    }

    @Test("who has reclaimed something is added, once; who has come and holds nothing is not")
    func reclaimed() {
        let watch = Watched()
        #expect(watch.changes([]).isEmpty)
        #expect(watch.changes([Self.client("a", 0), Self.client("b", 0)]).isEmpty)
        #expect(watch.changes([Self.client("a", 2), Self.client("b", 0)]) == .init(adding: ["a"]))
        #expect(watch.changes([Self.client("a", 3), Self.client("b", 0)]).isEmpty)
    }

    @Test("a client that says when it has reclaimed all is the kernel's to record")
    func later() {
        let watch = Watched()
        #expect(watch.changes([Self.client("a", 2, saysWhenDone: true)]).isEmpty)
        #expect(watch.changes([]).isEmpty)
    }

    @Test("who closes everything stays: it may open again without the kernel's taking note")
    func closed() {
        let watch = Watched()
        #expect(watch.changes([Self.client("a", 1)]) == .init(adding: ["a"]))
        #expect(watch.changes([Self.client("a", 0)]).isEmpty)
    }

    @Test("who leaves is removed, and added again when it holds something again")
    func left() {
        let watch = Watched()
        #expect(watch.changes([Self.client("a", 1), Self.client("b", 1)]) == .init(adding: ["a", "b"]))
        #expect(watch.changes([Self.client("b", 1)]) == .init(removing: ["a"]))
        #expect(watch.changes([Self.client("a", 0), Self.client("b", 1)]).isEmpty)
        #expect(watch.changes([Self.client("a", 1), Self.client("b", 1)]) == .init(adding: ["a"]))
    }

    @Test(
        "who is silent is removed before its lease ends, when another may get its lock; back, it is added again"
    )
    func silent() {
        let watch = Watched()
        #expect(watch.changes([Self.client("a", 1)]) == .init(adding: ["a"]))
        #expect(watch.changes([Self.client("a", 1, after: 7)]).isEmpty)
        #expect(watch.changes([Self.client("a", 1, after: 8)]) == .init(removing: ["a"]))
        #expect(watch.changes([Self.client("a", 1, after: 9)]).isEmpty)
        #expect(watch.changes([Self.client("a", 1)]) == .init(adding: ["a"]))
    }

    @Test("where the kernel does not tell silence, a client stays as long as it is listed")
    func untold() {
        let watch = Watched()
        #expect(watch.changes([Self.client("a", 1, after: nil)]) == .init(adding: ["a"]))
        #expect(watch.changes([Self.client("a", 1, after: nil)]).isEmpty)
        #expect(watch.changes([]) == .init(removing: ["a"]))
    }

    @Test("what could not be written is asked for again")
    func notWritten() {
        let watch = RecordWatch(lease: .seconds(10))
        #expect(watch.changes([Self.client("a", 1)]) == .init(adding: ["a"]))
        #expect(watch.changes([Self.client("a", 1)]) == .init(adding: ["a"]))
    }
}
