import Basics
import LinuxSystem
import Telemetry

/// One line of the access log, in HAProxy's format `httplog` (or `tcplog`), so that its readers read ours.
struct AccessLine {
    /// Milliseconds, each -1 where it was not reached.
    struct Times {
        /// From the first byte of the request, or the accept, to its whole head.
        var request = -1
        /// In the queue.
        var queue = -1
        /// Until the connection to the server stood.
        var connect = -1
        /// Until the response's head.
        var response = -1
        /// All of it.
        var total = 0
    }

    var client: SocketAddress?
    var accepted: WallTime
    var proxy: String
    var server: String?
    var times = Times()
    /// -1 when nothing was answered.
    var status = -1
    var bytes: UInt64 = 0
    /// Who ended it, and in which phase: `--` when all went well (HAProxy's manual, 8.5).
    var ending = "--"
    /// What the client's cookie was worth, and what was done: `--` without stickiness.
    var cookie = "--"
    /// Connections of the process, of the proxy, in service behind it, and on the server.
    var connections = (process: 0, proxy: 0, pool: 0, server: 0)
    var retries = 0
    var queued = (server: 0, pool: 0)
    /// The request line; nil in TCP mode.
    var request: String?

    /// The line without its end.
    var text: String {
        let server = server ?? "<NOSRV>"
        var line = "\(client.map { "\($0.host):\($0.port)" } ?? "-") [\(Self.date(accepted))] \(proxy) "
        line += "\(proxy)/\(server) "
        if request != nil {
            line += "\(times.request)/\(times.queue)/\(times.connect)/\(times.response)/\(times.total) "
            line += "\(status) \(bytes) - - \(ending)\(cookie) "
        } else {
            line += "\(times.queue)/\(times.connect)/\(times.total) \(bytes) \(ending) "
        }
        line += "\(connections.process)/\(connections.proxy)/\(connections.pool)/\(connections.server)"
        line += "/\(retries) \(queued.server)/\(queued.pool)"
        if let request { line += " \"\(request)\"" }
        return line
    }

    /// `21/Nov/2026:06:00:05.123`, in UTC.
    static func date(_ time: WallTime) -> String {
        let parts = "\(time)".split { "-T:Z".contains($0) }
        guard parts.count == 6, let month = Int(parts[1]), (1...12).contains(month) else { return "-" }
        let months = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ]
        return "\(parts[2])/\(months[month - 1])/\(parts[0]):\(parts[3]):\(parts[4]):\(parts[5])"
    }

    /// Bytes of a request line as a log may hold them: no control characters, no quotes, at most 1,024.
    static func clean(_ bytes: some Sequence<UInt8>) -> String {
        var text = ""
        for byte in bytes.prefix(1024) {
            if byte >= 0x20, byte < 0x7F, byte != 0x22 {
                text.unicodeScalars.append(UnicodeScalar(byte))
            } else {
                text += "#" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
            }
        }
        return text
    }
}
