/// The head of a request or a response, as ranges of the bytes that it was read from. It holds no text.
public struct MessageHead: Sendable {
    /// Which of the two.
    public enum Kind: Sendable { case request, response }

    /// One field line.
    public struct Field: Sendable {
        /// What it means to a proxy.
        public var id: FieldName
        /// The name, without the colon.
        public var name: Range<Int>
        /// The value, without the white space around it; may be empty.
        public var value: Range<Int>
    }

    /// How the request names what it wants (RFC 9112 3.2).
    public enum TargetForm: Sendable {
        /// `/path?query`
        case origin
        /// `http://example.com/path`: `target` is the part from the path on, and the authority replaces Host.
        case absolute
        /// `http://example.com` or `http://example.com?query`: the same, and the path `/` is missing before `target`.
        case absoluteWithoutPath
        /// `*`
        case asterisk
    }

    public let kind: Kind
    /// Bytes of the head, with leading empty lines and the empty line at its end.
    public internal(set) var length = 0
    /// 0 or 1: a higher minor version is treated as 1 (RFC 9110 2.5).
    public internal(set) var minorVersion = 1

    public internal(set) var method = HTTPMethod.other
    public internal(set) var methodText = 0..<0
    public internal(set) var target = 0..<0
    public internal(set) var targetForm = TargetForm.origin
    /// The authority of an absolute target.
    public internal(set) var authority: Range<Int>?

    /// 100...999
    public internal(set) var status = 0
    public internal(set) var reason = 0..<0

    public internal(set) var fields: [Field] = []
    /// The value of Host.
    public internal(set) var host: Range<Int>?
    public internal(set) var contentLength: UInt64?
    /// The body is sent in chunks.
    public internal(set) var isChunked = false
    /// Transfer-Encoding and Content-Length together: the first counts, and the connection ends after this message
    /// (RFC 9112 6.1), because somebody before us may have believed the other.
    public internal(set) var isAmbiguous = false
    /// `Connection: close`
    public internal(set) var saysClose = false
    /// `Connection: keep-alive`
    public internal(set) var saysKeepAlive = false
    /// `Connection: upgrade` with an Upgrade field, in HTTP/1.1.
    public internal(set) var asksUpgrade = false
    /// `Expect: 100-continue` in HTTP/1.1.
    public internal(set) var expectsContinue = false
    /// The value of Max-Forwards, where it is a number.
    public internal(set) var maxForwards: UInt64?
    /// Other field names that Connection lists: they end here (RFC 9110 7.6.1).
    public internal(set) var connectionNames: [Range<Int>] = []

    init(kind: Kind) { self.kind = kind }

    /// Empties it and keeps the memory of its arrays.
    mutating func reset() {
        var (fields, names): ([Field], [Range<Int>]) = ([], [])
        // Exchanged, not copied: memory that two share is not kept.
        swap(&fields, &self.fields)
        swap(&names, &connectionNames)
        fields.removeAll(keepingCapacity: true)
        names.removeAll(keepingCapacity: true)
        self = MessageHead(kind: kind)
        self.fields = fields
        connectionNames = names
    }

    /// Whether the sender will take another message on this connection (RFC 9112 9.3).
    public var keepsAlive: Bool {
        if saysClose || isAmbiguous { return false }
        return minorVersion >= 1 || saysKeepAlive
    }

    /// Whether it says when it was made.
    public var hasDate: Bool { fields.contains { $0.id == .date } }

    /// The names that Connection lists beside those of its own, as bytes.
    public func connectionNames(in bytes: Span<UInt8>) -> [[UInt8]] { connectionNames.map { bytes.copy($0) } }

    /// How the request's body ends.
    public var requestBody: BodyLength {
        if isChunked { return .chunked }
        guard let contentLength, contentLength > 0 else { return .none }
        return .length(contentLength)
    }

    /// How the response's body ends, as an answer to `method` (RFC 9112 6.3).
    public func responseBody(to method: HTTPMethod) -> BodyLength {
        if method == .head || status < 200 || status == 204 || status == 304 { return .none }
        if isChunked { return .chunked }
        guard let contentLength else { return .untilClose }
        return contentLength > 0 ? .length(contentLength) : .none
    }
}

/// How a body ends.
public enum BodyLength: Sendable, Equatable {
    /// There is none.
    case none
    /// After that many bytes, at least 1.
    case length(UInt64)
    /// After the last chunk and the trailers.
    case chunked
    /// With the connection: responses only.
    case untilClose
}
