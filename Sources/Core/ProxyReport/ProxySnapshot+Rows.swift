import Balancing
import Basics

// The snapshot as HAProxy's rows: for each proxy FRONTEND, one a server, BACKEND.
extension ProxySnapshot {
    /// The rows of all proxies.
    public var table: ReportTable {
        var rows: [ReportTable.Row] = []
        for (index, proxy) in proxies.enumerated() {
            rows.append(frontendRow(proxy, index + 1))
            for place in proxy.servers.indices { rows.append(serverRow(proxy, index + 1, place)) }
            rows.append(backendRow(proxy, index + 1))
        }
        return ReportTable(rows: rows)
    }

    private func row(_ proxy: Proxy, _ number: Int, _ name: String, type: Int) -> ReportTable.Row {
        var row = ReportTable.Row()
        row.set("pxname", proxy.name)
        row.set("svname", name)
        row.set("pid", processID)
        row.set("iid", number)
        row.set("type", type)
        row.set("mode", proxy.isTCP ? "tcp" : "http")
        // Nothing is denied by rule here, and nothing compressed or cached: the columns of that stay empty or 0.
        for column in ["dreq", "dresp"] { row.set(column, 0) }
        return row
    }

    private func frontendRow(_ proxy: Proxy, _ number: Int) -> ReportTable.Row {
        var row = row(proxy, number, "FRONTEND", type: 0)
        let clients = proxy.clients
        row.set("scur", proxy.clientCount)
        row.set("smax", clients.maximum)
        row.set("stot", clients.total)
        row.set("bin", clients.bytesIn)
        row.set("bout", clients.bytesOut)
        row.set("ereq", clients.requestErrors)
        row.set("status", "OPEN")
        row.set("sid", 0)
        row.set("rate", clients.connectionRate.rate(at: at))
        row.set("rate_max", clients.connectionRate.maximum)
        row.set("conn_rate", clients.connectionRate.rate(at: at))
        row.set("conn_rate_max", clients.connectionRate.maximum)
        row.set("conn_tot", clients.total)
        row.set("intercepted", clients.intercepted)
        row.set("addr", proxy.listen)
        if !proxy.isTCP {
            set(clients.responses, in: &row)
            row.set("req_rate", clients.requestRate.rate(at: at))
            row.set("req_rate_max", clients.requestRate.maximum)
            row.set("req_tot", clients.requests)
        }
        return row
    }

    private func serverRow(_ proxy: Proxy, _ number: Int, _ place: Int) -> ReportTable.Row {
        let server = proxy.servers[place]
        var row = row(proxy, number, server.name, type: 2)
        row.set("sid", place + 1)
        row.set("qcur", server.queued)
        row.set("qmax", server.queueMaximum)
        row.set("qlimit", proxy.queueLimit)
        row.set("scur", server.active)
        row.set("smax", server.activeMaximum)
        if let limit = server.limit { row.set("slim", limit) }
        row.set("stot", server.total)
        row.set("status", server.status(proxy.rules))
        row.set("weight", server.weight)
        row.set("uweight", server.weight)
        row.set("act", server.isBackup ? 0 : 1)
        row.set("bck", server.isBackup ? 1 : 0)
        set(server.counters, isTCP: proxy.isTCP, in: &row)
        set(server.clock, in: &row)
        row.set("addr", server.address)
        row.set("idle_conn_cur", server.idle)
        row.set("used_conn_cur", server.active)
        guard !proxy.rules.isOff else { return row }
        row.set("chkfail", server.failedChecks)
        row.set("chkdown", server.clock.downs)
        row.set("check_rise", proxy.rules.rise)
        row.set("check_fall", proxy.rules.fall)
        row.set("check_health", server.healthCount(proxy.rules))
        row.set("check_status", server.lastCheck?.status.rawValue ?? "INI")
        if let check = server.lastCheck {
            if let code = check.code { row.set("check_code", code) }
            row.set("check_duration", check.duration.wholeMilliseconds)
            row.set("last_chk", check.text)
            row.set("check_desc", check.status.description)
        }
        return row
    }

    private func backendRow(_ proxy: Proxy, _ number: Int) -> ReportTable.Row {
        var row = row(proxy, number, "BACKEND", type: 1)
        row.set("sid", 0)
        row.set("qcur", proxy.queued)
        row.set("qmax", proxy.queueMaximum)
        row.set("qlimit", proxy.queueLimit)
        row.set("scur", proxy.active)
        row.set("smax", proxy.activeMaximum)
        row.set("stot", proxy.servers.reduce(0) { $0 + $1.total })
        row.set("status", proxy.isUp ? "UP" : "DOWN")
        row.set("weight", proxy.weight)
        row.set("uweight", proxy.weight)
        row.set("act", proxy.servers.count { $0.mayServe && !$0.isBackup })
        row.set("bck", proxy.servers.count { $0.mayServe && $0.isBackup })
        set(proxy.all, isTCP: proxy.isTCP, in: &row)
        set(proxy.clock, in: &row)
        row.set("chkdown", proxy.clock.downs)
        row.set("algo", proxy.method)
        if let cookie = proxy.cookie { row.set("cookie", cookie) }
        return row
    }

    private func set(_ clock: StateClock, in row: inout ReportTable.Row) {
        row.set("lastchg", at.since(clock.changedAt).wholeMilliseconds / 1000)
        row.set("downtime", clock.downtime(at: at).wholeMilliseconds / 1000)
    }

    private func set(_ responses: ResponseCounts, in row: inout ReportTable.Row) {
        row.set("hrsp_1xx", responses.informational)
        row.set("hrsp_2xx", responses.successful)
        row.set("hrsp_3xx", responses.redirected)
        row.set("hrsp_4xx", responses.clientError)
        row.set("hrsp_5xx", responses.serverError)
        row.set("hrsp_other", responses.other)
    }

    private func set(_ counters: TrafficCounters, isTCP: Bool, in row: inout ReportTable.Row) {
        row.set("bin", counters.bytesIn)
        row.set("bout", counters.bytesOut)
        row.set("econ", counters.connectionErrors)
        row.set("eresp", counters.responseErrors)
        row.set("wretr", counters.retries)
        row.set("wredis", counters.redispatches)
        row.set("cli_abrt", counters.clientAborts)
        row.set("srv_abrt", counters.serverAborts)
        row.set("lbtot", counters.balanced)
        row.set("rate", counters.sessionRate.rate(at: at))
        row.set("rate_max", counters.sessionRate.maximum)
        row.set("connect", counters.connects)
        row.set("reuse", counters.reuses)
        if let last = counters.lastSession {
            row.set("lastsess", at.since(last).wholeMilliseconds / 1000)
        } else {
            row.set("lastsess", -1)
        }
        let times = [
            ("qtime", counters.queueTime), ("ctime", counters.connectTime), ("rtime", counters.responseTime),
            ("ttime", counters.totalTime),
        ]
        for (column, time) in times {
            row.set(column, time.value)
            row.set(column + "_max", time.maximum)
        }
        guard !isTCP else { return }
        set(counters.responses, in: &row)
        row.set("req_tot", counters.requests)
    }
}
