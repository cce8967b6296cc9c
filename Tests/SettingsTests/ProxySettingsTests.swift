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
                "web1: 192.168.56.21:80", "web1: web1.example.com:80",
                "t.yaml:19:22: 'proxies.web.servers.web1' must be an"
                    + " address and port, such as 192.168.56.21:80, found 'web1.example.com:80'"
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
                "t.yaml:22:10: 'proxies.web.log' must be stdout, none or the absolute path of a file, found"
                    + " 'web.log'"
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
}
