public import ControlPlane

/// What `tandem proxy status` prints: the rows of the statistics page, as a person reads them.
public struct ProxyStatusScreen {
    private let body: JSONValue

    /// The body of the answer to `status`.
    public init(_ body: JSONValue) { self.body = body }

    /// One block a proxy: a line of its own, a line a server.
    public var text: String {
        var blocks: [String] = []
        let rows = body["rows"].elements
        for front in rows where front["svname"].string == "FRONTEND" {
            let name = front["pxname"].string ?? ""
            let mine = rows.filter { $0["pxname"].string == name }
            let servers = mine.filter { !["FRONTEND", "BACKEND"].contains($0["svname"].string ?? "") }
            let serving = servers.count { Self.serves($0["status"].string ?? "") }
            let waiting = mine.last?["qcur"].integer ?? 0
            blocks.append(
                "\(name)  \(front["mode"].string ?? "")  \(front["addr"].string ?? "")  clients \(number(front["scur"]))"
                    + ", waiting \(waiting), servers that serve \(serving) of \(servers.count)\n"
                    + table(of: servers))
        }
        for left in body["finishing"].elements {
            blocks.append(
                "\(left["proxy"].string ?? "")  is not in the settings any more; clients that finish: \(number(left["clients"]))"
            )
        }
        return blocks.joined(separator: "\n\n")
    }

    private static func serves(_ status: String) -> Bool {
        status.hasPrefix("UP") || status.hasPrefix("no check") || status.hasPrefix("DRAIN")
    }

    private func number(_ value: JSONValue) -> String { value.integer.map { "\($0)" } ?? "-" }

    private func table(of servers: [JSONValue]) -> String {
        let head = [
            "", "server", "state", "address", "weight", "in service", "waiting", "requests", "errors",
            "last check",
        ]
        let lines = servers.map { server in
            let errors = ["econ", "eresp"].reduce(0) { $0 + (server[$1].integer ?? 0) }
            let isBackup = server["bck"].integer == 1
            return [
                "", (server["svname"].string ?? "") + (isBackup ? " (backup)" : ""),
                server["status"].string ?? "",
                server["addr"].string ?? "", number(server["weight"]), number(server["scur"]),
                number(server["qcur"]), number(server["stot"]), "\(errors)",
                server["check_status"].string ?? "-",
            ]
        }
        let all = [head] + lines
        let widths = head.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
        return all.map { cells in
            let padded = cells.indices.map { column in
                let space = String(repeating: " ", count: widths[column] - cells[column].count)
                return (4...8).contains(column) ? space + cells[column] : cells[column] + space
            }
            var line = padded.joined(separator: "  ")
            while line.last == " " { line.removeLast() }
            return line
        }.joined(separator: "\n")
    }
}
