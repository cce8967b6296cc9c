import Balancing
import Basics
import ControlPlane
import Glibc
import LinuxSystem
import Settings
import Telemetry
import Testing

@testable import ProxyRuntime

@Suite("the verbs of the proxy")
struct ProxyVerbTests {
    @Test("a name that is not there is answered with the nearest that is")
    func names() throws {
        let stage = try Stage()
        #expect(try stage.verb("drain", "web/web3").message.contains("did you mean 'web1'?"))
        #expect(
            try stage.verb("drain", "wbe/web1").message == "no proxy is called 'wbe'; did you mean 'web'?")
        #expect(try stage.verb("drain", "wbe2").message.contains("did you mean 'web2'?"))
        #expect(try stage.verb("drian", "web1").message.contains("did you mean 'drain'?"))
        #expect(try stage.verb("weight", "web1", "257").message.contains("from 0 to 256"))
        #expect(try !stage.verb("weight", "web1").isOK)
        #expect(try stage.verb("drain", "web1").isOK)
        #expect(try stage.row("web1")["status"].string == "DRAIN")
        var twin = stage.configuration
        (twin.name, twin.listen) = ("twin", try #require(SocketAddress(host: "127.0.0.2", port: 0)))
        try stage.reload([stage.configuration, twin]).get()
        #expect(try stage.verb("drain", "web1").message.contains("say which: "))
        #expect(try stage.verb("drain", "twin/web1").isOK)
    }

    @Test("who is left at a server is shown until nobody is: in service, and connected with its cookie")
    func left() throws {
        let stage = try Stage(servers: 1) { $0.cookieName = "TANDEM" }
        #expect(try stage.verb("drain", "web/web1").isOK)
        #expect(try stage.verb("ready", "web/web1").isOK)
        let client = try stage.client()
        try client.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        try stage.await("left", "web1") { $0["inService"].integer == 1 }
        #expect(try stage.verb("drain", "web/web1").message.contains("1 in service"))
        let busy = try #require(ProxyRemainder(stage.verb("left", "web1").body))
        #expect(busy.clients == [.init(address: "127.0.0.1", inService: 1, returning: 0)])
        #expect(busy.isLeaving && busy.isSticky && !busy.isEmpty(quiet: .milliseconds(0)))
        #expect(busy.sentence == "web/web1: 1 in service: 127.0.0.1")
        stage.servers[0].release()
        #expect(try client.answer().body == "slow")
        let returning = try #require(ProxyRemainder(stage.verb("left", "web1").body))
        #expect(returning.inService == 0 && returning.returning == 1)
        #expect(!returning.isEmpty(quiet: .milliseconds(0)))
        #expect(returning.sentence.contains("1 connected with its cookie: 127.0.0.1"))
        client.endSending()
        #expect(try client.isClosed())
        try stage.await("left", "web1") { ProxyRemainder($0)?.isEmpty(quiet: .milliseconds(0)) == true }
        let empty = try #require(ProxyRemainder(stage.verb("left", "web1").body))
        #expect(!empty.isEmpty(quiet: nil), "who has its cookie may be on the way")
        #expect(try stage.verb("ready", "web/web1").isOK)
        #expect(try ProxyRemainder(stage.verb("left", "web1").body)?.isLeaving == false)
    }

    @Test("what the operator wants survives a restart and a reload; new settings win over an older weight")
    func survives() throws {
        let scratch = try Scratch()
        do {
            let running = try RunningStore(scratch.path)
            let stage = try Stage(store: running.store)
            #expect(try stage.verb("drain", "web1").isOK)
            #expect(try stage.verb("weight", "web2", "7").isOK)
            try stage.reloaded { $0.queueLimit = 5 }
            #expect(try stage.row("web1")["status"].string == "DRAIN")
            #expect(try stage.row("web2")["weight"].integer == 7)
        }
        #expect(
            try SmallFile.read(scratch.path + "/proxy.admin")
                == "tandem proxy admin 1\nweb web1 drain turn 1\nweb web2 ready weight 7 over 100 turn 2\nend\n"
        )
        let running = try RunningStore(scratch.path)
        let stage = try Stage(store: running.store)
        #expect(try stage.row("web1")["status"].string == "DRAIN")
        #expect(try stage.row("web2")["weight"].integer == 7)
        #expect(try stage.client().get("/name").body == "web2")
        // Another address for the same name: it was the name that was drained.
        try stage.reloaded {
            $0.servers[0].address = $0.servers[1].address
            $0.servers[1].rules.weight = 50
        }
        #expect(try stage.row("web1")["status"].string == "DRAIN")
        #expect(try stage.row("web2")["weight"].integer == 50)
        try stage.reloaded { $0.servers[1].rules.weight = 100 }
        #expect(
            try stage.row("web2")["weight"].integer == 100,
            "an order that the settings have overruled is over")
        try stage.reloaded { $0.servers.removeFirst() }
        try stage.reloaded { _ in }
        #expect(try stage.row("web1")["status"].string == "no check")
        #expect(stage.journal.events().map(\.name).contains("order-forgotten"))
    }

    @Test(
        "a file that cannot be read is told, and the servers are ready",
        arguments: [
            "tandem proxy admin 2\nend\n", "tandem proxy admin 1\nweb web1 drain\n",
            "tandem proxy admin 1\nweb web1 drian\nend\n", "", "tandem proxy admin 1\nweb web1 drain\nend",
        ])
    func badFile(_ text: String) throws {
        let scratch = try Scratch()
        try scratch.write("proxy.admin", text)
        let running = try RunningStore(scratch.path)
        let stage = try Stage(store: running.store)
        #expect(try stage.row("web1")["status"].string == "no check")
        let event = stage.journal.events().first { $0.name == "admin-state-unreadable" }
        #expect(event?.level == .warning)
        #expect(event?.text.contains("all servers are ready") == true)
    }

    @Test("an order that cannot be kept is refused with what is true: it holds, until the next start")
    func unwritable() throws {
        let running = try RunningStore("/proc/nowhere")
        let stage = try Stage(store: running.store)
        let reply = try stage.verb("maintenance", "web1")
        #expect(!reply.isOK && reply.message.contains("web/web1 is in maintenance"))
        #expect(reply.message.contains("a restart will forget it"))
        #expect(try stage.row("web1")["status"].string == "MAINT")
    }

    @Test("an order is answered when it is in the file; one that cannot be written leaves the last one whole")
    func durable() throws {
        let scratch = try Scratch()
        let running = try RunningStore(scratch.path)
        let stage = try Stage(store: running.store)
        let file = scratch.path + "/proxy.admin"
        #expect(try stage.verb("drain", "web1").isOK)
        let kept = try SmallFile.read(file)
        #expect(kept.contains("web web1 drain"))
        #expect(mkdir(file + ".new", 0o700) == 0, "no draft can be made")
        let reply = try stage.verb("maintenance", "web1")
        #expect(!reply.isOK && reply.message.contains("a restart will forget it"))
        #expect(try SmallFile.read(file) == kept)
        rmdir(file + ".new")
        #expect(try stage.verb("maintenance", "web1").isOK)
        #expect(try SmallFile.read(file).contains("web web1 maintenance"))
    }

    @Test("what is written is read back, whatever it is")
    func text() throws {
        var admin = ProxyAdmin()
        admin[.init(proxy: "a", server: "b.c")] = .init(state: .maintenance)
        admin[.init(proxy: "a", server: "d")] = .init(state: .ready, weight: .init(value: 0, over: 256))
        admin[.init(proxy: "a", server: "e")] = .init(state: .drain, weight: .init(value: 1, over: 0))
        #expect(try ProxyAdmin(text: admin.text) == admin)
        admin[.init(proxy: "a", server: "d")] = .init()
        #expect(admin.entries.count == 2)
    }
}

@Suite("settings that are read anew")
struct ProxyReloadFileTests {
    /// A settings file, the proxy that it describes, and what answers its control socket.
    func handled(_ scratch: Scratch, _ stage: Stage, _ text: String) throws -> ProxyControl {
        try scratch.write("tandem.yaml", text)
        let settings = try Settings.load(path: scratch.path + "/tandem.yaml")
        return ProxyControl(stage.proxy, settings: settings, journal: stage.journal)
    }

    func text(_ stage: Stage, _ server: String, _ more: String = "") throws -> String {
        let port = try #require(stage.proxy.address(of: "web")).port
        return """
            state-directory: /dev/shm/none
            run-directory: /dev/shm/none
            proxies:
              web:
                listen: 127.0.0.1:\(port)
                check: none
                log: none
                servers: { \(server): "\(stage.servers[0].address)" }
            \(more)
            """
    }

    func reload(_ control: ProxyControl) throws -> ControlReply {
        let mail = try Mail<ControlReply>()
        control.handle(ControlRequest(verb: "reload")) { mail.put($0) }
        return try mail.get()
    }

    @Test("a file with a mistake changes nothing and is told with its line; the next one without is taken")
    func file() throws {
        let scratch = try Scratch()
        let stage = try Stage(servers: 1)
        let client = try stage.client()
        #expect(try client.get("/name").status == 200)
        let control = try handled(scratch, stage, text(stage, "web1"))
        try scratch.write("tandem.yaml", text(stage, "web1").replacing("check: none", with: "chekc: none"))
        let bad = try reload(control)
        #expect(!bad.isOK)
        #expect(
            bad.message.contains(
                "tandem.yaml:6:5: unknown key 'chekc' in 'proxies.web'; did you mean 'check'?"))
        #expect(bad.message.contains("Nothing has changed"))
        try scratch.write(
            "tandem.yaml",
            text(stage, "web1").replacing("run-directory: /dev/shm/none", with: "run-directory: /x"))
        #expect(try reload(control).message.contains("'run-directory' cannot change"))
        #expect(try stage.row("web1")["stot"].integer == 1)
        try scratch.write("tandem.yaml", text(stage, "web9"))
        #expect(try reload(control) == .done("reloaded: web"))
        #expect(try client.get("/name").status == 200)
        #expect(try stage.row("web9")["stot"].integer == 1)
        #expect(stage.journal.events().map(\.name) == ["reload-refused", "reload-refused", "reloaded"])
    }

    @Test("sticky cookies need the secret, and a proxy without them none")
    func secret() throws {
        func plan(_ more: String) throws -> ProxyPlan {
            let text = """
                secret: /dev/shm/no-such-secret
                proxies:
                  web: { listen: "127.0.0.1:80", servers: { a: "127.0.0.1:81" }\(more) }
                """
            return try ProxyProcess.plan(Settings.parse(text: text, file: "t.yaml"))
        }
        #expect(try plan("").proxies.count == 1)
        #expect(try plan(", balance: source").proxies.count == 1)
        let error = #expect(throws: ProxyError.self) { try plan(", sticky: cookie") }
        let sentence = error.map { "\($0)" } ?? ""
        #expect(sentence.contains("the proxy 'web' has 'sticky: cookie'"))
        #expect(sentence.contains("tandem secret --out /dev/shm/no-such-secret"))
    }
}
