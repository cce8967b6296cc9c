import Balancing
import Basics

/// The statistics page: one HTML document that loads nothing, with a table a proxy in HAProxy's order of columns.
///
/// It is written from a snapshot. Each server's row has the buttons ready, drain and maint; each is a form of its own,
/// so that loading the page anew loses nobody's marks.
public struct StatisticsPage: Sendable {
    private let snapshot: ProxySnapshot
    /// What the forms carry.
    private let token: String
    /// The word of the last order: DONE, UNKNOWN.
    private let note: String?
    /// Seconds between two loads; nil for none.
    private let refresh: Int?
    /// The machine's name.
    private let machine: String

    public init(_ snapshot: ProxySnapshot, token: String, note: String?, refresh: Int?, machine: String) {
        self.snapshot = snapshot
        self.token = token
        self.note = note
        self.refresh = refresh
        self.machine = machine
    }

    /// What the browser may do with the page: show it, and post to where it came from. Nothing is loaded or run.
    public static let contentPolicy =
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

    /// The document.
    public var html: String {
        var out = "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
        if let refresh { out += "<meta http-equiv=\"refresh\" content=\"\(refresh);url=/\">" }
        out += "<title>Tandem proxy \(PageText.escaped(machine))</title>"
        out += "<style>\(Self.style)</style></head><body>\n"
        out += "<h1>Tandem proxy on \(PageText.escaped(machine))</h1>\n"
        let uptime = PageText.duration(
            seconds: snapshot.at.since(snapshot.startedAt).wholeMilliseconds / 1000)
        out +=
            "<p>process \(snapshot.processID), up \(uptime), \(snapshot.clientCount) connections of clients, "
        out += "\(snapshot.lostLines) log lines lost. "
        out += refresh.map { "Loads itself anew every \($0) s (<a href=\"/;norefresh\">stop</a>). " } ?? ""
        out += "<a href=\"/\">Load now</a> <a href=\"/;csv\">CSV</a> <a href=\"/json\">JSON</a></p>\n"
        if let sentence = noteSentence { out += "<p class=\"note\">\(sentence)</p>\n" }
        for proxy in snapshot.proxies { write(proxy, into: &out) }
        return out + Self.legend + "</body></html>\n"
    }

    private var noteSentence: String? {
        switch note {
        case nil: nil
        case "DONE": "The order is carried out."
        case "UNKNOWN": "Nothing was done: no proxy or server has that name now."
        default: "Nothing is known of the last order."
        }
    }

    private static let heads = [
        "Queue": ["cur", "max", "limit"], "Session rate": ["cur", "max"],
        "Sessions": ["cur", "max", "limit", "total", "last"], "Bytes": ["in", "out"],
        "Errors": ["req", "conn", "resp"], "Warnings": ["retr", "redis"],
        "Average ms": ["queue", "conn", "resp", "total"],
        "Server": ["status", "for", "last check", "weight", "role", "check fails", "downs", "downtime"],
    ]
    private static let groups = [
        "Queue", "Session rate", "Sessions", "Bytes", "Errors", "Warnings", "Average ms", "Server",
    ]

    private func write(_ proxy: ProxySnapshot.Proxy, into out: inout String) {
        let cookie = proxy.cookie.map { ", cookie \($0)" } ?? ""
        let what = "\(proxy.isTCP ? "tcp" : "http"), \(proxy.method)\(cookie), on \(proxy.listen)"
        out +=
            "<h2>\(PageText.escaped(proxy.name)) <small>\(PageText.escaped(what))</small></h2>\n<table>\n<tr><th rowspan=2></th>"
        for group in Self.groups { out += "<th colspan=\(Self.heads[group]?.count ?? 1)>\(group)</th>" }
        out += "<th rowspan=2>Orders</th></tr>\n<tr>"
        for group in Self.groups { for head in Self.heads[group] ?? [] { out += "<th>\(head)</th>" } }
        out += "</tr>\n"
        writeClients(proxy, into: &out)
        for server in proxy.servers { write(server, of: proxy, into: &out) }
        writeAll(proxy, into: &out)
        out += "</table>\n"
    }

    private func writeClients(_ proxy: ProxySnapshot.Proxy, into out: inout String) {
        let clients = proxy.clients
        let rate = proxy.isTCP ? clients.connectionRate : clients.requestRate
        out += "<tr class=frontend><th>FRONTEND</th>"
        cells([nil, nil, nil, number(rate.rate(at: snapshot.at)), number(rate.maximum)], into: &out)
        cells(
            [
                number(proxy.clientCount), number(clients.maximum), nil, number(clients.total), nil,
                number(clients.bytesIn), number(clients.bytesOut), number(clients.requestErrors),
            ], into: &out)
        cells([nil, nil, nil, nil, nil, nil, nil, nil, "OPEN"], into: &out)
        cells([nil, nil, nil, nil, nil, nil, nil, nil], into: &out)
        out += "</tr>\n"
    }

    private func write(_ server: ProxySnapshot.Server, of proxy: ProxySnapshot.Proxy, into out: inout String)
    {
        let status = server.status(proxy.rules)
        out += "<tr class=\"\(Self.color(status))\"><th title=\"\(PageText.escaped(server.address))\">"
        out += "\(PageText.escaped(server.name))</th>"
        cells(
            [
                number(server.queued), number(server.queueMaximum), number(proxy.queueLimit),
                number(server.counters.sessionRate.rate(at: snapshot.at)),
                number(server.counters.sessionRate.maximum), number(server.active),
                number(server.activeMaximum), server.limit.map { number($0) }, number(server.total),
                last(server.counters),
            ], into: &out)
        common(server.counters, into: &out)
        let check = proxy.rules.isOff ? nil : server.lastCheck?.text ?? "none yet"
        cells(
            [
                status, since(server.clock), check, number(server.weight),
                server.isBackup ? "backup" : "active", proxy.rules.isOff ? nil : number(server.failedChecks),
                number(server.clock.downs), downtime(server.clock),
            ], into: &out)
        out += "<td><form method=post action=\"/\"><input type=hidden name=token value=\"\(token)\">"
        out += "<input type=hidden name=b value=\"\(PageText.escaped(proxy.name))\">"
        out += "<input type=hidden name=s value=\"\(PageText.escaped(server.name))\">"
        let current: String =
            switch server.admin {
            case .ready: "ready"
            case .drain: "drain"
            case .maintenance: "maint"
            }
        for action in ["ready", "drain", "maint"] {
            let disabled = action == current ? " disabled" : ""
            out += "<button name=action value=\(action)\(disabled)>\(action)</button>"
        }
        out += "</form></td></tr>\n"
    }

    private func writeAll(_ proxy: ProxySnapshot.Proxy, into out: inout String) {
        out += "<tr class=backend><th>BACKEND</th>"
        cells(
            [
                number(proxy.queued), number(proxy.queueMaximum), number(proxy.queueLimit),
                number(proxy.all.sessionRate.rate(at: snapshot.at)), number(proxy.all.sessionRate.maximum),
                number(proxy.active), number(proxy.activeMaximum), nil,
                number(proxy.servers.reduce(0) { $0 + $1.total }), last(proxy.all),
            ], into: &out)
        common(proxy.all, into: &out)
        let (active, backup) = (
            proxy.servers.count { $0.mayServe && !$0.isBackup },
            proxy.servers.count { $0.mayServe && $0.isBackup }
        )
        cells(
            [
                proxy.isUp ? "UP" : "DOWN", since(proxy.clock), nil, number(proxy.weight),
                "\(active) active, \(backup) backup", nil, number(proxy.clock.downs), downtime(proxy.clock),
                nil,
            ], into: &out)
        out += "</tr>\n"
    }

    /// Bytes, errors, warnings and averages.
    private func common(_ counters: TrafficCounters, into out: inout String) {
        cells(
            [
                number(counters.bytesIn), number(counters.bytesOut), nil,
                number(counters.connectionErrors), number(counters.responseErrors), number(counters.retries),
                number(counters.redispatches), number(counters.queueTime.value),
                number(counters.connectTime.value), number(counters.responseTime.value),
                number(counters.totalTime.value),
            ], into: &out)
    }

    private func cells(_ texts: [String?], into out: inout String) {
        for text in texts { out += "<td>\(text.map { PageText.escaped($0) } ?? "")</td>" }
    }

    private func number(_ value: some BinaryInteger) -> String { PageText.grouped(UInt64(clamping: value)) }

    private func last(_ counters: TrafficCounters) -> String {
        counters.lastSession.map {
            PageText.duration(seconds: snapshot.at.since($0).wholeMilliseconds / 1000)
        } ?? "-"
    }

    private func since(_ clock: StateClock) -> String {
        PageText.duration(seconds: snapshot.at.since(clock.changedAt).wholeMilliseconds / 1000)
    }

    private func downtime(_ clock: StateClock) -> String {
        PageText.duration(seconds: clock.downtime(at: snapshot.at).wholeMilliseconds / 1000)
    }

    /// The row's class by the first letters of its status.
    static func color(_ status: String) -> String {
        if status == "MAINT" { return "maint" }
        if status == "DRAIN" { return "drain" }
        if status == "no check" { return "nocheck" }
        if status.hasPrefix("UP ") { return "falling" }
        if status.hasPrefix("UP") { return "up" }
        return status.contains("/") ? "rising" : "down"
    }

    private static let style = """
        body{font:13px sans-serif;margin:1em;color:#111;background:#fff}h1{font-size:1.3em}h2{margin:.8em 0 .2em}
        small{font-weight:normal;color:#555}table{border-collapse:collapse}th,td{border:1px solid #bbb;padding:2px 5px;\
        white-space:nowrap;font-variant-numeric:tabular-nums}td{text-align:right}form{margin:0}button{font-size:11px}
        .frontend,.backend{background:#eee}.up{background:#c0ffc0}.falling{background:#ffffa0}.rising{background:#ffd020}
        .down{background:#ff9090}.maint{background:#d8a860}.drain{background:#a0d0ff}.nocheck{background:#e0e0e0}
        .note{background:#ffffc0;padding:.4em;border:1px solid #cc8}span{padding:1px 6px}
        """

    private static let legend = """
        <p><span class=up>UP</span> <span class=falling>UP, checks fail</span> <span class=rising>DOWN, checks pass</span>
        <span class=down>DOWN</span> <span class=drain>DRAIN: nobody new</span> <span class=maint>MAINT: nobody</span>
        <span class=nocheck>not checked</span></p>

        """
}
