/// Why a message is refused. Each word is what the log and the statistics say.
public enum HTTPFault: String, Error, Sendable, Equatable, CaseIterable {
    /// A line feed without a carriage return before it (RFC 9112 2.2).
    case bareLineFeed = "bare-lf"
    /// A carriage return without a line feed after it (RFC 9112 2.2).
    case bareCarriageReturn = "bare-cr"
    /// More empty lines before the request than anybody sends.
    case emptyLines = "empty-lines"
    /// A request line or status line that is none (RFC 9112 3 and 4).
    case badStartLine = "bad-start-line"
    /// A request target that fits no form (RFC 9112 3.2).
    case badTarget = "bad-target"
    /// Another major version than 1.
    case badVersion = "bad-version"
    /// CONNECT: this proxy stands before servers and opens no tunnels to others.
    case connectMethod = "connect-method"
    /// White space before the first field, or a folded line (RFC 9112 2.2 and 5.2).
    case foldedLine = "folded-line"
    /// A field name that is no token, or space before its colon (RFC 9112 5.1).
    case badFieldName = "bad-field-name"
    /// NUL, CR, LF or another control character in a value (RFC 9110 5.5).
    case badFieldValue = "bad-field-value"
    /// No Host in HTTP/1.1, two of them, or one that names no host (RFC 9112 3.2).
    case badHost = "bad-host"
    /// A length that is no single number (RFC 9112 6.3).
    case badContentLength = "bad-content-length"
    /// Transfer-Encoding that does not end in one `chunked`, or in HTTP/1.0 (RFC 9112 6.1 and 6.3).
    case badTransferEncoding = "bad-transfer-encoding"
    /// A transfer coding other than `chunked` below it (RFC 9112 6.1).
    case unknownTransferCoding = "unknown-transfer-coding"
    /// A chunk whose size or end is wrong (RFC 9112 7.1).
    case badChunk = "bad-chunk"
    /// A trailer field that is none (RFC 9112 7.1.2).
    case badTrailer = "bad-trailer"
    /// The first line is longer than the limit.
    case startLineTooLong = "start-line-too-long"
    /// The head, a chunk's line or the trailers are longer than the limit, or have too many fields.
    case headTooLarge = "head-too-large"

    /// What the client is answered when its request is at fault. A response at fault is always 502.
    public var status: Int {
        switch self {
        case .startLineTooLong: 414
        case .headTooLarge: 431
        case .unknownTransferCoding, .connectMethod: 501
        case .badVersion: 505
        default: 400
        }
    }
}

/// How much of a head is read before it is refused.
public struct HTTPLimits: Sendable, Equatable {
    /// Bytes of the request line or status line without its CRLF.
    public var startLine: Int
    /// Bytes of the whole head with its last empty line; also of the trailers.
    public var head: Int
    /// Fields in a head.
    public var fields: Int
    /// Bytes of a chunk's size and extensions.
    public var chunkLine = 256

    public init(startLine: Int = 8192, head: Int = 16384, fields: Int = 128) {
        self.startLine = startLine
        self.head = head
        self.fields = fields
    }
}
