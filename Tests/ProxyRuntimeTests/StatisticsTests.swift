import Balancing
import Basics
import LinuxSystem
import ProxyReport
import ProxyRuntime
import Synchronization
import Testing

@Suite("the statistics of a running proxy")
struct StatisticsTests {
    /// The rows of the CSV by the server's name.
    func rows(_ stage: Stage) throws -> [String: [String: String]] {
        let answer = try stage.page("/;csv")
        #expect(answer.status == 200 && answer.head.contains("Content-Type: text/plain"))
        let lines = answer.body.split(separator: "\n").map {
            $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        }
        let head = try #require(lines.first)
        #expect(head.first == "# pxname" && lines.allSatisfy { $0.count == head.count })
        var rows: [String: [String: String]] = [:]
        for cells in lines.dropFirst() {
            rows[cells[1]] = Dictionary(zip(head.dropLast(), cells), uniquingKeysWith: { first, _ in first })
        }
        return rows
    }

    /// The token that the page shows.
    func token(_ stage: Stage) throws -> String {
        let parts = try stage.page("/").body.split(separator: "name=token value=\"", maxSplits: 1)
        return String(try #require(parts.last).prefix(32))
    }

    @Test("the page answers nobody without the right user and password, on any path and with any method")
    func locked() throws {
        let stage = try Stage()
        let wrong = "Authorization: Basic YWRtaW46d3Jvbmc=\r\n"
        for fields in ["", wrong] {
            for path in ["/", "/;csv", "/json", "/x"] {
                let answer = try stage.reader().get(path, fields)
                #expect(answer.status == 401 && !answer.body.contains("web"))
                #expect(answer.head.contains("WWW-Authenticate: Basic realm="))
            }
            let order = "b=web&s=web1&action=maint&token=\(try token(stage))"
            #expect(try stage.reader().get("/", fields, method: "POST", body: order).status == 401)
        }
        #expect(try stage.page("/").status == 200)
        #expect(try rows(stage)["web1"]?["status"] == "no check")
    }

    @Test("what went through is counted at the clients' side, at each server and at all of them")
    func counts() throws {
        let stage = try Stage { $0.cookieName = "TANDEM" }
        let client = try stage.client()
        for _ in 0..<4 { _ = try client.get("/name") }
        _ = try client.get("/body", method: "POST", body: "0123456789")
        _ = try stage.client().get("/close")
        _ = try stage.client().send("no request\r\n\r\n")
        _ = try stage.lines(7)
        let rows = try rows(stage)
        let (front, web1, web2, back) = (rows["FRONTEND"], rows["web1"], rows["web2"], rows["BACKEND"])
        #expect(front?["stot"] == "3" && front?["req_tot"] == "6" && front?["ereq"] == "1")
        #expect(front?["hrsp_2xx"] == "5" && front?["hrsp_4xx"] == "1" && front?["hrsp_5xx"] == "1")
        #expect(back?["hrsp_2xx"] == "5" && back?["hrsp_4xx"] == "0" && back?["stot"] == "6")
        #expect(web1?["stot"] == "3" && web2?["stot"] == "3" && web1?["smax"] == "1")
        #expect(back?["eresp"] == "1" && back?["wretr"] == "1")
        let number = { (row: [String: String]?, name: String) in row?[name].flatMap { Int($0) } ?? -1 }
        #expect(number(front, "bin") == number(web1, "bin") + number(web2, "bin"))
        #expect(number(front, "bin") > 6 * 20 && number(back, "bout") > 5 * 40)
        #expect(number(web1, "connect") + number(web1, "reuse") == 3)
        #expect(back?["algo"] == "roundrobin" && back?["cookie"] == "TANDEM")
        #expect(front?["rate_max"] != "0" && web1?["lastsess"] == "0")
    }

    @Test(
        "a server that refuses connections counts connection errors and redispatches, and its checks say why")
    func failures() throws {
        let stage = try Stage {
            $0.check = .tcp
            $0.health.fall = 1
            $0.health.interval = .milliseconds(100)
            guard let nobody = SocketAddress(host: "127.0.0.1", port: 1) else { return }
            $0.servers.append(.init(rules: .init(name: "gone"), address: nobody))
        }
        try stage.ask("/name") { $0.status == 200 }
        let deadline = Instant.now() + .seconds(10)
        var row = try rows(stage)["gone"]
        while row?["check_status"] != "L4CON", Instant.now() < deadline { row = try rows(stage)["gone"] }
        #expect(row?["check_status"] == "L4CON" && row?["status"] == "DOWN" && row?["chkdown"] == "1")
        #expect(row?["check_desc"] == "Layer4 connection problem")
        while try rows(stage)["web1"]?["check_status"] != "L4OK", Instant.now() < deadline {}
        #expect(try rows(stage)["web1"]?["status"] == "UP")
        let unchecked = try Stage {
            guard let nobody = SocketAddress(host: "127.0.0.1", port: 1) else { return }
            $0.servers = [.init(rules: .init(name: "gone"), address: nobody), $0.servers[1]]
        }
        #expect(try unchecked.client().get("/name").body == "web2")
        _ = try unchecked.lines(1)
        let gone = try rows(unchecked)["gone"]
        #expect(gone?["econ"] == "1" && gone?["wredis"] == "1")
        #expect(try rows(unchecked)["BACKEND"]?["hrsp_2xx"] == "1")
    }

    @Test("a drain by the page takes a server's turns away, and shows; ready gives them back")
    func orders() throws {
        let stage = try Stage()
        let token = try token(stage)
        func order(_ action: String, server: String = "web1") throws -> Answer {
            try stage.page(
                "/", "Sec-Fetch-Site: same-origin\r\nOrigin: http://\("test")\r\n", method: "POST",
                body: "token=\(token)&b=web&s=\(server)&action=\(action)")
        }
        let answer = try order("drain")
        #expect(answer.status == 303 && answer.head.contains("Location: /;st=DONE\r\n"))
        #expect(try rows(stage)["web1"]?["status"] == "DRAIN")
        #expect(try stage.page("/;st=DONE").body.contains("The order is carried out."))
        for _ in 0..<4 { #expect(try stage.client().get("/name").body == "web2") }
        #expect(try order("maint").status == 303)
        #expect(try rows(stage)["web1"]?["status"] == "MAINT")
        #expect(try order("ready").status == 303)
        #expect(Set(try (0..<2).map { _ in try stage.client().get("/name").body }) == ["web1", "web2"])
        #expect(try order("drain", server: "nobody").head.contains("Location: /;st=UNKNOWN\r\n"))
        #expect(try order("explode").status == 400)
    }

    @Test("an order without the page's token, or from another site, is refused and changes nothing")
    func forgery() throws {
        let stage = try Stage()
        let token = try token(stage)
        func post(_ token: String, _ fields: String = "") throws -> Int {
            try stage.page(
                "/", fields, method: "POST", body: "\(token)b=web&s=web1&action=maint"
            ).status
        }
        #expect(try post("") == 403)
        #expect(try post("token=\(String(repeating: "0", count: 32))&") == 403)
        #expect(try post("token=\(token)&", "Origin: http://evil.example.com\r\n") == 403)
        #expect(try post("token=\(token)&", "Sec-Fetch-Site: cross-site\r\n") == 403)
        #expect(try stage.page("/?token=\(token)&b=web&s=web1&action=maint").status == 404)
        #expect(try rows(stage)["web1"]?["status"] == "no check")
        #expect(try stage.page("/", method: "DELETE").status == 405)
        let body = String(repeating: "x", count: StatisticsRules.bodyMaximum + 1)
        #expect(try stage.page("/", method: "POST", body: body).status == 413)
    }

    @Test("the page is one document with nothing from elsewhere, and may not be framed or kept")
    func page() throws {
        let stage = try Stage()
        let answer = try stage.page("/")
        #expect(answer.isComplete && answer.head.contains("Content-Type: text/html; charset=utf-8"))
        for field in [
            "Cache-Control: no-store", "X-Frame-Options: DENY", "Content-Security-Policy: default-src 'none'",
            "Connection: close", "Date: ",
        ] { #expect(answer.head.contains(field)) }
        #expect(answer.body.contains("http-equiv=\"refresh\"") && answer.body.contains("web1"))
        #expect(try !stage.page("/;norefresh").body.contains("http-equiv=\"refresh\""))
        #expect(try stage.page("/", method: "HEAD").head.contains("Content-Length: "))
        let json = try stage.page("/json")
        #expect(json.head.contains("application/json") && json.body.contains("\"svname\":\"web2\""))
    }

    @Test("the last lines of the log are kept, and can be read on from where one stopped")
    func ring() throws {
        let stage = try Stage()
        let client = try stage.client()
        for number in 0..<5 { _ = try client.get("/name?\(number)") }
        _ = try stage.lines(5)
        let deadline = Instant.now() + .seconds(10)
        // The ring gets the lines just after those who read the log.
        while stage.proxy.ring.last(10).lines.count < 5, Instant.now() < deadline {}
        let last = stage.proxy.ring.last(2)
        #expect(last.lines.count == 2 && last.lines[1].contains("GET /name?4 "))
        _ = try client.get("/name?5")
        _ = try stage.lines(6)
        while stage.proxy.ring.from(last.next).lines.isEmpty, Instant.now() < deadline {}
        let more = stage.proxy.ring.from(last.next)
        #expect(more.lines.count == 1 && more.missed == 0 && more.lines[0].contains("GET /name?5 "))
        #expect(try stage.lines(6) == stage.proxy.ring.last(10).lines)
    }

    @Test("explain tells the last choices with their reasons")
    func explain() throws {
        let stage = try Stage { $0.cookieName = "TANDEM" }
        let client = try stage.client()
        let first = try client.get("/name")
        let field = first.head.split(separator: "\r\n").first { $0.hasPrefix("Set-Cookie: ") }
        let pair = try #require(field?.dropFirst("Set-Cookie: ".count).split(separator: ";").first)
        _ = try client.get("/name", "Cookie: \(pair)\r\n")
        _ = try client.get("/name", "Cookie: TANDEM=0000000000000000\r\n")
        for server in ["web1", "web2"] { stage.proxy.setAdmin(.maintenance, proxy: "web", server: server) }
        try stage.ask("/name") { $0.status == 503 }
        func told(_ proxy: String?, _ count: Int) throws -> [String]? {
            let box = Mutex<[String]??>(nil)
            let done = try EventCounter()
            let keep = Keep(box)
            stage.proxy.explain(proxy: proxy, count: count) { sentences in
                keep.box.withLock { $0 = .some(sentences) }
                done.signal()
            }
            var poll = PollSet()
            poll.add(done.descriptor.raw, .readable)
            guard try poll.wait(until: .now() + .seconds(10)) > 0 else { throw TestFailure("no answer") }
            return keep.box.withLock { $0 ?? nil }
        }
        let sentences = try #require(try told("web", 256))
        try #require(sentences.count >= 4)
        #expect(sentences[0].contains(" web: 127.0.0.1:"))
        #expect(sentences[0].contains(" -> web1; no cookie, so: its turn in roundrobin among 2 servers"))
        #expect(sentences[1].contains(" -> web1; its cookie is valid"))
        #expect(sentences[2].contains(" -> web2; its cookie names no server of ours, so: its turn"))
        #expect(sentences.last?.contains("no server may be chosen: 2 in maintenance") == true)
        #expect(try told(nil, 1)?.count == 1)
        #expect(try told("nobody", 1) == nil)
    }

    /// A mutex may not be captured where it stands.
    final class Keep: Sendable {
        let box: Mutex<[String]??>
        init(_ box: consuming Mutex<[String]??>) { self.box = box }
    }

    @Test("what waits in a pipe of connections is closed after its time, and many readers do no harm")
    func manyReaders() throws {
        let stage = try Stage()
        let silent = try (0..<70).map { _ in try stage.reader() }
        // More than may be at once: one of them is closed unanswered, and the proxy goes on.
        #expect(try silent[69].isClosed())
        #expect(try stage.client().get("/name").status == 200)
    }
}
