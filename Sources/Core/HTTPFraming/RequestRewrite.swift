/// What the proxy says to an origin in place of what the client said (RFC 9110 7.6, RFC 9112 3.2.2).
///
/// Fields of the connection end here, and those that it names; framing is written anew; the sticky cookie is removed;
/// the client's address and scheme are added. Everything else goes on unchanged and in its order.
public struct RequestRewrite: Sendable {
    /// The text of the client's address, appended as its own X-Forwarded-For line; empty adds none.
    public var clientAddress: [UInt8]
    /// The name of the cookie that is ours; empty when there is none.
    public var cookieName: [UInt8]
    /// The Host of a request that has none (HTTP/1.0).
    public var standInHost: [UInt8]

    public init(clientAddress: [UInt8], cookieName: [UInt8], standInHost: [UInt8]) {
        self.clientAddress = clientAddress
        self.cookieName = cookieName
        self.standInHost = standInHost
    }

    /// Appends the head as the origin shall read it, its empty line included.
    public func write(_ head: MessageHead, _ bytes: Span<UInt8>, into out: inout [UInt8]) {
        out.append(bytes, head.methodText)
        out.append(ByteClass.space)
        switch head.targetForm {
        case .asterisk: out.append(0x2A)
        case .absoluteWithoutPath:
            out.append(ByteClass.slash)
            out.append(bytes, head.target)
        case .origin, .absolute: out.append(bytes, head.target)
        }
        out.append(text: " HTTP/1.1\r\nHost: ")
        if let host = head.authority ?? head.host {
            out.append(bytes, host)
        } else {
            out.append(contentsOf: standInHost)
        }
        out.append(text: "\r\n")
        for field in head.fields { write(field, of: head, bytes, into: &out) }
        writeFraming(head, into: &out)
        if !clientAddress.isEmpty {
            out.append(text: "X-Forwarded-For: ")
            out.append(contentsOf: clientAddress)
            out.append(text: "\r\nX-Forwarded-Proto: http\r\n")
        }
        if head.asksUpgrade { out.append(text: "Connection: upgrade\r\n") }
        out.append(text: "\r\n")
    }

    private func write(
        _ field: MessageHead.Field, of head: MessageHead, _ bytes: Span<UInt8>, into out: inout [UInt8]
    ) {
        switch field.id {
        case .host, .connection, .keepAlive, .proxyConnection, .te, .contentLength, .transferEncoding: return
        // The client's own word about its scheme is replaced by what we saw.
        case .forwardedProto where !clientAddress.isEmpty: return
        case .upgrade where !head.asksUpgrade: return
        case .expect where head.minorVersion == 0: return
        case .cookie where !cookieName.isEmpty:
            if head.isNamedInConnection(field, bytes) { return }
            CookieText.write(bytes, field, without: cookieName, into: &out)
            return
        case .maxForwards where head.method == .options || head.method == .trace:
            // RFC 9110 7.6.2; zero is answered and never comes here.
            guard let left = head.maxForwards, left > 0 else { return }
            out.append(text: "Max-Forwards: ")
            out.append(decimal: left - 1)
            out.append(text: "\r\n")
            return
        default: break
        }
        if head.isNamedInConnection(field, bytes) { return }
        out.append(field, bytes)
    }

    private func writeFraming(_ head: MessageHead, into out: inout [UInt8]) {
        if head.isChunked {
            out.append(text: "Transfer-Encoding: chunked\r\n")
        } else if let length = head.contentLength {
            out.append(text: "Content-Length: ")
            out.append(decimal: length)
            out.append(text: "\r\n")
        }
    }
}

extension MessageHead {
    /// Whether Connection names the field, which then ends here (RFC 9110 7.6.1).
    func isNamedInConnection(_ field: Field, _ bytes: Span<UInt8>) -> Bool {
        for name in connectionNames where bytes.equalsIgnoringCase(name, field.name, of: bytes) {
            return true
        }
        return false
    }
}

extension [UInt8] {
    /// Appends the field as it came, with one space after the colon and CRLF.
    mutating func append(_ field: MessageHead.Field, _ bytes: Span<UInt8>) {
        let (name, value) = (field.name, field.value)
        // Most come as they go on.
        if value.lowerBound == name.upperBound + 2, bytes[name.upperBound + 1] == ByteClass.space {
            append(bytes, name.lowerBound..<value.upperBound)
        } else {
            append(bytes, name)
            append(text: ": ")
            append(bytes, value)
        }
        append(text: "\r\n")
    }
}
