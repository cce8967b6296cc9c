import Balancing
import Basics
import Testing

@Suite("health of a server")
struct ServerHealthTests {
    let start = Instant(nanoseconds: 1_000_000_000)
    let rules = ServerHealth.Rules(
        interval: .seconds(2), fastInterval: .milliseconds(500), rise: 2, fall: 3, passiveLimit: 2)

    @Test("a new server gets nothing before its first check, which is due at once")
    func first() {
        let health = HeldHealth(rules, at: start)
        #expect(health.state == .checking)
        #expect(health.nextCheck == start)
        health.checkBegan()
        #expect(health.nextCheck == .never)
        #expect(health.checked(passed: true, at: start))
        #expect(health.state == .up)
        #expect(health.nextCheck == start + .seconds(2))
    }

    @Test("it is down after `fall` failures in a row, looked at faster meanwhile, and up after `rise`")
    func riseAndFall() {
        let health = HeldHealth(rules, at: start)
        _ = health.checked(passed: true, at: start)
        let failures = [false, false, true, false, false].map { health.checked(passed: $0, at: start) }
        #expect(!failures.contains(true))
        #expect(health.nextCheck == start + .milliseconds(500))
        #expect(health.checked(passed: false, at: start))
        #expect(health.state == .down)
        #expect(health.nextCheck == start + .seconds(2))
        #expect(!health.checked(passed: true, at: start))
        #expect(!health.checked(passed: false, at: start))
        #expect(!health.checked(passed: true, at: start))
        #expect(health.checked(passed: true, at: start))
        #expect(health.state == .up)
    }

    @Test("requests that fail in a row mark it down; one that succeeds begins the count anew")
    func passive() {
        let health = HeldHealth(rules, at: start)
        _ = health.checked(passed: true, at: start)
        #expect(!health.observed(succeeded: false, at: start))
        #expect(!health.observed(succeeded: true, at: start))
        #expect(!health.observed(succeeded: false, at: start))
        #expect(health.observed(succeeded: false, at: start))
        #expect(health.state == .down)
        #expect(!health.observed(succeeded: false, at: start))
    }

    @Test("without checks it is up, and failed requests do not mark it: nothing could bring it back")
    func off() {
        let health = HeldHealth(ServerHealth.Rules(isOff: true, passiveLimit: 1), at: start)
        #expect(health.state == .up)
        #expect(health.nextCheck == .never)
        #expect(!health.observed(succeeded: false, at: start))
    }

    @Test("a name without an address is a state, and a passed check ends it")
    func unresolved() {
        let health = HeldHealth(rules, at: start)
        #expect(health.didNotResolve(at: start))
        #expect(health.state == .unresolved)
        #expect(!health.checked(passed: true, at: start))
        #expect(health.checked(passed: true, at: start))
        #expect(health.state == .up)
        #expect(!health.didNotResolve(at: start))
        #expect(!health.didNotResolve(at: start))
        #expect(health.didNotResolve(at: start))
    }
}
