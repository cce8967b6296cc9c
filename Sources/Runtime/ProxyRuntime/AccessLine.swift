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

    /// The client's address as text, and its port.
    var client: [UInt8] = []
    var accepted: WallTime
    var proxy: [UInt8]
    /// Empty where none was chosen.
    var server: [UInt8] = []
    var times = Times()
    /// -1 when nothing was answered.
    var status = -1
    var bytes: UInt64 = 0
    /// Who ended it, and in which phase: `--` when all went well (HAProxy's manual, 8.5).
    var ending = "--"
    /// What the client's cookie was worth, and what was done: `--` without stickiness.
    var cookie: (UInt8, UInt8) = (0x2D, 0x2D)
    /// Connections of the process, of the proxy, in service behind it, and on the server.
    var connections = (process: 0, proxy: 0, pool: 0, server: 0)
    var retries = 0
    var queued = (server: 0, pool: 0)
    /// The request line; nil in TCP mode.
    var request: [UInt8]?

    /// The text of a client: address and port, or a dash.
    static func text(of client: SocketAddress?) -> [UInt8] {
        client.map { Array("\($0.host):\($0.port)".utf8) } ?? [0x2D]
    }

    /// Appends the line with its end. A line a request: it is made of bytes, without a String on the way.
    func write(into out: inout [UInt8], dates: inout DateText) {
        out += client
        out += [0x20, 0x5B]
        dates.write(accepted, into: &out)
        out += [0x5D, 0x20]
        out += proxy
        out.append(0x20)
        out += proxy
        out.append(0x2F)
        if server.isEmpty { out.append(word: "<NOSRV>") } else { out += server }
        out.append(0x20)
        if request != nil {
            out.append(numbers: times.request, times.queue, times.connect, times.response, times.total)
            out.append(0x20)
            out.append(number: status)
            out.append(0x20)
            out.append(number: Int(clamping: bytes))
            out.append(word: " - - ")
            out.append(contentsOf: ending.utf8)
            out.append(cookie.0)
            out.append(cookie.1)
        } else {
            out.append(numbers: times.queue, times.connect, times.total)
            out.append(0x20)
            out.append(number: Int(clamping: bytes))
            out.append(0x20)
            out.append(contentsOf: ending.utf8)
        }
        out.append(0x20)
        out.append(
            numbers: connections.process, connections.proxy, connections.pool, connections.server, retries)
        out.append(0x20)
        out.append(numbers: queued.server, queued.pool)
        if let request {
            out.append(word: " \"")
            out += request
            out.append(0x22)
        }
        out.append(0x0A)
    }

    /// Appends bytes of a request line as a log may hold them: no control characters, no quotes, at most 1,024.
    static func append(cleaned bytes: Span<UInt8>, _ range: Range<Int>, to text: inout [UInt8]) {
        for index in range.prefix(1024) {
            let byte = bytes[index]
            if byte >= 0x20, byte < 0x7F, byte != 0x22 {
                text.append(byte)
            } else {
                text.append(0x23)
                for digit in [byte >> 4, byte & 15] { text.append(digit < 10 ? 0x30 + digit : 0x37 + digit) }
            }
        }
    }
}

/// Times of day as the log writes them, in UTC: `21/Nov/2026:06:00:05.123`. It keeps the text of the last second.
struct DateText {
    private var second = Int64.min
    private var text: [UInt8] = []

    mutating func write(_ time: WallTime, into out: inout [UInt8]) {
        if time.seconds != second {
            second = time.seconds
            text = Array(Self.text(time).utf8)
        }
        out += text
        let milliseconds = Int(time.nanoseconds / 1_000_000)
        out.append(0x2E)
        for divisor in [100, 10, 1] { out.append(0x30 + UInt8(milliseconds / divisor % 10)) }
    }

    /// Without the milliseconds.
    static func text(_ time: WallTime) -> String {
        let parts = "\(time)".split { "-T:Z.".contains($0) }
        guard parts.count == 7, let month = Int(parts[1]), (1...12).contains(month) else { return "-" }
        let months = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ]
        return "\(parts[2])/\(months[month - 1])/\(parts[0]):\(parts[3]):\(parts[4]):\(parts[5])"
    }
}

/// Times of day as HTTP writes them (RFC 9110 5.6.7): `Sat, 21 Nov 2026 06:00:05 GMT`. It keeps the last one.
struct HTTPDate {
    private var second = Int64.min
    private var text: [UInt8] = []

    mutating func text(of time: WallTime) -> [UInt8] {
        if time.seconds != second {
            second = time.seconds
            text = Array(Self.text(time).utf8)
        }
        return text
    }

    private static func text(_ time: WallTime) -> String {
        // 1970 began on a Thursday.
        let days = time.seconds / 86400
        let weekdays = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
        let words = DateText.text(time).split(separator: ":", maxSplits: 1)
        guard words.count == 2, days >= 0 else { return "Thu, 01 Jan 1970 00:00:00 GMT" }
        let date = words[0].split(separator: "/").joined(separator: " ")
        return "\(weekdays[Int(days % 7)]), \(date) \(words[1]) GMT"
    }
}

extension [UInt8] {
    /// Appends a word of the program.
    mutating func append(word: String) { append(contentsOf: word.utf8) }

    mutating func append(number: Int) {
        if number < 0 { append(0x2D) }
        let size = number.magnitude
        var divisor: UInt = 1
        while size / divisor >= 10 { divisor *= 10 }
        while divisor > 0 {
            append(0x30 + UInt8(size / divisor % 10))
            divisor /= 10
        }
    }

    /// With slashes between them.
    mutating func append(numbers: Int...) {
        for (index, number) in numbers.enumerated() {
            if index > 0 { append(0x2F) }
            append(number: number)
        }
    }
}
