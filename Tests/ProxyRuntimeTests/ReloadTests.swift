import Balancing
import Basics
import ControlPlane
import LinuxSystem
import ProxyRuntime
import Synchronization
import Telemetry
import Testing

@Suite("the proxy between real sockets: new settings")
struct ReloadTests {
    /// Asks again and again on a thread of its own, until it is told to stop or something goes wrong.
    final class Traffic: Sendable {
        let count = Mutex(0)
        let failure = Mutex<String?>(nil)
        private let isStopping = Mutex(false)
        private let moved: EventCounter

        init() throws { moved = try EventCounter() }

        func run(_ ask: () throws -> Answer) {
            while !isStopping.withLock({ $0 }) {
                do {
                    let answer = try ask()
                    guard answer.status == 200, answer.isComplete else {
                        return fail("status \(answer.status)")
                    }
                    count.withLock { $0 += 1 }
                    moved.signal()
                } catch {
                    return fail("\(error)")
                }
            }
        }

        private func fail(_ text: String) {
            failure.withLock { $0 = text }
            moved.signal()
        }

        func stop() { isStopping.withLock { $0 = true } }

        /// Waits for so many more answers.
        func goOn(_ more: Int) throws {
            let wanted = count.withLock { $0 } + more
            while count.withLock({ $0 }) < wanted {
                if let text = failure.withLock({ $0 }) { throw TestFailure("cut: \(text)") }
                var poll = PollSet()
                poll.add(moved.descriptor.raw, .readable)
                guard try poll.wait(until: Instant.now() + .seconds(20)) > 0 else {
                    throw TestFailure("the traffic stands still")
                }
                moved.drain()
            }
        }
    }

    @Test(
        "ten reloads under load: no client is cut, new, kept, idle, in flight or upgraded",
        .timeLimit(.minutes(2)))
    func tenReloads() throws {
        let stage = try Stage(servers: 3) {
            $0.check = .tcp
            $0.servers.removeLast()
        }
        let address = try #require(stage.proxy.address(of: "web"))
        let all = stage.servers.map {
            ProxyConfiguration.Server(rules: .init(name: $0.name), address: $0.address)
        }
        let patience = Interval.seconds(60)
        let (kept, fresh) = (try Traffic(), try Traffic())
        let keeper = Stage.ThreadBox.OneThread(
            try SystemThread(name: "kept") {
                guard let client = try? LittleClient(address, patience: patience) else { return }
                kept.run { try client.get("/name") }
            })
        let comer = Stage.ThreadBox.OneThread(
            try SystemThread(name: "fresh") { fresh.run { try LittleClient(address).get("/name") } })
        defer {
            kept.stop()
            fresh.stop()
            _ = (keeper, comer)
        }
        try kept.goOn(5)
        let idle = try (0..<8).map { _ in try stage.client(patience: patience) }
        for client in idle { #expect(try client.get("/name").status == 200) }
        let socket = try stage.client(patience: patience)
        try socket.send("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: ws\r\n\r\n")
        #expect(try socket.answer().status == 101)
        for round in 0..<10 {
            // Each server goes and comes again, at times both at once.
            let slow = try stage.client(patience: patience)
            try slow.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
            try stage.await("left", "web1") { _ in true }
            try stage.reloaded {
                $0.servers = round % 3 == 2 ? [all[2]] : [all[round % 2], all[2]]
                $0.servers[0].rules.weight = 1 + round
                $0.cookieName = round % 2 == 0 ? "A" : nil
            }
            try kept.goOn(10)
            try fresh.goOn(10)
            try socket.send("round \(round)")
            #expect(try socket.bytes(7) == "round \(round)")
            for server in stage.servers { server.release() }
            #expect(try slow.answer().body == "slow")
        }
        for client in idle { #expect(try client.get("/name").status == 200) }
        #expect(kept.failure.withLock { $0 } == nil && fresh.failure.withLock { $0 } == nil)
        socket.endSending()
        #expect(try socket.isClosed())
    }

    @Test("a reload that cannot be changes nothing, and leaves no listener behind")
    func refused() throws {
        let stage = try Stage(servers: 1)
        let client = try stage.client()
        #expect(try client.get("/name").body == "web1")
        let taken = try LittleServer("taken")
        let spare = try LittleServer("spare")
        let free = spare.address
        spare.close()
        try stage.reload([stage.configuration]).get()
        var first = stage.configuration
        (first.name, first.listen) = ("first", free)
        var second = stage.configuration
        (second.name, second.listen) = ("second", taken.address)
        var changed = stage.configuration
        changed.servers[0].rules.name = "other"
        guard case .failure(.cannotListen(proxy: "second", _)) = try stage.reload([changed, first, second])
        else {
            Issue.record("not refused")
            return
        }
        #expect(try client.get("/name").body == "web1")
        #expect(try stage.row("web1")["stot"].integer == 2)
        #expect(throws: SystemError.self, "nobody listens there") { try LittleClient(free) }
        var unwritable = stage.configuration
        unwritable.log = .file("/nowhere/at/all")
        guard case .failure(.cannotLog(proxy: "web", _)) = try stage.reload([unwritable]) else {
            Issue.record("not refused")
            return
        }
        #expect(try client.get("/name").status == 200)
    }

    @Test("a proxy may move: the old address takes nobody new, and who is there stays")
    func moves() throws {
        let stage = try Stage(servers: 1)
        let old = try #require(stage.proxy.address(of: "web"))
        let client = try stage.client()
        #expect(try client.get("/name").status == 200)
        let elsewhere = try #require(SocketAddress(host: "127.0.0.2", port: 0))
        try stage.reloaded { $0.listen = elsewhere }
        #expect(stage.proxy.address(of: "web")?.host == "127.0.0.2")
        #expect(try stage.client().get("/name").status == 200)
        #expect(try client.get("/name").status == 200)
        #expect(throws: (any Error).self) { try LittleClient(old).get("/name") }
        // The page kept its own listener.
        #expect(try stage.page("/json").status == 200)
    }

    @Test("a proxy that is gone finishes: one more answer on a kept connection, which then closes")
    func retires() throws {
        let stage = try Stage(servers: 1)
        var other = stage.configuration
        other.name = "other"
        other.listen = try #require(SocketAddress(host: "127.0.0.2", port: 0))
        let client = try stage.client()
        #expect(try client.get("/name").status == 200)
        let socket = try stage.client()
        try socket.send("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: ws\r\n\r\n")
        #expect(try socket.answer().status == 101)
        try stage.reload([other]).get()
        #expect(try stage.verb("status").body["finishing"].elements.count == 1)
        let last = try client.get("/name")
        #expect(last.status == 200 && last.head.contains("Connection: close\r\n"))
        #expect(try client.isClosed())
        try socket.send("still")
        #expect(try socket.bytes(5) == "still")
        socket.endSending()
        #expect(try socket.isClosed())
        try stage.await("status", "") { $0["finishing"].elements.isEmpty }
    }

    @Test("a server that is gone keeps its request, loses its kept connections, and its cookie is given anew")
    func removedServer() throws {
        let stage = try Stage { $0.cookieName = "TANDEM" }
        let client = try stage.client()
        let first = try client.get("/name")
        #expect(first.body == "web1")
        let cookie = try #require(
            first.head.split(separator: "\r\n").first { $0.hasPrefix("Set-Cookie: ") }?.dropFirst(12)
                .split(separator: ";").first)
        let slow = try stage.client()
        try slow.send("GET /slow HTTP/1.1\r\nHost: a\r\nCookie: \(cookie)\r\n\r\n")
        try stage.await("left", "web1") { $0["inService"].integer == 1 }
        // Over a second connection, which is kept then.
        #expect(try client.get("/name", "Cookie: \(cookie)\r\n").body == "web1")
        #expect(stage.servers[0].connections.withLock { $0 } == 2)
        try stage.reloaded { $0.servers.removeFirst() }
        try stage.await("left", "web2") { _ in stage.servers[0].ended.withLock { $0 } == 1 }
        let next = try client.get("/name", "Cookie: \(cookie)\r\n")
        #expect(next.body == "web2" && next.head.contains("Set-Cookie: TANDEM="))
        stage.servers[0].release()
        #expect(try slow.answer().body == "slow")
        // It comes back: as a new server at a place of its own, and by its old cookie.
        try stage.reloaded { _ in }
        #expect(try client.get("/name", "Cookie: \(cookie)\r\n").body == "web1")
        #expect(try stage.row("web1")["stot"].integer == 1)
        #expect(try stage.row("web2")["stot"].integer == 1)
        try stage.await("left", "web2") { _ in stage.servers[0].ended.withLock { $0 } == 2 }
    }

    @Test(
        "a name without an address is a state of its server, and ends when it has one; a new address is taken over"
    )
    func names() throws {
        let names = KnownNames()
        let stage = try Stage(servers: 2, names: names) { configuration in
            let port = configuration.servers[1].address.port
            configuration.servers[1] = .init(rules: .init(name: "named"), host: "web.test", port: port)
            configuration.check = .tcp
            configuration.health = ServerHealth.Rules(
                interval: .milliseconds(100), fastInterval: .milliseconds(100), rise: 1, fall: 2)
        }
        try stage.await("status", "") { body in
            body["rows"].elements.contains { $0["status"].string == "MAINT (resolution)" }
        }
        #expect(try stage.row("named")["addr"].string?.hasPrefix("web.test:") == true)
        let client = try stage.client()
        for _ in 0..<3 { #expect(try client.get("/name").body == "web1") }
        let address = stage.servers[1].address
        names.known.withLock { $0["web.test"] = [address.with(port: 0)] }
        try stage.await("status", "") { body in
            body["rows"].elements.contains {
                $0["svname"].string == "named" && $0["status"].string?.hasPrefix("UP") == true
            }
        }
        #expect(try stage.row("named")["addr"].string == "\(address)")
        #expect(try Set((0..<4).map { _ in try client.get("/name").body }) == ["web1", "web2"])
        // Forgotten by the name server: its checks pass, so it goes on. A reload keeps it as it is, too.
        names.known.withLock { $0 = [:] }
        try stage.reloaded { $0.queueLimit = 3 }
        #expect(try stage.row("named")["status"].string?.hasPrefix("UP") == true)
        #expect(try Set((0..<4).map { _ in try client.get("/name").body }) == ["web1", "web2"])
        #expect(
            stage.journal.events().map(\.name).filter { $0.hasPrefix("name-") } == [
                "name-unresolved", "name-resolved",
            ])
    }

    @Test(
        "what checks and counters know of a server stays; a new one waits for its first check, with its clients"
    )
    func knownServers() throws {
        let away = try LittleServer("away")
        let address = away.address
        away.close()
        let stage = try Stage(servers: 2) {
            $0.check = .tcp
            $0.servers.removeLast()
            $0.servers.append(.init(rules: .init(name: "away"), address: address))
            $0.health.interval = .seconds(3600)
        }
        try stage.await("status", "") { body in
            body["rows"].elements.contains { $0["status"].string == "DOWN" }
        }
        let client = try stage.client()
        #expect(try client.get("/name").body == "web1")
        try stage.reloaded { $0.servers[1].rules.weight = 200 }
        #expect(try stage.row("away")["status"].string == "DOWN", "checked anew")
        #expect(try stage.row("web1")["stot"].integer == 1)
        // All servers replaced in one go: nobody is refused for want of a check.
        let new = stage.servers[1]
        for _ in 0..<5 {
            try stage.reloaded { $0.servers = [.init(rules: .init(name: "new"), address: new.address)] }
            #expect(try client.get("/name").body == "web2")
            try stage.reloaded { _ in }
            #expect(try client.get("/name").body == "web1")
        }
    }
}
