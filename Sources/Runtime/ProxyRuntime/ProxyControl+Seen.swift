import ControlPlane

// What is asked of the past: the last lines and the last choices.
extension ProxyControl {
    /// `last N`, or `from N` with the number that an earlier answer named. The serving thread is not asked.
    static func lines(_ arguments: [String], of ring: LogRing) -> ControlReply {
        guard arguments.count == 2, let number = UInt64(arguments[1]) else {
            return .refused("'log' takes 'last' or 'from', and a number")
        }
        let lines: LogRing.Lines
        switch arguments[0] {
        case "last": lines = ring.last(Int(clamping: number))
        case "from": lines = ring.from(number)
        default: return .refused("'log' takes 'last' or 'from', and a number")
        }
        return .done(body: [
            "lines": .array(lines.lines.map { .string($0) }), "next": .count(lines.next),
            "missed": .count(lines.missed),
        ])
    }

    /// `N`, and the proxy where one is meant.
    static func explain(
        _ arguments: [String], _ server: ProxyServer, _ reply: @escaping @Sendable (ControlReply) -> Void
    ) {
        guard let count = arguments.first.flatMap({ Int($0) }), count >= 0, arguments.count <= 2 else {
            return reply(.refused("'explain' takes a number, and the name of a proxy"))
        }
        let proxy = arguments.dropFirst().first
        server.explain(proxy: proxy, count: count) { sentences in
            guard let sentences else { return reply(.refused("no proxy is called '\(proxy ?? "")'")) }
            reply(.done(body: .array(sentences.map { .string($0) })))
        }
    }
}
