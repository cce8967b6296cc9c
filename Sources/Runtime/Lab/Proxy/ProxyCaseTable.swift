/// What became of each case at each proxy, as a table for people.
struct ProxyCaseTable {
    private let cases: [ProxyCase]
    private var peers: [(name: String, version: String)] = []
    private var verdicts: [String: [Int: ProxyCaseVerdict]] = [:]

    init(cases: [ProxyCase]) { self.cases = cases }

    mutating func begin(_ peer: String, version: String) { peers.append((peer, version)) }

    mutating func add(_ verdict: ProxyCaseVerdict, _ index: Int, of peer: String) {
        verdicts[peer, default: [:]][index] = verdict
    }

    private func agreeing(_ peer: String, _ indices: [Int]) -> Int {
        indices.count { verdicts[peer]?[$0]?.agrees == true }
    }

    /// One row a section: how many cases it has, and how many of them each proxy answers as they say.
    private var summary: [[String]] {
        let sections = Dictionary(grouping: cases.indices) { cases[$0].section }
        var rows = [["section", "cases"] + peers.map(\.name)]
        for (section, indices) in sections.sorted(by: { Self.order($0.key) < Self.order($1.key) }) {
            rows.append([section, "\(indices.count)"] + peers.map { "\(agreeing($0.name, indices))" })
        }
        rows.append(
            ["all", "\(cases.count)"] + peers.map { "\(agreeing($0.name, Array(cases.indices)))" })
        return rows
    }

    /// By document, then by the numbers of the section.
    private static func order(_ section: String) -> String {
        section.split { $0 == " " || $0 == "." }.map { part in
            String(repeating: "0", count: max(0, 5 - part.count)) + part
        }.joined(separator: ".")
    }

    /// One row a case in which somebody differs.
    private var differences: [[String]] {
        var rows = [["case", "RFC", "what it says", "expected"] + peers.map(\.name)]
        for (index, entry) in cases.enumerated() {
            let found = peers.map { verdicts[$0.name]?[index] }
            guard found.contains(where: { $0?.agrees == false }) else { continue }
            rows.append(
                [entry.name, entry.rule, entry.sentence, found.first??.expected ?? ""]
                    + found.map { $0.map { $0.agrees ? "as expected" : $0.actual } ?? "not run" })
        }
        return rows
    }

    /// The summary in columns, and a line for each difference.
    var text: String {
        var lines: [String] = []
        for row in summary {
            lines.append(row.map { $0 + String(repeating: " ", count: max(1, 16 - $0.count)) }.joined())
        }
        lines.append("")
        for row in differences.dropFirst() {
            lines.append("\(row[0]) (\(row[1])): \(row[3])")
            for (peer, cell) in zip(peers, row.dropFirst(4)) where cell != "as expected" {
                lines.append("    \(peer.name): \(cell)")
            }
        }
        return lines.joined(separator: "\n")
    }

    /// Markdown.
    var page: String {
        func table(_ rows: [[String]]) -> String {
            rows.enumerated().map { index, row in
                let cells = row.map { $0.replacing("|", with: "\\|") }.joined(separator: " | ")
                let line = "| \(cells) |"
                return index > 0 ? line : line + "\n|" + String(repeating: "---|", count: row.count)
            }.joined(separator: "\n")
        }
        let versions = peers.dropFirst().map { "\($0.name) \($0.version)" }.joined(separator: " and ")
        return """
            # How the proxy reads HTTP, beside two others

            Made by `Tools/parts/cases full --page Docs/Conformance-proxy.md`: every case of
            `Tests/HTTPFramingTests/cases.txt` as live traffic, byte for byte, against ours and \(versions) of Debian 12,
            each between a client that sends raw bytes and an origin that records what reaches it.

            Ours is judged to the byte. A peer agrees where it comes to the same: a refusal with another status, a
            connection closed sooner, names in another case or order, and fields of its own count as the same. Where the RFC leaves
            a choice ("MAY", a limit), a peer that differs is not at fault: the sentence is given for that reason. nginx
            runs with `proxy_set_header` for Connection, Upgrade, Host and X-Forwarded-For, as its manual has it for WebSocket.

            ## By section

            \(table(summary))

            ## Where somebody differs

            "forwarded": the request reached the origin whole. "not whole": its head did, and not its end. "keep", "close": what
            became of the client's connection. "lacks" and "adds": fields at the origin, or at the client.

            \(table(differences))

            """
    }
}
