/// What the proxy says to a client in place of what the origin said.
public struct ResponseRewrite: Sendable {
    /// How the body is framed towards the client.
    public enum Framing: Sendable, Equatable {
        /// No framing field, whatever the origin wrote: 1xx and 204 (RFC 9112 6.1 and 9110 8.6).
        case none
        /// What the origin wrote about a body that is not sent: answers to HEAD, and 304.
        case announced
        /// Content-Length.
        case length(UInt64)
        /// Transfer-Encoding: chunked.
        case chunked
        /// The connection's end: for HTTP/1.0 clients.
        case untilClose
    }

    public var framing: Framing
    /// `Connection: close` is said, and the connection closed after the message.
    public var closes: Bool
    /// `Connection: keep-alive` is said, which HTTP/1.0 clients need.
    public var saysKeepAlive: Bool
    /// A whole Set-Cookie value of ours; empty adds none. With it goes `Cache-Control: private`, because a shared
    /// cache would hand the cookie to everybody.
    public var setCookie: [UInt8] = []
    /// A whole Date value for a response that has none (RFC 9110 6.6.1: whoever has a clock adds it); empty adds none.
    public var date: [UInt8] = []

    public init(framing: Framing, closes: Bool, saysKeepAlive: Bool = false) {
        self.framing = framing
        self.closes = closes
        self.saysKeepAlive = saysKeepAlive
    }

    /// The framing of a response's body towards a client of that minor version.
    public static func framing(
        of head: MessageHead, body: BodyLength, to method: HTTPMethod, clientMinorVersion: Int
    ) -> Framing {
        if head.status < 200 || head.status == 204 { return .none }
        if method == .head || head.status == 304 { return .announced }
        switch body {
        case .none: return .length(0)
        case .length(let count): return .length(count)
        case .chunked, .untilClose: return clientMinorVersion >= 1 ? .chunked : .untilClose
        }
    }

    /// Appends the head as the client shall read it, its empty line included.
    public func write(_ head: MessageHead, _ bytes: Span<UInt8>, into out: inout [UInt8]) {
        out.append(text: "HTTP/1.1 ")
        out.append(decimal: UInt64(head.status))
        out.append(ByteClass.space)
        out.append(bytes, head.reason)
        out.append(text: "\r\n")
        for field in head.fields {
            switch field.id {
            case .connection, .keepAlive, .proxyConnection, .te, .contentLength, .transferEncoding: continue
            case .upgrade where head.status != 101 && !head.asksUpgrade: continue
            default:
                if head.isNamedInConnection(field, bytes) { continue }
                out.append(field, bytes)
            }
        }
        writeFraming(head, into: &out)
        if !date.isEmpty, !head.hasDate, head.status >= 200 {
            out.append(text: "Date: ")
            out.append(contentsOf: date)
            out.append(text: "\r\n")
        }
        if !setCookie.isEmpty {
            out.append(text: "Set-Cookie: ")
            out.append(contentsOf: setCookie)
            out.append(text: "\r\nCache-Control: private\r\n")
        }
        if head.asksUpgrade {
            out.append(text: "Connection: upgrade\r\n")
        } else if head.status >= 200 {
            if closes {
                out.append(text: "Connection: close\r\n")
            } else if saysKeepAlive {
                out.append(text: "Connection: keep-alive\r\n")
            }
        }
        out.append(text: "\r\n")
    }

    private func writeFraming(_ head: MessageHead, into out: inout [UInt8]) {
        switch framing {
        case .none, .untilClose: return
        case .announced:
            if head.isChunked { return out.append(text: "Transfer-Encoding: chunked\r\n") }
            guard let length = head.contentLength else { return }
            out.append(text: "Content-Length: ")
            out.append(decimal: length)
        case .length(let length):
            out.append(text: "Content-Length: ")
            out.append(decimal: length)
        case .chunked: out.append(text: "Transfer-Encoding: chunked")
        }
        out.append(text: "\r\n")
    }
}
