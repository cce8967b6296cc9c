import Basics

extension SettingsReader {
    static let statisticsKeys = ["listen", "user", "password", "password-file", "refresh"]

    /// Where the page listens when nothing is written: HAProxy's customary port, for this machine alone.
    static let statisticsListen = "127.0.0.1:8404"

    mutating func statistics(in top: Section, proxies: [Settings.Proxy]) -> Settings.Statistics? {
        guard let node = top.entries["statistics"],
            let section = section(node, path: "statistics", keys: Self.statisticsKeys)
        else { return nil }
        let expected = "an address and port, such as \(Self.statisticsListen)"
        let standard = YamlNode(position: node.position, value: .scalar(Self.statisticsListen))
        guard
            let listen = endpoint(
                section.entries["listen"] ?? standard, section.path(of: "listen"), expected: expected)
        else { return nil }
        if let proxy = proxies.first(where: { $0.listen == listen }) {
            note(
                place(section.path(of: "listen")),
                "'statistics.listen' is the address of the proxy '\(proxy.name)', \(listen); each needs its own"
            )
        }
        let user = user(in: section)
        guard let password = password(in: section), let user else { return nil }
        let refresh = duration(
            "refresh", in: section, range: .seconds(0) ... .seconds(3600), otherwise: .seconds(5))
        return Settings.Statistics(listen: listen, user: user, password: password, refresh: refresh)
    }

    private mutating func user(in section: Section) -> String? {
        let expected = "the user's name, without a colon"
        guard let node = required("user", in: section, expected: expected),
            let user = text(node, section.path(of: "user"), expected: expected)
        else { return nil }
        if user.isEmpty || user.utf8.contains(0x3A) || !isPlain(user) {
            note(node.position, "'statistics.user' must be \(expected), found '\(user)'")
        }
        return user
    }

    private mutating func password(in section: Section) -> Settings.Statistics.Password? {
        let expected = "the password in 'password', or the path of its file in 'password-file'"
        switch (section.entries["password"], section.entries["password-file"]) {
        case (nil, nil):
            note(section.position, "'statistics' has no password; expected \(expected)")
            return nil
        case (.some, .some(let file)):
            note(file.position, "'statistics' has two passwords; expected \(expected)")
            return nil
        case (.some(let node), nil):
            guard let password = text(node, section.path(of: "password"), expected: "the password") else {
                return nil
            }
            // What is wrong with it is said without saying it.
            if password.isEmpty || !isPlain(password) {
                note(node.position, "'statistics.password' must be 1 to 128 characters that can be typed")
            }
            return .text(password)
        case (nil, .some(let node)):
            return path(node, section.path(of: "password-file")).map { .file($0) }
        }
    }

    private func isPlain(_ text: String) -> Bool {
        text.utf8.count <= 128 && text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
    }
}
