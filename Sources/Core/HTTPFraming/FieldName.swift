/// The fields that mean something to a proxy; every other is `other`.
public enum FieldName: UInt8, Sendable {
    case other, host, connection, contentLength, transferEncoding, upgrade, expect, keepAlive, proxyConnection
    case te, trailer, cookie, setCookie, cacheControl, forwardedProto, maxForwards, date

    /// The field with that name, whatever the case of its letters. Length and first letter leave one candidate.
    static func find(_ bytes: Span<UInt8>, _ range: Range<Int>) -> FieldName {
        guard let first = range.first.map({ bytes[$0] | 0x20 }) else { return .other }
        let candidate: (FieldName, StaticString)
        switch (range.count, first) {
        case (4, 0x68): candidate = (.host, "host")
        case (10, 0x63): candidate = (.connection, "connection")
        case (14, 0x63): candidate = (.contentLength, "content-length")
        case (17, 0x74): candidate = (.transferEncoding, "transfer-encoding")
        case (7, 0x75): candidate = (.upgrade, "upgrade")
        case (6, 0x65): candidate = (.expect, "expect")
        case (10, 0x6B): candidate = (.keepAlive, "keep-alive")
        case (16, 0x70): candidate = (.proxyConnection, "proxy-connection")
        case (2, 0x74): candidate = (.te, "te")
        case (7, 0x74): candidate = (.trailer, "trailer")
        case (6, 0x63): candidate = (.cookie, "cookie")
        case (10, 0x73): candidate = (.setCookie, "set-cookie")
        case (13, 0x63): candidate = (.cacheControl, "cache-control")
        case (17, 0x78): candidate = (.forwardedProto, "x-forwarded-proto")
        case (4, 0x64): candidate = (.date, "date")
        case (12, 0x6D): candidate = (.maxForwards, "max-forwards")
        default: return .other
        }
        return bytes.equalsIgnoringCase(range, candidate.1) ? candidate.0 : .other
    }
}

/// The methods that a proxy must know; every other is `other`.
public enum HTTPMethod: UInt8, Sendable {
    case other, get, head, post, put, delete, options, trace, connect, patch

    /// Methods are written in capitals (RFC 9110 9.1).
    static func find(_ bytes: Span<UInt8>, _ range: Range<Int>) -> HTTPMethod {
        guard let first = range.first.map({ bytes[$0] }) else { return .other }
        let candidate: (HTTPMethod, StaticString)
        switch (range.count, first) {
        case (3, 0x47): candidate = (.get, "GET")
        case (4, 0x48): candidate = (.head, "HEAD")
        case (4, 0x50): candidate = (.post, "POST")
        case (3, 0x50): candidate = (.put, "PUT")
        case (6, 0x44): candidate = (.delete, "DELETE")
        case (7, 0x4F): candidate = (.options, "OPTIONS")
        case (5, 0x54): candidate = (.trace, "TRACE")
        case (7, 0x43): candidate = (.connect, "CONNECT")
        case (5, 0x50): candidate = (.patch, "PATCH")
        default: return .other
        }
        return bytes.equals(range, candidate.1) ? candidate.0 : .other
    }

    /// Whether sending it twice has the effect of sending it once (RFC 9110 9.2.2): what may be retried.
    public var isIdempotent: Bool {
        switch self {
        case .get, .head, .put, .delete, .options, .trace: true
        case .other, .post, .connect, .patch: false
        }
    }
}
