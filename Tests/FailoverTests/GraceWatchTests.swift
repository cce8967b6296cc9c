import Basics
import Failover
import Testing

@Suite("The end of a grace period")
struct GraceWatchTests {
    private static let start = Instant(nanoseconds: 1_000_000_000_000)

    /// The watch, and the time since the start in milliseconds.
    private final class Watched {
        private var watch: GraceWatch

        init(_ recorded: ClientHoldings?) {
            watch = GraceWatch(recorded: recorded, at: GraceWatchTests.start)
        }

        var missing: [String]? { watch.missing }

        func mayEnd(_ held: ClientHoldings, isRecorded: Bool = true, at milliseconds: UInt64) -> Bool {
            watch.mayEnd(
                held, isRecorded: isRecorded, at: GraceWatchTests.start + .milliseconds(milliseconds))
        }
    }

    @Test("it ends when every client has what it had, and asks for nothing more")
    func everybodyBack() {
        let held = ClientHoldings(states: ["a": 2, "b": 1], hosts: ["c"], locks: 3)
        let watch = Watched(held)
        #expect(!watch.mayEnd(ClientHoldings(states: ["a": 1]), at: 500))
        #expect(watch.missing == ["a", "b", "c"])
        #expect(!watch.mayEnd(ClientHoldings(states: ["a": 2, "b": 1], locks: 2), at: 1000))
        #expect(watch.missing == ["c"])
        #expect(!watch.mayEnd(held, at: 1500))
        #expect(!watch.mayEnd(held, at: 3400))
        #expect(watch.mayEnd(held, at: 3500))
    }

    @Test("who goes on reclaiming is waited for, whatever the list says")
    func stillReclaiming() {
        let watch = Watched(ClientHoldings(states: ["a": 1]))
        for step in 1...20 {
            let held = ClientHoldings(states: ["a": step])
            #expect(!watch.mayEnd(held, at: UInt64(step) * 1500))
        }
        #expect(watch.mayEnd(ClientHoldings(states: ["a": 20]), at: 20 * 1500 + 2000))
    }

    @Test("a client that stays away keeps it open")
    func away() {
        let watch = Watched(ClientHoldings(states: ["a": 1, "b": 1]))
        let held = ClientHoldings(states: ["a": 5])
        for second in 1...90 { #expect(!watch.mayEnd(held, at: UInt64(second) * 1000)) }
        #expect(watch.missing == ["b"])
    }

    @Test("a lock that nobody has reclaimed keeps it open")
    func lockMissing() {
        let watch = Watched(ClientHoldings(hosts: ["c"], locks: 2))
        for second in 1...9 {
            #expect(!watch.mayEnd(ClientHoldings(hosts: ["c"], locks: 1), at: UInt64(second) * 1000))
        }
        #expect(watch.missing == ["1 locks"])
    }

    @Test("what was reclaimed and closed again counts")
    func closedSince() {
        let watch = Watched(ClientHoldings(states: ["a": 2], locks: 1))
        #expect(!watch.mayEnd(ClientHoldings(states: ["a": 2], locks: 1), at: 500))
        #expect(!watch.mayEnd(ClientHoldings(), at: 1000))
        #expect(watch.mayEnd(ClientHoldings(), at: 3000))
    }

    @Test(
        "while somebody who is here is not in the records it stays open: the next server would not know them")
    func notRecorded() {
        let watch = Watched(ClientHoldings(states: ["a": 1]))
        let held = ClientHoldings(states: ["a": 1])
        for second in 1...9 { #expect(!watch.mayEnd(held, isRecorded: false, at: UInt64(second) * 1000)) }
        #expect(watch.missing == [])
        #expect(watch.mayEnd(held, at: 9500))
    }

    @Test("nobody held anything: it ends after the quiet time; nothing is known: it is not ended")
    func nobody() {
        let watch = Watched(ClientHoldings(states: ["idle": 0]))
        #expect(!watch.mayEnd(ClientHoldings(), at: 1900))
        #expect(watch.mayEnd(ClientHoldings(), at: 2000))
        let blind = Watched(nil)
        #expect(!blind.mayEnd(ClientHoldings(), at: 80_000))
        #expect(blind.missing == nil)
    }
}
