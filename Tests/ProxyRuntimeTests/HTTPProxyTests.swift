import Balancing
import Basics
import Glibc
import LinuxSystem
import ProxyRuntime
import Synchronization
import Testing

@Suite("the proxy between real sockets, in HTTP mode")
struct HTTPProxyTests {
    @Test("requests of one connection take turns between the servers, over connections that are used again")
    func turns() throws {
        let stage = try Stage()
        let client = try stage.client()
        let names = try (0..<10).map { _ in try client.get("/name").body }
        #expect(names == (0..<5).flatMap { _ in ["web1", "web2"] })
        #expect(stage.servers.map { $0.connections.withLock { $0 } } == [1, 1])
        let line = try stage.lines(10)[0]
        #expect(line.hasPrefix("127.0.0.1:"))
        #expect(line.contains("] web web/web1 "))
        #expect(line.contains(" 200 "))
        #expect(line.contains(" - - ---- 1/1/1/1/0 0/0 \"GET /name HTTP/1.1\""))
    }

    @Test("a cookie keeps a client on its server, ends at the proxy, and is renewed when the server is away")
    func sticky() throws {
        let stage = try Stage { $0.cookieName = "TANDEM" }
        let client = try stage.client()
        let first = try client.get("/name")
        let cookie = first.head.split(separator: "\r\n").first { $0.hasPrefix("Set-Cookie: TANDEM=") }
        let pair = try #require(cookie?.dropFirst("Set-Cookie: ".count).split(separator: ";").first)
        #expect(first.head.contains("Cache-Control: private\r\n"))
        #expect(!first.head.contains(first.body))
        for _ in 0..<3 {
            let next = try client.get("/name", "Cookie: a=1; \(pair)\r\n")
            #expect(next.body == first.body)
            #expect(!next.head.contains("Set-Cookie"))
        }
        let echo = try client.get("/echo", "Cookie: a=1; \(pair)\r\n").body
        #expect(echo.contains("Cookie: a=1\r\n") && !echo.contains("TANDEM"))
        stage.proxy.setAdmin(.maintenance, proxy: "web", server: first.body)
        try stage.ask("/name") { $0.body != first.body }
        let moved = try client.get("/name", "Cookie: \(pair)\r\n")
        #expect(moved.body != first.body)
        #expect(moved.head.contains("Set-Cookie: TANDEM="))
        let forged = try client.get("/name", "Cookie: TANDEM=0000000000000000\r\n")
        #expect(forged.head.contains("Set-Cookie: TANDEM="))
        let lines = try stage.lines(8)
        #expect(lines[0].contains(" --NI "))
        #expect(lines[1].contains(" --VN "))
        #expect(lines.contains { $0.contains(" --DI ") })
        #expect(lines.contains { $0.contains(" --II ") })
    }

    @Test("chunks and trailers go through, and a client of HTTP/1.0 gets the bare bytes")
    func chunks() throws {
        let stage = try Stage(servers: 1)
        let answer = try stage.client().get("/chunked")
        #expect(answer.body == "web1" && answer.isComplete && answer.trailers == "X-T: 1\r\n")
        let old = try stage.client()
        try old.send("GET /chunked HTTP/1.0\r\n\r\n")
        let bare = try old.answer()
        #expect(bare.body == "web1" && !bare.head.contains("chunked"))
        #expect(try old.isClosed())
        let client = try stage.client()
        try client.send("POST /body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nhe\r\n")
        try client.send("3\r\nllo\r\n0\r\n\r\n")
        #expect(try client.answer().body == "hello")
        #expect(try client.get("/old").body == "web1")
        #expect(try client.get("/name").body == "web1")
    }

    @Test("a body of a megabyte goes through in both directions")
    func largeBody() throws {
        let stage = try Stage()
        let body = String(repeating: "0123456789abcdef", count: 65536)
        let client = try stage.client()
        #expect(try client.get("/body", method: "POST", body: body).body == body)
        #expect(try client.get("/name", method: "HEAD").head.contains("Content-Length: 4\r\n"))
        #expect(try client.get("/name").status == 200)
    }

    @Test("requests sent in one go are answered in their order")
    func pipelining() throws {
        let stage = try Stage()
        let client = try stage.client()
        try client.send(String(repeating: "GET /name HTTP/1.1\r\nHost: a\r\n\r\n", count: 6))
        client.endSending()
        #expect(
            try (0..<6).map { _ in try client.answer().body } == [
                "web1", "web2", "web1", "web2", "web1", "web2",
            ])
        #expect(try client.isClosed())
    }

    @Test("100-continue goes on in both directions")
    func expectation() throws {
        let stage = try Stage(servers: 1)
        let client = try stage.client()
        try client.send(
            "POST /continue HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi")
        #expect(try client.answer().status == 100)
        #expect(try client.answer().body == "hi")
    }

    @Test("after an upgrade bytes go both ways until one side ends")
    func upgrade() throws {
        let stage = try Stage(servers: 1)
        let client = try stage.client()
        try client.send("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: ws\r\n\r\nfirst")
        let answer = try client.answer()
        #expect(answer.status == 101)
        #expect(answer.head.contains("Upgrade: ws\r\n") && answer.head.contains("Connection: upgrade\r\n"))
        #expect(try client.bytes(5) == "first")
        try client.send("second")
        #expect(try client.bytes(6) == "second")
        client.endSending()
        #expect(try client.isClosed())
        #expect(try stage.lines(1)[0].contains(" 101 "))
    }

    @Test("what the client's address is, the server is told")
    func forwarded() throws {
        let stage = try Stage(servers: 1)
        let echo = try stage.client().get("/echo", "Connection: X-Hop\r\nX-Hop: 1\r\n").body
        #expect(echo.contains("X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\n"))
        #expect(!echo.contains("X-Hop"))
    }

    @Test("a refused request is answered, and its connection closed")
    func refused() throws {
        let stage = try Stage()
        let client = try stage.client()
        try client.send("GET / HTTP/1.1\r\nHost : a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try client.answer().status == 400)
        client.endSending()
        #expect(try client.isClosed())
        #expect(stage.servers.allSatisfy { $0.count.withLock { $0 } == 0 })
        #expect(try stage.lines(1)[0].contains("web/<NOSRV> -1/-1/-1/-1/0 400 "))
    }
}

@Suite("the proxy between real sockets: faults")
struct ProxyFaultTests {
    @Test("a response that ends early is not shown as whole")
    func truncated() throws {
        let stage = try Stage(servers: 1)
        let answer = try stage.client().get("/short")
        #expect(answer.status == 200 && answer.body == "short" && !answer.isComplete)
        #expect(try stage.lines(1)[0].contains(" SD-- "))
    }

    @Test(
        "a chunked response that ends early ends with a reset for a client of HTTP/1.0, which has no other way to tell"
    )
    func truncatedForOldClient() throws {
        let stage = try Stage(servers: 1)
        let old = try stage.client()
        try old.send("GET /short-chunked HTTP/1.0\r\n\r\n")
        // The reset may overtake the bytes that were sent before it.
        _ = try? old.answer()
        #expect(try old.isClosed())
        #expect(old.wasReset)
        #expect(try stage.lines(1)[0].contains(" SD-- "))
    }

    @Test("a trailer that Connection names ends at the proxy, and a response without a date gets one")
    func namedTrailerAndDate() throws {
        let stage = try Stage(servers: 1)
        let client = try stage.client()
        let named = try client.get("/named-trailer")
        #expect(named.isComplete && named.trailers == "X-T: 2\r\n")
        #expect(named.head.contains("Date: then\r\n") && !named.head.contains(" GMT"))
        let date =
            #/\r\nDate: (Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z][a-z] \d{4} \d\d:\d\d:\d\d GMT\r\n/#
        #expect(try client.get("/name").head.contains(date))
        #expect(try client.get("/close").head.contains(date))
    }

    @Test("the access log goes to a file, to which lines are appended, or nowhere")
    func logFile() throws {
        let path = "/dev/shm/tandem-proxy-log.\(UInt64.random(in: 0 ... .max))"
        let made = open(path, O_CREAT | O_EXCL | O_WRONLY, 0o600)
        #expect(made >= 0 && write(made, "before\n", 7) == 7 && close(made) == 0)
        defer { _ = unlink(path) }
        let stage = try Stage(servers: 1) { $0.log = .file(path) }
        _ = try stage.client().get("/name")
        let deadline = Instant.now() + .seconds(10)
        var text = ""
        while !text.contains("GET /name"), Instant.now() < deadline {
            text = try SmallFile.read(path)
            _ = try stage.client().get("/other")
        }
        #expect(text.hasPrefix("before\n127.0.0.1:") && text.contains(" \"GET /name HTTP/1.1\"\n"))

        // Moved away, as logrotate does: the next file begins when it is asked for.
        #expect(rename(path, path + ".1") == 0)
        defer { _ = unlink(path + ".1") }
        stage.proxy.reopenLogs()
        text = ""
        while !text.contains("GET /next"), Instant.now() < deadline {
            _ = try stage.client().get("/next")
            text = (try? SmallFile.read(path)) ?? ""
        }
        #expect(text.hasPrefix("127.0.0.1:") && text.contains("GET /next"))
    }

    @Test("a request without an answer is sent once more when that does no harm, and never otherwise")
    func retry() throws {
        let stage = try Stage(servers: 1)
        #expect(try stage.client().get("/close").status == 502)
        #expect(stage.servers[0].count.withLock { $0 } == 2)
        #expect(try stage.client().get("/close", method: "POST", body: "x").status == 502)
        #expect(stage.servers[0].count.withLock { $0 } == 3)
        // Without a body too: it is the method that forbids it.
        #expect(try stage.client().get("/close", method: "POST").status == 502)
        #expect(stage.servers[0].count.withLock { $0 } == 4)
        let lines = try stage.lines(3)
        #expect(lines[0].contains(" SH-- ") && lines[0].contains("/1 0/0 "))
    }

    @Test("a kept connection that its server closes at the wrong moment costs nobody an answer")
    func staleConnection() throws {
        let stage = try Stage(servers: 1)
        let client = try stage.client()
        for _ in 0..<4 { #expect(try client.get("/once").status == 200) }
        for _ in 0..<4 { #expect(try client.get("/once", method: "POST", body: "x").status == 200) }
    }

    @Test("a response that two readers would read in two ways is not passed on")
    func badResponse() throws {
        let stage = try Stage(servers: 1)
        #expect(try stage.client().get("/bad").status == 502)
        #expect(try stage.lines(1)[0].contains(" PH-- "))
    }

    @Test("a server that refuses connections is passed over, with any method, and marked")
    func redispatch() throws {
        let dead = try LittleServer("dead")
        let address = dead.address
        dead.close()
        let stage = try Stage(servers: 1) { configuration in
            // By its weight it would be chosen again and again.
            configuration.servers[0].rules.weight = 1
            configuration.servers.insert(
                .init(rules: .init(name: "dead", weight: 256), address: address), at: 0)
        }
        let client = try stage.client()
        for _ in 0..<4 { #expect(try client.get("/body", method: "POST", body: "x").body == "x") }
        let lines = try stage.lines(4)
        #expect(lines.contains { $0.contains("/1 0/0 ") })
    }

    @Test("with no server there is an answer at once")
    func noServer() throws {
        let stage = try Stage(servers: 1)
        stage.proxy.setAdmin(.maintenance, proxy: "web", server: "web1")
        try stage.ask("/name") { $0.status == 503 }
        #expect(try stage.lines(1).contains { $0.contains("web/<NOSRV>") && $0.contains(" 503 ") })
    }

    @Test("who waits in the queue is served when a place is free; a full queue answers 503 at once")
    func queue() throws {
        let stage = try Stage(servers: 1) {
            $0.servers[0].rules.limit = 1
            $0.queueLimit = 1
        }
        let (first, second, third) = (try stage.client(), try stage.client(), try stage.client())
        try first.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        try second.send("GET /name HTTP/1.1\r\nHost: a\r\n\r\n")
        // The three came in this order: one is in service, one waits, and for the third there is no room.
        #expect(try third.get("/name").status == 503)
        stage.servers[0].release()
        #expect(try first.answer().body == "slow")
        #expect(try second.answer().body == "web1")
    }

    @Test("a server that is slow is given up with 504, and who sends its head slowly with 408")
    func timeouts() throws {
        let stage = try Stage(servers: 1) {
            $0.timeouts.server = .milliseconds(200)
            $0.timeouts.head = .milliseconds(300)
        }
        #expect(try stage.client().get("/slow").status == 504)
        let client = try stage.client()
        try client.send("GET / HT")
        #expect(try client.answer().status == 408)
        let silent = try stage.client()
        #expect(try silent.isClosed())
        let lines = try stage.lines(2)
        #expect(lines[0].contains(" sH-- ") && lines[1].contains(" cR-- "))
    }

    @Test(
        "checks decide who gets requests: none before the first, none while down, a share after coming back")
    func checks() throws {
        let away = try LittleServer("away")
        let address = away.address
        away.close()
        let stage = try Stage(servers: 1) { configuration in
            configuration.servers.append(.init(rules: .init(name: "away"), address: address))
            configuration.check = .http(path: "/check", host: "web", statuses: 200...399)
            configuration.health = ServerHealth.Rules(
                interval: .milliseconds(100), fastInterval: .milliseconds(100), rise: 2, fall: 2)
        }
        try stage.ask("/name") { $0.status == 200 }
        let client = try stage.client()
        for _ in 0..<6 { #expect(try client.get("/name").body == "web1") }
        #expect(try stage.lines(7).allSatisfy { $0.contains("/0 0/0 ") }, "nobody was sent to it first")
        let back = try LittleServer("away", at: address)
        try stage.start(back)
        try stage.ask("/name") { $0.body == "away" }
        #expect(try Set((0..<4).map { _ in try client.get("/name").body }) == ["web1", "away"])
        #expect(try stage.lines(6).filter { $0.contains("web/away") }.allSatisfy { $0.contains(" 200 ") })
    }

    @Test("in TCP mode bytes go both ways, after a line that tells who the client is")
    func tcp() throws {
        let stage = try Stage(servers: 2, echoesOnly: true) {
            $0.mode = .tcp
            $0.sendsProxyLine = true
        }
        let client = try stage.client()
        let line = "PROXY TCP4 127.0.0.1 127.0.0.1 "
        #expect(try client.bytes(line.utf8.count) == line)
        var rest = ""
        while !rest.hasSuffix("\r\n") { rest += try client.bytes(1) }
        #expect(rest.hasSuffix(" \(try #require(stage.proxy.address(of: "web")).port)\r\n"))
        let text = String(repeating: "text ", count: 10_000)
        try client.send(text)
        #expect(try client.bytes(text.utf8.count) == text)
        client.endSending()
        #expect(try client.isClosed())
        #expect(try stage.lines(1)[0].contains(" -- 1/1/1/1/0 0/0"))
    }
}
