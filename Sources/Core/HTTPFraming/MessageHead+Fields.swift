// Field lines, and what they say together once the head is whole.

extension MessageHead {
    mutating func readField(_ bytes: Span<UInt8>, _ line: Range<Int>) throws(HTTPFault) {
        // 9112 2.2 (white space before the first field) and 5.2 (obs-fold): refused in both directions.
        guard !ByteClass.isSpace(bytes[line.lowerBound]) else { throw .foldedLine }
        var cursor = line.lowerBound
        while cursor < line.upperBound, ByteClass.isToken(bytes[cursor]) { cursor += 1 }
        let name = line.lowerBound..<cursor
        // 9112 5.1: space before the colon is refused in a request and removed from a response.
        if kind == .response {
            while cursor < line.upperBound, ByteClass.isSpace(bytes[cursor]) { cursor += 1 }
        }
        guard !name.isEmpty, cursor < line.upperBound, bytes[cursor] == ByteClass.colon else {
            throw .badFieldName
        }
        for index in (cursor + 1)..<line.upperBound where !ByteClass.isFieldValue(bytes[index]) {
            throw .badFieldValue
        }
        let value = Self.trimmed(bytes, (cursor + 1)..<line.upperBound)
        let id = FieldName.find(bytes, name)
        fields.append(Field(id: id, name: name, value: value))
        switch id {
        case .host:
            guard host == nil else {
                if kind == .request { throw .badHost }
                return
            }
            host = value
        case .contentLength: try readContentLength(bytes, value)
        case .connection: try readConnection(bytes, value)
        case .expect: expectsContinue = bytes.equalsIgnoringCase(value, "100-continue")
        case .maxForwards: maxForwards = Self.number(bytes, value)
        default: break
        }
    }

    static func trimmed(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Range<Int> {
        var (start, end) = (range.lowerBound, range.upperBound)
        while start < end, ByteClass.isSpace(bytes[start]) { start += 1 }
        while end > start, ByteClass.isSpace(bytes[end - 1]) { end -= 1 }
        return start..<end
    }

    /// Decimal digits alone, below 2^62; nil for anything else.
    static func number(_ bytes: Span<UInt8>, _ range: Range<Int>) -> UInt64? {
        guard !range.isEmpty, range.count <= 19 else { return nil }
        var number: UInt64 = 0
        for index in range {
            guard ByteClass.isDigit(bytes[index]) else { return nil }
            number = number * 10 + UInt64(bytes[index] - 0x30)
        }
        return number < 1 << 62 ? number : nil
    }

    /// 9112 6.3 (5) and 9110 8.6: one number. A list of equal ones may be refused, and is.
    private mutating func readContentLength(_ bytes: Span<UInt8>, _ value: Range<Int>) throws(HTTPFault) {
        guard contentLength == nil, let number = Self.number(bytes, value) else { throw .badContentLength }
        contentLength = number
    }

    private mutating func readConnection(_ bytes: Span<UInt8>, _ value: Range<Int>) throws(HTTPFault) {
        var cursor = value.lowerBound
        while let element = Self.nextElement(bytes, &cursor, value.upperBound) {
            for index in element where !ByteClass.isToken(bytes[index]) { throw .badFieldValue }
            if bytes.equalsIgnoringCase(element, "close") {
                saysClose = true
            } else if bytes.equalsIgnoringCase(element, "keep-alive") {
                saysKeepAlive = true
            } else if bytes.equalsIgnoringCase(element, "upgrade") {
                asksUpgrade = true
            } else {
                connectionNames.append(element)
            }
        }
    }

    /// The next element of a comma-separated list (9110 5.6.1), empty ones skipped; nil at its end.
    static func nextElement(_ bytes: Span<UInt8>, _ cursor: inout Int, _ end: Int) -> Range<Int>? {
        while cursor < end {
            let start = cursor
            while cursor < end, bytes[cursor] != ByteClass.comma { cursor += 1 }
            let element = trimmed(bytes, start..<cursor)
            if cursor < end { cursor += 1 }
            if !element.isEmpty { return element }
        }
        return nil
    }

    /// What only the whole head can tell.
    mutating func finish(_ bytes: Span<UInt8>) throws(HTTPFault) {
        if kind == .request {
            if let host {
                guard Self.isHost(bytes, host) else { throw .badHost }
            } else if minorVersion >= 1 {
                // 9112 3.2: 400 to any HTTP/1.1 request that lacks a Host, an absolute target included.
                throw .badHost
            }
        }
        try finishTransferEncoding(bytes)
        if minorVersion == 0 {
            // 9110 7.8 and 10.1.1: neither exists before HTTP/1.1.
            asksUpgrade = false
            expectsContinue = false
        }
        if asksUpgrade { asksUpgrade = fields.contains { $0.id == .upgrade && !$0.value.isEmpty } }
    }

    private mutating func finishTransferEncoding(_ bytes: Span<UInt8>) throws(HTTPFault) {
        var (written, count, chunked, endsInChunked) = (false, 0, 0, false)
        for field in fields where field.id == .transferEncoding {
            written = true
            var cursor = field.value.lowerBound
            while let element = Self.nextElement(bytes, &cursor, field.value.upperBound) {
                count += 1
                endsInChunked = bytes.equalsIgnoringCase(element, "chunked")
                if endsInChunked { chunked += 1 }
            }
        }
        guard written else { return }
        // 9112 6.1: a Transfer-Encoding in HTTP/1.0 is faulty framing. 6.3 (4): one that does not end in chunked has
        // no end in a request; in a response it would end with the connection, which hides a truncation.
        guard minorVersion >= 1, endsInChunked, chunked == 1 else { throw .badTransferEncoding }
        guard count == 1 else { throw .unknownTransferCoding }
        isChunked = true
        if contentLength != nil {
            isAmbiguous = true
            contentLength = nil
        }
    }
}
