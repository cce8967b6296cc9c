import Balancing
import Basics
import Testing

@Suite("the servers behind a proxy")
struct BackendPoolTests {
    static let key = KeyedHash(key: [UInt8](repeating: 3, count: 16))
    let now = Instant(nanoseconds: 1)

    func pool(
        _ servers: [BackendPool.ServerRules], _ method: BackendPool.Method = .roundrobin, queue: Int = 2,
        checked: Bool = false
    ) -> HeldPool {
        HeldPool(
            BackendPool(
                proxy: "web", method: method, servers: servers,
                health: ServerHealth.Rules(isOff: !checked, rise: 1, fall: 1), queueLimit: queue,
                key: Self.key,
                at: now))
    }

    @Test("two equal servers take turns strictly, however often one ends")
    func alternation() {
        let pool = pool([.init(name: "a"), .init(name: "b")])
        #expect(pool.names(7) == "abababa")
        _ = pool.release(0)
        #expect(pool.names(3) == "bab")
    }

    @Test("weights give shares, spread smoothly")
    func weights() {
        let pool = pool([
            .init(name: "a", weight: 5), .init(name: "b", weight: 1), .init(name: "c", weight: 1),
        ])
        #expect(pool.names(14) == "aabacaaaabacaa")
    }

    @Test("a server that comes back gets its share and no more")
    func comesBack() {
        let pool = pool([.init(name: "a"), .init(name: "b")])
        _ = pool.setAdmin(.maintenance, of: 0)
        #expect(pool.names(5) == "bbbbb")
        _ = pool.setAdmin(.ready, of: 0)
        let after = pool.names(10)
        #expect(after.filter { $0 == "a" }.count == 5)
        #expect(!after.contains("aa") && !after.contains("bb"))
    }

    @Test("least connections goes where the fewest are for the weight")
    func leastConnections() {
        let pool = pool([.init(name: "a", weight: 2), .init(name: "b", weight: 1)], .leastconn)
        #expect(pool.names(6).filter { $0 == "a" }.count == 4)
        _ = pool.release(1)
        #expect(pool.names(1) == "b")
    }

    @Test("a source stays on its server, only those of a lost server move, and shares follow the weights")
    func sourceHash() {
        let servers = ["a", "b", "c", "d"].map {
            BackendPool.ServerRules(name: $0, weight: $0 == "d" ? 100 : 50)
        }
        let all = pool(servers, .source)
        let fewer = pool(servers.filter { $0.name != "b" }.reversed(), .source)
        var counts: [String: Int] = [:]
        for source in 0..<10_000 {
            let before = all.names(1, source: UInt64(source))
            #expect(before == all.names(1, source: UInt64(source)))
            counts[before, default: 0] += 1
            if before != "b" { #expect(fewer.names(1, source: UInt64(source)) == before) }
        }
        #expect((1850...2150).contains(counts["a", default: 0]))
        #expect((3800...4200).contains(counts["d", default: 0]))
    }

    @Test("a cookie is worth its server, while that one may serve")
    func sticky() {
        let pool = pool([.init(name: "a"), .init(name: "b")])
        let cookie = pool.servers[1].cookie
        #expect(pool.verdict(onCookie: nil) == (.none, nil))
        #expect(pool.verdict(onCookie: cookie) == (.valid, 1))
        #expect(pool.verdict(onCookie: cookie &+ 1) == (.invalid, nil))
        #expect(pool.place(1, sticky: 1, source: 0) == .placed(server: 1, .sticky))
        #expect(pool.place(1, sticky: 1, source: 0) == .placed(server: 1, .sticky))
        _ = pool.setAdmin(.drain, of: 1)
        #expect(pool.verdict(onCookie: cookie) == (.valid, 1))
        #expect(pool.place(1, sticky: 1, source: 0) == .placed(server: 1, .sticky))
        #expect(pool.names(3) == "aaa")
        _ = pool.setAdmin(.maintenance, of: 1)
        #expect(pool.verdict(onCookie: cookie) == (.down, 1))
        #expect(pool.place(1, sticky: 1, source: 0) == .placed(server: 0, .turn(among: 1)))
    }

    @Test("the same names and key give the same cookies, whatever the order and the other servers")
    func cookiesAreStable() {
        let one = pool([.init(name: "a"), .init(name: "b")])
        let other = pool([.init(name: "z"), .init(name: "b", weight: 3), .init(name: "a")])
        #expect(one.servers[0].cookie == other.servers[2].cookie)
        #expect(one.servers[1].cookie == other.servers[1].cookie)
        #expect(one.servers[0].cookie != one.servers[1].cookie)
    }

    @Test("the first backup serves while no other may")
    func backup() {
        let pool = pool([
            .init(name: "a"), .init(name: "x", isBackup: true), .init(name: "y", isBackup: true),
        ])
        #expect(pool.names(2) == "aa")
        _ = pool.setAdmin(.maintenance, of: 0)
        #expect(pool.place(1, sticky: nil, source: 0) == .placed(server: 1, .backup))
        _ = pool.setAdmin(.maintenance, of: 1)
        #expect(pool.names(2) == "yy")
        _ = pool.setAdmin(.maintenance, of: 2)
        #expect(pool.place(1, sticky: nil, source: 0) == .noServer)
    }

    @Test(
        "a full server is passed over, all full means waiting in order, and a full queue is refused at once")
    func limits() {
        let pool = pool([.init(name: "a", limit: 1), .init(name: "b", limit: 1)])
        #expect(pool.names(2) == "ab")
        #expect(pool.place(7, sticky: nil, source: 0) == .waits)
        #expect(pool.place(8, sticky: nil, source: 0) == .waits)
        #expect(pool.place(9, sticky: nil, source: 0) == .queueFull)
        #expect(pool.release(1) == [.init(waiter: 7, server: 1)])
        #expect(pool.cancel(8))
        #expect(!pool.cancel(8))
        #expect(pool.release(0) == [])
        #expect(pool.servers.map(\.active) == [0, 1])
    }

    @Test("who is stuck to a full server waits for that one, and for any when it goes down")
    func stickyQueue() {
        let pool = pool([.init(name: "a", limit: 1), .init(name: "b")])
        #expect(pool.place(1, sticky: 0, source: 0) == .placed(server: 0, .sticky))
        #expect(pool.place(2, sticky: 0, source: 0) == .waits)
        #expect(pool.place(3, sticky: 0, source: 0) == .waits)
        #expect(pool.place(4, sticky: 0, source: 0) == .queueFull)
        #expect(pool.release(0) == [.init(waiter: 2, server: 0)])
        #expect(pool.setAdmin(.maintenance, of: 0) == [.init(waiter: 3, server: 1)])
    }

    @Test(
        "a server that is down gets nothing, not even who brings its cookie; the next check may bring it back"
    )
    func health() {
        let pool = pool([.init(name: "a"), .init(name: "b")], checked: true)
        #expect(pool.place(9, sticky: nil, source: 0) == .waits && pool.cancel(9))
        _ = pool.checked(0, passed: true, at: now)
        _ = pool.checked(1, passed: false, at: now)
        #expect(pool.names(3) == "aaa")
        #expect(pool.place(1, sticky: 1, source: 0) == .placed(server: 0, .turn(among: 1)))
        #expect(pool.checked(1, passed: true, at: now).changed)
        #expect(pool.names(2).contains("b"))
    }

    @Test("a request that one server has failed goes to another while there is one")
    func redispatch() {
        let pool = pool([.init(name: "a"), .init(name: "b")])
        for _ in 0..<4 {
            #expect(pool.place(1, sticky: 0, source: 0, avoiding: 0) == .placed(server: 1, .turn(among: 1)))
        }
        _ = pool.setAdmin(.maintenance, of: 1)
        #expect(pool.place(1, sticky: nil, source: 0, avoiding: 0) == .placed(server: 0, .turn(among: 1)))
    }

    @Test("the reason says what the choice was made by, and the shortage why there was none")
    func reasons() {
        let servers: [BackendPool.ServerRules] = [
            .init(name: "a"), .init(name: "b", weight: 50), .init(name: "c"),
        ]
        let turns = pool(servers)
        #expect(turns.place(1, sticky: nil, source: 0) == .placed(server: 0, .turn(among: 3)))
        let least = pool(servers, .leastconn)
        #expect(least.place(1, sticky: 0, source: 0) == .placed(server: 0, .sticky))
        #expect(least.place(1, sticky: 2, source: 0) == .placed(server: 2, .sticky))
        #expect(
            least.place(1, sticky: nil, source: 0) == .placed(server: 1, .leastLoaded(active: 0, among: 3)))
        #expect(
            least.place(1, sticky: nil, source: 0) == .placed(server: 0, .leastLoaded(active: 1, among: 3)))
        let hashed = pool(servers, .source)
        guard case .placed(_, .source(among: 3)) = hashed.place(1, sticky: nil, source: 7) else {
            Issue.record("not by source")
            return
        }
        let none = pool(servers, checked: true)
        _ = none.pool.setWeight(0, of: 0)
        _ = none.checked(1, passed: true, at: now)
        _ = none.setAdmin(.drain, of: 1)
        _ = none.setAdmin(.maintenance, of: 2)
        #expect(none.place(1, sticky: nil, source: 0) == .noServer)
        var expected = BackendPool.Shortage()
        (expected.checking, expected.drain, expected.maintenance) = (1, 1, 1)
        #expect(none.pool.shortage() == expected)
    }

    @Test("the most at once is kept, in service and waiting")
    func maxima() {
        let pool = pool([.init(name: "a", limit: 2)], queue: 3)
        for waiter in 1...4 { _ = pool.place(UInt64(waiter), sticky: nil, source: 0) }
        for _ in 0..<4 { _ = pool.release(0) }
        #expect(pool.servers[0].active == 0 && pool.queue.isEmpty)
        #expect(pool.servers[0].activeMaximum == 2 && pool.pool.activeMaximum == 2)
        #expect(pool.pool.queueMaximum == 2)
    }

    func reload(
        _ pool: HeldPool, _ servers: [(name: String, place: Int?)], held: Set<Int> = [], weight: Int = 100
    ) -> [BackendPool.Grant] {
        pool.pool.reload(
            proxy: "web", method: .roundrobin,
            servers: servers.map {
                .init(rules: .init(name: $0.name, weight: weight), place: $0.place)
            },
            health: ServerHealth.Rules(rise: 1, fall: 1), queueLimit: 2, key: Self.key, held: held, at: now)
    }

    @Test(
        "a reload keeps a server's place, what checks and the operator have said of it, and who is in service"
    )
    func reload() {
        let pool = pool([.init(name: "a"), .init(name: "b"), .init(name: "c")], checked: true)
        _ = pool.checked(0, passed: true, at: now)
        _ = pool.checked(1, passed: false, at: now)
        _ = pool.checked(2, passed: true, at: now)
        _ = pool.setAdmin(.drain, of: 0)
        let cookie = pool.servers[2].cookie
        #expect(pool.names(1) == "c")
        #expect(reload(pool, [("new", nil), ("b", 1), ("a", 0)], weight: 3).isEmpty)
        #expect(pool.pool.order == [3, 1, 0])
        #expect(pool.pool.order.map { pool.servers[$0].health.state } == [.checking, .down, .up])
        #expect(pool.pool.order.map { pool.servers[$0].admin } == [.ready, .ready, .drain])
        #expect(pool.servers[0].rules.weight == 3)
        // The one that is gone: nobody's cookie names it, nobody gets it, who is there ends there.
        #expect(pool.pool.verdict(onCookie: cookie) == (.invalid, nil))
        #expect(pool.place(1, sticky: 2, source: 0) != .placed(server: 2, .sticky))
        #expect(pool.servers[2].active == 1)
        _ = pool.release(2)
        #expect(pool.servers[2].active == 0)
    }

    @Test("a new server gets the place of one that is gone as soon as nobody names that any more")
    func places() {
        let pool = pool([.init(name: "a"), .init(name: "b")])
        _ = pool.place(1, sticky: 0, source: 0)
        _ = reload(pool, [("b", 1)])
        _ = reload(pool, [("b", 1), ("c", nil)])
        #expect(pool.pool.order == [1, 2], "one is in service at place 0")
        _ = pool.release(0)
        _ = reload(pool, [("b", 1), ("c", 2), ("d", nil)], held: [0])
        #expect(pool.pool.order == [1, 2, 3], "somebody names place 0")
        _ = reload(pool, [("b", 1), ("c", 2), ("d", 3), ("e", nil)])
        #expect(pool.pool.order == [1, 2, 3, 0])
        #expect(pool.servers[0].rules.name == "e" && !pool.servers[0].isRemoved)
    }

    @Test(
        "who waits for a server that is gone is placed on another, and the name at a new address stays drained"
    )
    func waitersOfRemoved() {
        let pool = pool([.init(name: "a", limit: 1), .init(name: "b", limit: 1)])
        _ = pool.place(1, sticky: 0, source: 0)
        #expect(pool.place(2, sticky: 0, source: 0) == .waits)
        _ = pool.setAdmin(.drain, of: 0)
        #expect(reload(pool, [("a", nil), ("b", 1)]) == [.init(waiter: 2, server: 1)])
        #expect(pool.pool.order == [2, 1] && pool.servers[2].admin == .drain)
        #expect(pool.servers[2].health.state == .checking)
    }

    @Test("who comes before the first check waits for it, and is refused when there is no server after it")
    func firstChecks() {
        let pool = pool([.init(name: "a"), .init(name: "b")], checked: true)
        #expect(pool.place(1, sticky: nil, source: 0) == .waits)
        #expect(pool.place(2, sticky: nil, source: 0) == .waits)
        #expect(pool.place(3, sticky: nil, source: 0) == .queueFull)
        #expect(pool.checked(0, passed: false, at: now).refused.isEmpty, "there is one more to wait for")
        #expect(pool.checked(1, passed: false, at: now).refused == [1, 2])
        #expect(pool.queue.isEmpty && pool.place(4, sticky: nil, source: 0) == .noServer)
        let other = self.pool([.init(name: "a")], checked: true)
        #expect(other.place(1, sticky: nil, source: 0) == .waits)
        let result = other.pool.checked(0, passed: true, at: now)
        #expect(result.grants == [.init(waiter: 1, server: 0)] && result.refused.isEmpty)
    }

    @Test("whatever happens in whatever order, no limit is exceeded and nobody waits beside a free place")
    func walks() {
        for seed in 1...50 {
            var generator = SeededGenerator(seed: UInt64(seed), label: "pool")
            let pool = pool(
                (0..<3).map { .init(name: "s\($0)", weight: 1 + generator.below(3), limit: 1 + $0) },
                generator.chance(in: 2) ? .roundrobin : .leastconn, queue: 4)
            var waiting: Set<UInt64> = []
            for step in 0..<400 {
                var grants: [BackendPool.Grant] = []
                let server = generator.below(3)
                switch generator.below(5) {
                case 0, 1:
                    let sticky = generator.chance(in: 3) ? server : nil
                    let placement = pool.place(UInt64(step), sticky: sticky, source: 0)
                    if placement == .waits { waiting.insert(UInt64(step)) }
                case 2: if pool.servers[server].active > 0 { grants = pool.release(server) }
                case 3:
                    let states = BackendPool.AdminState.allCases
                    grants = pool.setAdmin(states[generator.below(3)], of: server)
                default:
                    if let waiter = waiting.randomElement(using: &generator) {
                        #expect(pool.cancel(waiter))
                        waiting.remove(waiter)
                    }
                }
                for grant in grants { #expect(waiting.remove(grant.waiter) != nil) }
                let queued = pool.queue + pool.servers.flatMap(\.queue)
                #expect(Set(queued) == waiting && queued.count == waiting.count)
                for server in pool.servers {
                    #expect(server.active <= server.rules.limit ?? 0 && server.queue.count <= 4)
                    let isFree = server.active < server.rules.limit ?? 0
                    if isFree, server.admin == .ready { #expect(pool.queue.isEmpty && server.queue.isEmpty) }
                }
            }
        }
    }
}
