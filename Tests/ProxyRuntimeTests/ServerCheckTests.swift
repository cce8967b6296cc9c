import Balancing
import Basics
import ControlPlane
import LinuxSystem
import ProxyRuntime
import Telemetry
import Testing

@Suite("checks of servers")
struct ServerCheckTests {
    // Under much load clients were sent away from servers that were well: the connection of a check was made, the proxy
    // got no processor until the check's time was over, and so the server was never asked.
    @Test("a proxy that got no processor for as long as a check may take does not blame its server")
    func stalled() throws {
        let stage = try Stage(servers: 1) {
            $0.check = .http(path: "/check", host: "web", statuses: 200...399)
            $0.timeouts.check = .milliseconds(150)
            $0.health = ServerHealth.Rules(
                interval: .milliseconds(100), fastInterval: .milliseconds(100), rise: 1, fall: 1)
        }
        try stage.ask("/name") { $0.status == 200 }
        for _ in 0..<15 {
            let mail = try Mail<Bool>()
            // On the proxies' thread: as if another process had the processor.
            stage.proxy.look { _ in
                let end = Instant.now() + .milliseconds(200)
                while Instant.now() < end {}
                mail.put(true)
            }
            _ = try mail.get()
        }
        #expect(stage.journal.events().filter { $0.name == "server-down" }.map(\.text) == [])
    }

    @Test("the journal says when a server goes and why, how many are left, and when it is back")
    func told() throws {
        let away = try LittleServer("away")
        let address = away.address
        away.close()
        let stage = try Stage(servers: 1) {
            $0.servers.append(.init(rules: .init(name: "away"), address: address))
            $0.check = .tcp
            $0.health = ServerHealth.Rules(
                interval: .milliseconds(100), fastInterval: .milliseconds(100), rise: 1, fall: 1)
        }
        func isAway(_ word: String, _ body: JSONValue) -> Bool {
            body["rows"].elements.contains { $0["svname"].string == "away" && $0["status"].string == word }
        }
        try stage.await("status", "") { isAway("DOWN", $0) }
        let down = try #require(stage.journal.events().first { $0.name == "server-down" })
        #expect(down.level == .warning)
        #expect(down.fields.map(\.key) == ["server", "reason", "serving"])
        #expect(down.fields[0].value == "web/away")
        #expect(down.fields[1].value.hasPrefix("Layer4 connection problem, L4CON in "))
        try stage.start(try LittleServer("away", at: address))
        try stage.await("status", "") { isAway("UP", $0) }
        let up = try #require(stage.journal.events().last { $0.name == "server-up" })
        #expect(up.level == .notice)
        #expect(up.fields[0].value == "web/away" && up.fields[2].value == "2")
    }

    @Test("requests that fail in a row take a server out as well, and the journal says so")
    func passive() throws {
        let stage = try Stage(servers: 2) {
            $0.check = .tcp
            $0.health = ServerHealth.Rules(interval: .seconds(3600), passiveLimit: 2)
        }
        try stage.ask("/name") { $0.status == 200 }
        stage.servers[1].close()
        stage.servers[1].end()
        try stage.ask("/name") { _ in
            stage.journal.events().contains { $0.name == "server-down" }
        }
        let down = try #require(stage.journal.events().first { $0.name == "server-down" })
        #expect(down.fields.map(\.value) == ["web/web2", "2 requests in a row failed", "1"])
    }
}
