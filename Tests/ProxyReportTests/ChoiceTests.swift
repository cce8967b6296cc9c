import Balancing
import Basics
import Testing

@testable import ProxyReport

@Suite("why a server was chosen")
struct ChoiceTests {
    func choice(
        _ outcome: Choice.Outcome, _ cookie: BackendPool.CookieVerdict? = nil, failed: String? = nil
    ) -> Choice {
        Choice(
            at: at(0), client: Array("192.0.2.7:4000".utf8), cookie: cookie,
            failed: failed.map { Array($0.utf8) },
            outcome: outcome)
    }

    func placed(_ reason: BackendPool.Reason) -> Choice.Outcome {
        .placed(server: Array("web2".utf8), reason)
    }

    @Test("each choice is told in a plain sentence")
    func sentences() {
        var shortage = BackendPool.Shortage()
        (shortage.down, shortage.maintenance) = (1, 2)
        let told: [(Choice, String)] = [
            (choice(placed(.turn(among: 2))), "-> web2; its turn in roundrobin among 2 servers"),
            (
                choice(placed(.turn(among: 1)), .some(.none)),
                "-> web2; no cookie, so: its turn in roundrobin among 1 server"
            ),
            (choice(placed(.sticky), .valid), "-> web2; its cookie is valid"),
            (
                choice(placed(.turn(among: 2)), .invalid),
                "-> web2; its cookie names no server of ours, so: its turn in roundrobin among 2 servers"
            ),
            (
                choice(placed(.leastLoaded(active: 3, among: 2)), .down),
                "-> web2; the server of its cookie is down or in maintenance, so: leastconn: web2 had 3 in service, "
                    + "the fewest for its weight among 2 servers"
            ),
            (choice(placed(.source(among: 3))), "-> web2; source: the hash of its address, among 3 servers"),
            (choice(placed(.backup)), "-> web2; no other server may be chosen, and web2 is the first backup"),
            (
                choice(placed(.turn(among: 1)), failed: "web1"),
                "-> web2; web1 could not be reached (redispatch): its turn in roundrobin among 1 server"
            ),
            (choice(placed(.queued)), "-> web2; it had waited, and a place became free"),
            (choice(.waits), "waits; every server that may have it is at its limit, or others wait already"),
            (choice(.queueFull), "was refused (503); every server is at its limit and the queue is full"),
            (
                choice(.noServer(shortage)),
                "was refused (503); no server may be chosen: 1 down, 2 in maintenance"
            ),
            (
                choice(.sentAgain(server: Array("web2".utf8)), .some(.none)),
                "-> web2 once more; its kept connection ended before a byte of the answer, and the request may be repeated"
            ),
        ]
        for (choice, text) in told { #expect(choice.sentence == "192.0.2.7:4000 " + text) }
    }

    @Test("the ring keeps the last 256 in their order")
    func ring() {
        var ring = ChoiceRing()
        #expect(ring.last(5).isEmpty)
        for number in 0..<300 {
            var one = choice(.waits)
            one.at = at(UInt64(number))
            ring.note(one)
        }
        #expect(ring.last(1000).map(\.at) == (44..<300).map { at($0) })
        #expect(ring.last(2).map(\.at) == [at(298), at(299)])
        #expect(ring.last(-1).isEmpty)
    }
}
