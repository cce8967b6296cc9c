import ControlPlane
import Testing

@testable import ProxyRuntime

@Suite("the control socket's words about the past")
struct ProxyControlTests {
    @Test("log answers the last lines, and goes on from where one stopped")
    func lines() {
        let ring = LogRing()
        ring.add(Array("a\nb\nc\n".utf8), count: 3)
        let last = ProxyControl.lines(["last", "2"], of: ring)
        #expect(last.isOK && last.body["lines"].elements.compactMap(\.string) == ["b", "c"])
        #expect(last.body["next"].integer == 4)
        ring.add(Array("d\n".utf8), count: 1)
        let more = ProxyControl.lines(["from", "4"], of: ring)
        #expect(more.body["lines"].elements.compactMap(\.string) == ["d"])
        #expect(more.body["missed"].integer == 0)
    }

    @Test("explain answers sentences, of one proxy or of all, and refuses a proxy that is not there")
    func explain() throws {
        let stage = try Stage()
        _ = try stage.client().get("/name")
        func asked(_ arguments: [String]) throws -> ControlReply {
            let mail = try Mail<ControlReply>()
            ProxyControl.explain(arguments, stage.proxy) { mail.put($0) }
            return try mail.get()
        }
        for arguments in [["5"], ["5", "web"]] {
            let reply = try asked(arguments)
            #expect(reply.isOK && reply.body.elements.count == 1)
            #expect(
                reply.body.elements[0].string?.contains("-> web1; its turn in roundrobin among 2") == true)
        }
        #expect(try asked(["0"]).body.elements.isEmpty)
        #expect(try asked(["5", "nobody"]).message == "no proxy is called 'nobody'")
        for wrong in [[], ["x"], ["-1"], ["1", "web", "more"]] { #expect(try !asked(wrong).isOK) }
    }

    @Test("a reload keeps what was counted and chosen of the servers that stay, and the page its token")
    func reload() throws {
        let stage = try Stage()
        for _ in 0..<4 { _ = try stage.client().get("/name") }
        let before = try stage.page("/").body
        _ = try stage.lines(4)
        try stage.reloaded { $0.servers.removeFirst() }
        let csv = try stage.page("/;csv").body
        #expect(!csv.contains("web,web1,") && csv.contains("web,web2,0,0,0,1,,2,"))
        #expect(csv.contains("web,FRONTEND,,,0,"))
        let token = before.split(separator: "name=token value=\"", maxSplits: 1).last.map { $0.prefix(32) }
        let order = try stage.page(
            "/", method: "POST", body: "token=\(try #require(token))&b=web&s=web2&action=drain")
        #expect(order.status == 303)
        #expect(try stage.page("/;csv").body.contains(",DRAIN,"))
        let mail = try Mail<[String]?>()
        stage.proxy.explain(proxy: "web", count: 256) { mail.put($0) }
        #expect(try mail.get()?.count == 4)
    }

    @Test(
        "what is no request is refused with what would be one",
        arguments: [[], ["last"], ["last", "x"], ["last", "-1"], ["first", "1"], ["last", "1", "2"]])
    func refused(_ arguments: [String]) {
        let reply = ProxyControl.lines(arguments, of: LogRing())
        #expect(!reply.isOK && reply.message.contains("'last' or 'from'"))
    }
}
