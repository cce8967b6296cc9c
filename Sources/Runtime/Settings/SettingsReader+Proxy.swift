import Basics

extension SettingsReader {
    static let proxyKeys = [
        "listen", "mode", "balance", "sticky", "cookie", "servers", "check", "timeouts", "queue",
        "send-proxy", "log",
    ]
    static let serverKeys = ["address", "weight", "backup", "maxconn"]
    static let checkKeys = ["http", "interval", "timeout", "rise", "fall"]
    static let timeoutKeys = ["connect", "client", "server", "head", "idle", "tunnel"]

    mutating func proxies(in top: Section) -> [Settings.Proxy] {
        guard let node = top.entries["proxies"], let section = openSection(node, path: "proxies") else {
            return []
        }
        var owners: [Settings.Proxy.Endpoint: String] = [:]
        return section.entries.keys.sorted().compactMap { name in
            guard isName(name, what: "the proxy's name", at: place("proxies.\(name)")),
                let value = section.entries[name],
                let entry = self.section(value, path: "proxies.\(name)", keys: Self.proxyKeys),
                let proxy = proxy(name, entry)
            else { return nil }
            if let other = owners.updateValue(name, forKey: proxy.listen) {
                note(
                    place("proxies.\(name).listen"),
                    "proxies '\(other)' and '\(name)' both listen on \(proxy.listen); each needs its own")
            }
            return proxy
        }
    }

    private mutating func proxy(_ name: String, _ section: Section) -> Settings.Proxy? {
        let expected = "an address and port, such as 0.0.0.0:80"
        guard let node = required("listen", in: section, expected: expected),
            let listen = endpoint(node, section.path(of: "listen"), expected: expected)
        else { return nil }
        let mode = word("mode", in: section, otherwise: Settings.Proxy.Mode.http)
        let sticky = word("sticky", in: section, otherwise: Settings.Proxy.Sticky.none)
        if mode == .tcp, sticky == .cookie {
            note(
                place(section.path(of: "sticky")),
                "'sticky: cookie' needs 'mode: http': a cookie is part of a request; for TCP write 'balance: source'"
            )
        }
        let sendsProxyLine = boolean("send-proxy", in: section, otherwise: false)
        if mode == .http, sendsProxyLine {
            note(
                place(section.path(of: "send-proxy")),
                "'send-proxy' needs 'mode: tcp'; in HTTP mode X-Forwarded-For tells the client's address")
        }
        let servers = servers(in: section)
        let check = check(in: section, mode: mode)
        for server in servers where check.kind == .none {
            guard case .name = server.endpoint else { continue }
            note(
                place(section.path(of: "servers.\(server.name)")),
                "'\(section.path(of: "servers.\(server.name)"))' is a name, \(server.endpoint), which needs a check to"
                    + " tell when it has no address; write an address, or another 'check' than none")
        }
        return Settings.Proxy(
            name: name, listen: listen, mode: mode,
            balance: word("balance", in: section, otherwise: .roundrobin), sticky: sticky,
            cookie: cookie(in: section), servers: servers, check: check,
            timeouts: timeouts(in: section),
            queue: number("queue", in: section, range: 0...100_000, otherwise: 128),
            sendsProxyLine: sendsProxyLine, log: accessLog(in: section))
    }

    private mutating func accessLog(in section: Section) -> Settings.Proxy.Log {
        guard let node = section.entries["log"] else { return .standardOutput }
        let path = section.path(of: "log")
        let expected =
            "stdout, none, syslog, syslog:ADDRESS:PORT or the absolute path of a file"
        guard let text = text(node, path, expected: expected) else { return .standardOutput }
        switch text {
        case "stdout": return .standardOutput
        case "none": return .none
        case "syslog": return .syslog
        case _ where text.hasPrefix("syslog:"):
            let server = YamlNode(position: node.position, value: .scalar(String(text.dropFirst(7))))
            return endpoint(server, path, expected: expected).map { .syslogServer($0) } ?? .syslog
        default:
            if !text.hasPrefix("/") { note(node.position, "'\(path)' must be \(expected), found '\(text)'") }
            return .file(text)
        }
    }

    mutating func endpoint(
        _ node: YamlNode, _ path: String, expected: String
    ) -> Settings.Proxy.Endpoint? {
        guard let text = text(node, path, expected: expected) else { return nil }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        let port = parts.last.flatMap { $0.utf8.allSatisfy { (0x30...0x39).contains($0) } ? UInt16($0) : nil }
        var host = parts.dropLast().joined(separator: ":")
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = String(host.dropFirst().dropLast())
        } else if host.contains(":") {
            host = ""
        }
        guard let port, port > 0, let address = Settings.IPAddress(host), !address.isMulticast else {
            note(node.position, "'\(path)' must be \(expected), found '\(text)'")
            return nil
        }
        return Settings.Proxy.Endpoint(address: address, port: port)
    }

    /// An address and port, or the name of a machine and a port. What begins like an address is no name.
    private mutating func serverPlace(
        _ node: YamlNode, _ path: String, expected: String
    ) -> Settings.Proxy.Place? {
        if case .scalar(let text) = node.value, let colon = text.lastIndex(of: ":"),
            text[..<colon].contains(where: { $0.isASCII && $0.isLetter }), Self.isHostName(text[..<colon]),
            let port = UInt16(text[text.index(after: colon)...]), port > 0
        {
            return .name(String(text[..<colon]), port: port)
        }
        return endpoint(node, path, expected: expected).map { .address($0) }
    }

    /// RFC 1123 2.1: labels of letters, digits and hyphens, joined by dots.
    private static func isHostName(_ text: Substring) -> Bool {
        guard text.utf8.count <= 253 else { return false }
        return text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
            (1...63).contains(label.utf8.count) && label.first != "-" && label.last != "-"
                && label.utf8.allSatisfy {
                    $0 == 0x2D || (0x30...0x39).contains($0) || (0x41...0x5A).contains($0)
                        || (0x61...0x7A).contains($0)
                }
        }
    }

    private mutating func cookie(in section: Section) -> String {
        guard let node = section.entries["cookie"] else { return "TANDEM" }
        let path = section.path(of: "cookie")
        let expected = "the name of a cookie: letters, digits, '-' and '_'"
        guard let text = text(node, path, expected: expected) else { return "" }
        let valid = text.utf8.allSatisfy { byte in
            byte == 0x2D || byte == 0x5F || (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte)
                || (0x61...0x7A).contains(byte)
        }
        if !valid || text.utf8.count > 64 {
            note(node.position, "'\(path)' must be \(expected), found '\(text)'")
        }
        return text
    }

    private mutating func servers(in section: Section) -> [Settings.Proxy.Server] {
        let expected = "at least one server, such as { web1: 192.168.56.21:80 }"
        guard let node = required("servers", in: section, expected: expected),
            let list = openSection(node, path: section.path(of: "servers"))
        else { return [] }
        if list.entries.isEmpty { note(node.position, "'\(list.path)' is empty; expected \(expected)") }
        return list.entries.keys.sorted().compactMap { name in
            guard isName(name, what: "the server's name", dots: true, at: place(list.path(of: name))),
                let value = list.entries[name]
            else { return nil }
            return server(name, value, path: list.path(of: name))
        }
    }

    private mutating func server(_ name: String, _ node: YamlNode, path: String) -> Settings.Proxy.Server? {
        let expected = "an address or name and a port, such as 192.168.56.21:80"
        guard case .map = node.value else {
            return serverPlace(node, path, expected: expected).map {
                Settings.Proxy.Server(name: name, endpoint: $0, weight: 100, isBackup: false)
            }
        }
        guard let section = section(node, path: path, keys: Self.serverKeys),
            let addressNode = required("address", in: section, expected: expected),
            let endpoint = serverPlace(addressNode, section.path(of: "address"), expected: expected)
        else { return nil }
        let isLimited = section.entries["maxconn"] != nil
        let limit = number("maxconn", in: section, range: 1...1_000_000, otherwise: 1)
        return Settings.Proxy.Server(
            name: name, endpoint: endpoint,
            weight: number("weight", in: section, range: 0...256, otherwise: 100),
            isBackup: boolean("backup", in: section, otherwise: false), limit: isLimited ? limit : nil)
    }

    private mutating func check(in section: Section, mode: Settings.Proxy.Mode) -> Settings.Proxy.Check {
        var check = Settings.Proxy.Check()
        guard let node = section.entries["check"] else { return check }
        let path = section.path(of: "check")
        if case .scalar(let text) = node.value {
            switch text {
            case "tcp": check.kind = .tcp
            case "none": check.kind = .none
            default:
                note(node.position, "'\(path)' must be tcp, none or { http: / }, found '\(text)'")
            }
            return check
        }
        guard let entry = self.section(node, path: path, keys: Self.checkKeys) else { return check }
        if let http = entry.entries["http"] {
            let expected = "the path to ask for, such as /"
            if let text = text(http, entry.path(of: "http"), expected: expected) {
                let isPath =
                    text.hasPrefix("/") && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != 0x23 }
                if !isPath {
                    note(http.position, "'\(entry.path(of: "http"))' must be \(expected), found '\(text)'")
                }
                check.kind = .http(text)
            }
        }
        let range = Interval.milliseconds(100) ... .seconds(3600)
        check.interval = duration("interval", in: entry, range: range, otherwise: check.interval)
        check.timeout = duration("timeout", in: entry, range: range, otherwise: check.timeout)
        check.rise = number("rise", in: entry, range: 1...255, otherwise: check.rise)
        check.fall = number("fall", in: entry, range: 1...255, otherwise: check.fall)
        return check
    }

    private mutating func timeouts(in section: Section) -> Settings.Proxy.Timeouts {
        var times = Settings.Proxy.Timeouts()
        guard let node = section.entries["timeouts"],
            let entry = self.section(node, path: section.path(of: "timeouts"), keys: Self.timeoutKeys)
        else { return times }
        let range = Interval.milliseconds(100) ... .seconds(86400)
        times.connect = duration("connect", in: entry, range: range, otherwise: times.connect)
        times.client = duration("client", in: entry, range: range, otherwise: times.client)
        times.server = duration("server", in: entry, range: range, otherwise: times.server)
        times.head = duration("head", in: entry, range: range, otherwise: times.head)
        times.idle = duration("idle", in: entry, range: range, otherwise: times.idle)
        times.tunnel = duration("tunnel", in: entry, range: range, otherwise: times.tunnel)
        return times
    }
}
