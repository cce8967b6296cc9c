/// Rows of the statistics with HAProxy's column names: what CSV and JSON are made of.
public struct ReportTable: Sendable, Equatable {
    /// What stands in one column of one row.
    public enum Cell: Sendable, Equatable {
        case number(Int64)
        case text(String)
    }

    /// One row: only the columns that mean something to it.
    public struct Row: Sendable, Equatable {
        public private(set) var cells: [String: Cell] = [:]

        public init() {}

        /// What stands in the column; nil when it means nothing to this row.
        public subscript(_ column: String) -> Cell? { cells[column] }

        /// Sets a number; the few that do not fit 63 bits become the largest that does.
        mutating func set(_ column: String, _ value: some BinaryInteger) {
            cells[column] = .number(Int64(clamping: value))
        }

        mutating func set(_ column: String, _ value: String) { cells[column] = .text(value) }
    }

    /// The columns of HAProxy 2.6, in its order, without those of its modules.
    public static let columns = """
        pxname svname qcur qmax scur smax slim stot bin bout dreq dresp ereq econ eresp wretr wredis status weight \
        act bck chkfail chkdown lastchg downtime qlimit pid iid sid throttle lbtot tracked type rate rate_lim \
        rate_max check_status check_code check_duration hrsp_1xx hrsp_2xx hrsp_3xx hrsp_4xx hrsp_5xx hrsp_other \
        hanafail req_rate req_rate_max req_tot cli_abrt srv_abrt comp_in comp_out comp_byp comp_rsp lastsess \
        last_chk last_agt qtime ctime rtime ttime agent_status agent_code agent_duration check_desc agent_desc \
        check_rise check_fall check_health agent_rise agent_fall agent_health addr cookie mode algo conn_rate \
        conn_rate_max conn_tot intercepted dcon dses wrew connect reuse cache_lookups cache_hits srv_icur src_ilim \
        qtime_max ctime_max rtime_max ttime_max eint idle_conn_cur safe_conn_cur used_conn_cur need_conn_est \
        uweight agg_server_status agg_server_check_status agg_check_status
        """.split(separator: " ").map(String.init)

    public var rows: [Row]

    public init(rows: [Row]) { self.rows = rows }

    /// HAProxy's CSV: a head line that begins with "# ", and a comma after the last column.
    public var csv: String {
        var text = "# " + Self.columns.joined(separator: ",") + ",\n"
        for row in rows {
            for column in Self.columns {
                switch row[column] {
                case .number(let number): text += "\(number)"
                case .text(let word): text += Self.quoted(word)
                case nil: break
                }
                text += ","
            }
            text += "\n"
        }
        return text
    }

    /// An array of objects, one a line, each with the columns that mean something to it.
    public var json: String {
        let lines = rows.map { row in
            let fields = Self.columns.compactMap { column -> String? in
                switch row[column] {
                case .number(let number): "\"\(column)\":\(number)"
                case .text(let word): "\"\(column)\":\(Self.jsonText(word))"
                case nil: nil
                }
            }
            return "{" + fields.joined(separator: ",") + "}"
        }
        return "[\n" + lines.joined(separator: ",\n") + "\n]\n"
    }

    /// RFC 4180: quotes around what holds a comma, a quote or a line end; quotes doubled.
    static func quoted(_ word: String) -> String {
        let needs = word.utf8.contains { $0 == 0x2C || $0 == 0x22 || $0 == 0x0A || $0 == 0x0D }
        guard needs else { return word }
        return "\"" + word.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"")
            + "\""
    }

    /// A string of JSON (RFC 8259).
    static func jsonText(_ word: String) -> String {
        var text = "\""
        for scalar in word.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text + "\""
    }
}
