public import Basics
import Glibc
import LinuxSystem

/// A web client of a few lines: one request a connection, and a cookie that it keeps.
public struct WebClient: Sendable {
    /// What was answered.
    public struct Answer: Sendable, Equatable {
        /// The status of the response.
        public var status: Int
        /// The first word of its body: the name of the server that made it.
        public var name: String
        /// Whether it set a cookie.
        public var setsCookie: Bool
        /// All of its body.
        public var body = ""
    }

    let server: SocketAddress
    /// Whether cookies are kept and sent.
    let keepsCookie: Bool
    /// What is asked for.
    public var path = "/"
    /// A field more, without its end of line.
    public var field: String?
    /// `NAME=VALUE` as it was set last.
    public private(set) var cookie: String?

    /// `server` is an address and port, such as "192.168.56.101:80".
    public init(server text: String, keepsCookie: Bool) throws(LabError) {
        guard let address = SocketAddress(text) else { throw LabError("'\(text)' is no address and port") }
        server = address
        self.keepsCookie = keepsCookie
    }

    /// Asks once; nil when there is no whole answer within `limit`.
    public mutating func ask(within limit: Interval) -> Answer? {
        let deadline = Instant.now() + limit
        let cookie = keepsCookie ? self.cookie.map { "Cookie: \($0)\r\n" } ?? "" : ""
        let more = field.map { $0 + "\r\n" } ?? ""
        let request = "GET \(path) HTTP/1.1\r\nHost: \(server)\r\n\(more)\(cookie)Connection: close\r\n\r\n"
        let exchanged = Result { () throws(SystemError) in
            try Self.exchange(Array(request.utf8), with: server, deadline: deadline)
        }
        guard case .success(let bytes?) = exchanged, let answer = Self.read(bytes) else { return nil }
        if let set = answer.cookie, keepsCookie { self.cookie = set }
        return answer.answer
    }

    /// All that came until the other side ended; nil at the deadline.
    private static func exchange(
        _ request: [UInt8], with server: SocketAddress, deadline: Instant
    ) throws(SystemError) -> [UInt8]? {
        let stream = try SocketStream.connecting(to: server)
        guard try wait(stream, .writable, deadline) else { return nil }
        try stream.finishConnecting(to: server)
        var rest = request[...]
        while !rest.isEmpty {
            if case .moved(let count) = try stream.write(rest) {
                rest = rest.dropFirst(count)
            } else if try !wait(stream, .writable, deadline) {
                return nil
            }
        }
        var answer: [UInt8] = []
        while answer.count < 65536 {
            switch try stream.read(appendingTo: &answer, limit: 2048) {
            case .moved: break
            case .ended: return answer
            case .wouldBlock: guard try wait(stream, .readable, deadline) else { return nil }
            }
        }
        return nil
    }

    private static func wait(
        _ stream: borrowing SocketStream, _ interest: PollEvents, _ deadline: Instant
    ) throws(SystemError) -> Bool {
        var poll = PollSet()
        poll.add(stream.descriptor.raw, interest)
        return try poll.wait(until: deadline) > 0
    }

    /// What a whole response says; nil when it is none.
    static func read(_ bytes: [UInt8]) -> (answer: Answer, cookie: String?)? {
        let text = String(decoding: bytes, as: UTF8.self)
        // "\r\n" is one Character: lines are split at newlines of any kind.
        var lines = text.split(omittingEmptySubsequences: false) { $0.isNewline }
        guard let first = lines.first, first.hasPrefix("HTTP/1."), first.count >= 12,
            let status = Int(first.dropFirst(9).prefix(3)), let end = lines.firstIndex(of: "")
        else { return nil }
        let body = lines[(end + 1)...].joined(separator: "\n")
        lines.removeSubrange(end...)
        let set = lines.first { $0.lowercased().hasPrefix("set-cookie:") }
        let cookie = set.map { $0.dropFirst(11).drop { $0 == " " }.prefix { $0 != ";" } }
        let name = body.split(whereSeparator: \.isWhitespace).first.map { String($0) } ?? ""
        return (
            Answer(status: status, name: name, setsCookie: set != nil, body: body), cookie.map { String($0) }
        )
    }
}
