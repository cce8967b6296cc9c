import Balancing
import Basics
import Testing

@testable import ProxyReport

@Suite("what is counted of a proxy")
struct ProxyTrafficTests {
    @Test("a rate is what came in the last second, and fades with it")
    func rate() {
        var meter = RateMeter()
        for _ in 0..<10 { meter.note(second: RateMeter.second(of: at(0))) }
        #expect(meter.rate(at: at(500)) == 10)
        #expect(meter.rate(at: at(1500)) == 5)
        #expect(meter.rate(at: at(2500)) == 0)
        meter.note(second: RateMeter.second(of: at(5000)))
        #expect(meter.rate(at: at(5000)) == 1)
        #expect(meter.maximum == 10)
    }

    @Test("an average is that of all values at first and of about the last 1,024 later")
    func average() {
        var average = SlidingAverage()
        #expect(average.value == 0)
        average.note(10)
        average.note(20)
        #expect(average.value == 15)
        for _ in 0..<20_000 { average.note(100) }
        #expect((99...101).contains(average.value))
        for _ in 0..<20_000 { average.note(0) }
        #expect(average.value <= 1 && average.maximum == 100)
    }

    @Test(
        "each ending of the log counts as what it is",
        arguments: [
            ("--", ""), ("CR", "request"), ("cR", "request"), ("PR", "request"), ("LR", ""),
            ("SC", "unplaced"),
            ("sC", "unplaced"), ("SQ", "unplaced"), ("sQ", "unplaced"), ("CQ", "client"), ("CC", "client"),
            ("CH", "client"), ("CD", "client"), ("cD", "client"), ("SH", "response"), ("sH", "response"),
            ("SD", "response server"), ("sD", "response"), ("PH", "response"), ("PD", "response"),
        ])
    func endings(_ ending: String, _ expected: String) {
        let verdict = EndingVerdict(ending)
        let words = [
            (verdict.requestError, "request"), (verdict.responseError, "response"),
            (verdict.unplaced, "unplaced"), (verdict.clientAbort, "client"), (verdict.serverAbort, "server"),
        ]
        #expect(words.filter(\.0).map(\.1).joined(separator: " ") == expected)
    }

    @Test("a request is counted at its clients' side, at its server and at all of them")
    func request() {
        var traffic = ProxyTraffic(servers: ["a", "b"], isTCP: false, at: at(0))
        traffic.connected(count: 2, at: at(0))
        traffic.requestCame(at: at(0))
        traffic.placed(on: 1, isSticky: false, at: at(0))
        traffic.connecting(to: 1, isKept: false)
        traffic.ended(record(1))
        traffic.placed(on: 1, isSticky: true, at: at(5))
        traffic.connecting(to: 1, isKept: true)
        traffic.ended(record(1, status: 404))
        #expect(traffic.clients.total == 1 && traffic.clients.maximum == 2 && traffic.clients.requests == 1)
        #expect(traffic.clients.bytesIn == 200 && traffic.clients.bytesOut == 2000)
        let (server, all) = (traffic.servers[1].counters, traffic.all)
        #expect(server == all)
        #expect(traffic.servers[0].counters == TrafficCounters())
        #expect(server.requests == 2 && server.balanced == 1 && server.connects == 1 && server.reuses == 1)
        #expect(server.responses.successful == 1 && server.responses.clientError == 1)
        #expect(
            server.connectTime.value == 1 && server.responseTime.value == 2 && server.totalTime.value == 3)
        #expect(server.lastSession == at(5))
    }

    @Test("what never asked for a server counts at none, and the proxy's own answers are not the servers'")
    func ownAnswers() {
        var traffic = ProxyTraffic(servers: ["a"], isTCP: false, at: at(0))
        traffic.ended(record(nil, status: 400, ending: "PR", isFromServer: false, times: (-1, -1, -1, 0)))
        #expect(traffic.clients.requestErrors == 1 && traffic.all == TrafficCounters())
        #expect(traffic.clients.responses.clientError == 1 && traffic.clients.intercepted == 1)
        traffic.ended(
            record(nil, status: 200, ending: "LR", isFromServer: false, times: (-1, -1, -1, 0)))
        #expect(traffic.clients.requestErrors == 1 && traffic.all == TrafficCounters())
        #expect(traffic.clients.intercepted == 2)
        traffic.ended(record(nil, status: 503, ending: "SC", isFromServer: false, times: (-1, -1, -1, 0)))
        #expect(traffic.all.connectionErrors == 1 && traffic.all.responses.serverError == 1)
        traffic.connectFailed(0)
        traffic.redispatched(from: 0)
        traffic.ended(record(0, status: 502, ending: "SH", isFromServer: false))
        #expect(traffic.servers[0].counters.responses == ResponseCounts())
        #expect(traffic.servers[0].counters.responseErrors == 1 && traffic.all.responseErrors == 1)
        #expect(traffic.servers[0].counters.connectionErrors == 1 && traffic.all.connectionErrors == 2)
        #expect(traffic.servers[0].counters.redispatches == 1)
        traffic.ended(record(0, ending: "SD"))
        #expect(traffic.servers[0].counters.serverAborts == 1)
    }

    @Test("downtime is the time between down and up, and a fall is counted once")
    func downtime() {
        var clock = StateClock(at: at(0))
        clock.note(isDown: false, at: at(1000))
        #expect(clock.downs == 0 && clock.changedAt == at(0))
        clock.note(isDown: true, at: at(2000))
        clock.note(isDown: true, at: at(2500))
        #expect(clock.downtime(at: at(5000)) == .seconds(3))
        clock.note(isDown: false, at: at(6000))
        clock.note(isDown: true, at: at(7000))
        #expect(clock.downs == 2 && clock.downtime(at: at(8000)) == .seconds(5))
    }

    @Test("after a reload the counting goes on for the servers that are still there")
    func inherits() {
        var old = ProxyTraffic(servers: ["a", "b"], isTCP: false, at: at(0))
        old.ended(record(1))
        old.connected(count: 1, at: at(0))
        let key = KeyedHash(key: [UInt8](repeating: 3, count: 16))
        var pool = BackendPool(
            proxy: "web", method: .roundrobin, servers: [.init(name: "a"), .init(name: "b")],
            health: ServerHealth.Rules(), queueLimit: 1, key: key, at: at(0))
        _ = pool.reload(
            proxy: "web", method: .roundrobin,
            servers: [.init(rules: .init(name: "b"), place: 1), .init(rules: .init(name: "c"), place: nil)],
            health: ServerHealth.Rules(), queueLimit: 1, key: key, held: [], at: at(9))
        var new = old
        new.reload(pool, fresh: [2], isTCP: false, at: at(9))
        #expect(pool.order.map { new.servers[$0].name } == ["b", "c"])
        #expect(pool.order.map { new.servers[$0].counters.requests } == [1, 0])
        #expect(new.all.requests == 1 && new.clients.total == 1)
    }
}
