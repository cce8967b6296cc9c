import Basics
import Settings
import Testing

@Suite("The proxies in the settings")
struct ProxySettingsTests {
    static let written = """
        proxies:
          web:
            listen: 0.0.0.0:80
            balance: leastconn
            sticky: cookie
            servers: { web1: 192.168.56.21:80, web2: { address: "[2001:db8::1]:81", weight: 50, backup: true, maxconn: 9 } }
            check: { http: /ok, interval: 1s, fall: 2 }
            timeouts: { head: 5s }
            log: /var/log/web.log
          mail: { listen: 127.0.0.1:25, mode: tcp, servers: { a: 10.0.0.1:25 }, check: none, send-proxy: true, log: none }

        """

    @Test("are read, with a default for each key that is not written")
    func read() throws {
        let settings = try Settings.parse(text: example + "\n" + Self.written, file: "t.yaml")
        #expect(settings.proxies.map(\.name) == ["mail", "web"])
        let web = settings.proxies[1]
        #expect("\(web.listen)" == "0.0.0.0:80" && web.mode == .http && web.balance == .leastconn)
        #expect(web.sticky == .cookie && web.cookie == "TANDEM" && web.queue == 128)
        #expect(web.servers.map { "\($0.endpoint)" } == ["192.168.56.21:80", "[2001:db8::1]:81"])
        #expect(web.servers.map(\.weight) == [100, 50] && web.servers.map(\.isBackup) == [false, true])
        #expect(web.servers.map(\.limit) == [nil, 9])
        #expect(web.check.kind == .http("/ok") && web.check.interval == .seconds(1))
        #expect(web.check.rise == 2 && web.check.fall == 2)
        #expect(web.timeouts.head == .seconds(5) && web.timeouts.connect == .seconds(5))
        let mail = settings.proxies[0]
        #expect(mail.mode == .tcp && mail.check.kind == .none && mail.sendsProxyLine)
        #expect(web.log == .file("/var/log/web.log") && mail.log == .none)
        #expect(settings.canonicalLines.contains("proxies.mail.servers.a = 10.0.0.1:25 weight 100"))
        #expect(try Settings.parse(text: example, file: "t.yaml").proxies.isEmpty)
    }

    @Test("need no groups, nodes, witness or cluster in a file of their own")
    func alone() throws {
        let settings = try Settings.parse(text: Self.written, file: "t.yaml")
        #expect(settings.proxies.count == 2 && settings.groups.isEmpty && settings.nodes.isEmpty)
        #expect(settings.cluster == "tandem" && settings.witness == nil)
        let error = #expect(throws: SettingsError.self) { try settings.localNode(named: nil) }
        #expect(error.map { "\($0)" }?.contains("only proxies, which `tandem proxy` runs") == true)
        // What is written is still checked, and groups bring back all that they need.
        #expect(messages("cluster: 'a b'\n" + Self.written).count == 1)
        #expect(messages("nodes: { a: { address: 10.0.0.1 } }\n" + Self.written).count == 1)
        let missing = messages("groups: { files: { volume: { size: 1GiB } } }\n" + Self.written)
        #expect(
            ["'cluster'", "'nodes'", "'witness'"].allSatisfy { word in missing.contains { $0.contains(word) }
            })
        #expect(messages("cluster: lab").contains { $0.contains("'groups' is missing") })
    }

    @Test("may name a server's machine, if they check it")
    func names() throws {
        func read(_ place: String, _ more: String = "") throws -> Settings {
            let text = "proxies: { web: { listen: '0.0.0.0:80', servers: { a: '\(place)' }\(more) } }"
            return try Settings.parse(text: text, file: "t.yaml")
        }
        let endpoint = try read("web-1.lab.example:8080").proxies[0].servers[0].endpoint
        #expect(
            endpoint == .name("web-1.lab.example", port: 8080) && "\(endpoint)" == "web-1.lab.example:8080")
        for wrong in [
            "web_1:80", "-web:80", "web", "web:0", "web:65536", "10.0.0.256:80", "web..a:80", "::1:80",
        ] {
            #expect(throws: SettingsError.self) { try read(wrong) }
        }
        let error = #expect(throws: SettingsError.self) { try read("web:80", ", check: none") }
        #expect(
            error?.problems.first?.message.contains("needs a check to tell when it has no address") == true)
    }

    @Test("may write their log to syslog, here or on another machine")
    func syslog() throws {
        let log = { (word: String) in
            let text = Self.written.replacing("log: /var/log/web.log", with: "log: \(word)")
            return try Settings.parse(text: example + "\n" + text, file: "t.yaml").proxies[1].log
        }
        #expect(try log("syslog") == .syslog)
        guard case .syslogServer(let server) = try log("syslog:192.168.56.13:514") else {
            Issue.record("no server")
            return
        }
        #expect("\(server)" == "192.168.56.13:514")
    }

    @Test("have a page with user and password, which is nowhere else")
    func statistics() throws {
        func read(_ text: String) throws -> Settings {
            try Settings.parse(text: example + "\n" + Self.written + text, file: "t.yaml")
        }
        #expect(try read("").statistics == nil)
        let settings = try read("statistics: { user: admin, password: s3cret }")
        let page = try #require(settings.statistics)
        #expect(
            "\(page.listen)" == "127.0.0.1:8404" && page.user == "admin" && page.password == .text("s3cret"))
        #expect(page.refresh == .seconds(5))
        #expect(!settings.canonicalLines.contains { $0.contains("s3cret") })
        let other = try read(
            "statistics: { listen: 0.0.0.0:9000, user: a, password-file: /etc/tandem/page, refresh: 0s }")
        #expect(other.statistics?.password == .file("/etc/tandem/page"))
        #expect(other.statistics?.refresh == .seconds(0))
    }

    @Test(
        "do not take a page without a user and one password",
        arguments: [
            ("{ password: x }", "'statistics.user' is missing; expected the user's name, without a colon"),
            ("{ user: a }", "'statistics' has no password; expected the password in 'password',"),
            (
                "{ user: a, password: x, password-file: /x }",
                "'statistics' has two passwords; expected the password"
            ),
            ("{ user: 'a:b', password: x }", "'statistics.user' must be the user's name, without a colon"),
            (
                "{ user: a, password: \"x\\ty\" }",
                "'statistics.password' must be 1 to 128 characters that can be typed"
            ),
            ("{ user: a, password: '' }", "'statistics.password' must be the password"),
            (
                "{ user: a, password: x, listen: 0.0.0.0:80 }",
                "'statistics.listen' is the address of the proxy 'web'"
            ),
            ("{ user: a, password-file: x }", "'statistics.password-file' must be"),
            ("{ user: a, password: x, pasword: y }", "unknown key 'pasword' in 'statistics'"),
        ])
    func refusedStatistics(_ text: String, _ message: String) throws {
        let found = messages(example + "\n" + Self.written + "statistics: " + text)
        #expect(found.count == 1 && found[0].contains(message), "\(found)")
    }

    @Test(
        "are refused with the place and what was expected",
        arguments: [
            (
                "0.0.0.0:80", "0.0.0.0",
                "t.yaml:16:13: 'proxies.web.listen' must be an address and port, such as"
                    + " 0.0.0.0:80, found '0.0.0.0'"
            ),
            (
                "sticky: cookie", "sticky: cokie",
                "t.yaml:18:13: 'proxies.web.sticky' must be one of none, cookie,"
                    + " found 'cokie'; did you mean 'cookie'?"
            ),
            (
                "sticky: cookie", "sticky: cookie\n    mode: tcp",
                "t.yaml:18:13: 'sticky: cookie' needs 'mode: http': a"
                    + " cookie is part of a request; for TCP write 'balance: source'"
            ),
            (
                "web1: 192.168.56.21:80", "web1: web1_example.com:80",
                "t.yaml:19:22: 'proxies.web.servers.web1' must be an address or name"
                    + " and a port, such as 192.168.56.21:80, found 'web1_example.com:80'"
            ),
            (
                "weight: 50", "weight: 500",
                "t.yaml:19:85: 'proxies.web.servers.web2.weight' must be a whole number from 0"
                    + " to 256, found '500'"
            ),
            (
                "check: none", "check: nine",
                "t.yaml:23:80: 'proxies.mail.check' must be tcp, none or { http: / }, found"
                    + " 'nine'"
            ),
            (
                "log: /var/log/web.log", "log: web.log",
                "t.yaml:22:10: 'proxies.web.log' must be stdout, none, syslog, syslog:ADDRESS:PORT or the absolute"
                    + " path of a file, found 'web.log'"
            ),
            (
                "log: /var/log/web.log", "log: syslog:loghost:514",
                "t.yaml:22:10: 'proxies.web.log' must be stdout, none, syslog, syslog:ADDRESS:PORT or the absolute"
                    + " path of a file, found 'loghost:514'"
            ),
            (
                "127.0.0.1:25", "0.0.0.0:80",
                "t.yaml:16:13: proxies 'mail' and 'web' both listen on 0.0.0.0:80; each needs"
                    + " its own"
            ),
            (
                "balance: leastconn", "ballance: leastconn",
                "t.yaml:17:5: unknown key 'ballance' in 'proxies.web'; did you"
                    + " mean 'balance'?"
            ),
        ])
    func refused(_ piece: String, _ replacement: String, _ message: String) {
        #expect(Self.written.contains(piece))
        let text = example + "\n" + Self.written.replacing(piece, with: replacement)
        #expect(messages(text) == [message])
    }

    /// The example with a group for the proxy `web`, whose lines come before the proxies'.
    private static func withGroup(_ group: String) -> String {
        example + "\n  front: { \(group) }\n" + written
    }

    @Test("a group may have a proxy that must serve where its address is")
    func group() throws {
        let text = Self.withGroup("address: 192.168.56.101/24, proxy: web")
        let settings = try Settings.parse(text: text, file: "t.yaml")
        #expect(settings.groups.map(\.proxy) == [nil, "web"])
        #expect(settings.canonicalLines.contains("groups.front.proxy = web"))
        let own = text.replacing("0.0.0.0:80", with: "192.168.56.101:80")
        #expect(messages(own).isEmpty)
    }

    @Test(
        "a group's proxy that cannot be meant is refused",
        arguments: [
            (
                "address: 192.168.56.101/24, proxy: wep",
                "t.yaml:14:47: 'groups.front.proxy' names no proxy: 'wep'; did you mean 'web'?"
            ),
            (
                "proxy: web, volume: { size: 1GiB }",
                "t.yaml:14:19: 'groups.front' has a volume and a proxy; data does not move because a proxy fails: give"
                    + " the proxy a group with an address of its own"
            ),
            (
                "proxy: web, volume: { size: 1GiB }",
                "t.yaml:14:19: 'groups.front' has a proxy and no address; expected 'address', which moves when the proxy"
                    + " fails"
            ),
            (
                "address: 192.168.56.101/24, proxy: mail",
                "t.yaml:24:19: 'proxies.mail.listen' is 127.0.0.1 and clients come to 192.168.56.101, the address of"
                    + " 'groups.front'; expected that one, or 0.0.0.0"
            ),
        ])
    func refusedGroup(_ group: String, _ message: String) {
        #expect(messages(Self.withGroup(group)).contains(message), "\(messages(Self.withGroup(group)))")
    }
}
