import Basics
import Failover
import Testing

@Suite("The end of a grace period")
struct GraceWatchTests {
    private static let start = Instant(nanoseconds: 1_000_000_000_000)
    private static func at(_ milliseconds: UInt64) -> Instant { start + .milliseconds(milliseconds) }

    @Test("it ends when every client has what it had, and asks for nothing more")
    func everybodyBack() {
        let held = ClientHoldings(states: ["a": 2, "b": 1], hosts: ["c"], locks: 3)
        var watch = GraceWatch(recorded: held, at: Self.start)
        #expect(!watch.mayEnd(ClientHoldings(states: ["a": 1]), at: Self.at(500)))
        #expect(watch.missing == ["a", "b", "c"])
        #expect(!watch.mayEnd(ClientHoldings(states: ["a": 2, "b": 1], locks: 2), at: Self.at(1000)))
        #expect(watch.missing == ["c"])
        #expect(!watch.mayEnd(held, at: Self.at(1500)))
        #expect(!watch.mayEnd(held, at: Self.at(3400)))
        #expect(watch.mayEnd(held, at: Self.at(3500)))
    }

    @Test("who goes on reclaiming is waited for, whatever the list says")
    func stillReclaiming() {
        var watch = GraceWatch(recorded: ClientHoldings(states: ["a": 1]), at: Self.start)
        for step in 1...20 {
            let held = ClientHoldings(states: ["a": step])
            #expect(!watch.mayEnd(held, at: Self.at(UInt64(step) * 1500)))
        }
        #expect(watch.mayEnd(ClientHoldings(states: ["a": 20]), at: Self.at(20 * 1500 + 2000)))
    }

    @Test("a client that stays away keeps it open")
    func away() {
        var watch = GraceWatch(recorded: ClientHoldings(states: ["a": 1, "b": 1]), at: Self.start)
        let held = ClientHoldings(states: ["a": 5])
        for second in 1...90 { #expect(!watch.mayEnd(held, at: Self.at(UInt64(second) * 1000))) }
        #expect(watch.missing == ["b"])
    }

    @Test("a lock that nobody has reclaimed keeps it open")
    func lockMissing() {
        var watch = GraceWatch(recorded: ClientHoldings(hosts: ["c"], locks: 2), at: Self.start)
        for second in 1...9 {
            #expect(!watch.mayEnd(ClientHoldings(hosts: ["c"], locks: 1), at: Self.at(UInt64(second) * 1000)))
        }
        #expect(watch.missing == ["1 locks"])
    }

    @Test("what was reclaimed and closed again counts")
    func closedSince() {
        var watch = GraceWatch(recorded: ClientHoldings(states: ["a": 2], locks: 1), at: Self.start)
        #expect(!watch.mayEnd(ClientHoldings(states: ["a": 2], locks: 1), at: Self.at(500)))
        #expect(!watch.mayEnd(ClientHoldings(), at: Self.at(1000)))
        #expect(watch.mayEnd(ClientHoldings(), at: Self.at(3000)))
    }

    @Test("nobody held anything: it ends after the quiet time; nothing is known: it is not ended")
    func nobody() {
        var watch = GraceWatch(recorded: ClientHoldings(states: ["idle": 0]), at: Self.start)
        #expect(!watch.mayEnd(ClientHoldings(), at: Self.at(1900)))
        #expect(watch.mayEnd(ClientHoldings(), at: Self.at(2000)))
        var blind = GraceWatch(recorded: nil, at: Self.start)
        #expect(!blind.mayEnd(ClientHoldings(), at: Self.at(80_000)))
        #expect(blind.missing == nil)
    }
}
