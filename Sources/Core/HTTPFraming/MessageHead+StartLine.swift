// The request line and the status line (RFC 9112 3 and 4).

extension MessageHead {
    /// method SP request-target SP HTTP-version, with single spaces: 9112 3 lets a recipient split on more, and the
    /// readers that do disagree with those that do not.
    mutating func readRequestLine(_ bytes: Span<UInt8>, _ line: Range<Int>) throws(HTTPFault) {
        var cursor = line.lowerBound
        while cursor < line.upperBound, ByteClass.isToken(bytes[cursor]) { cursor += 1 }
        guard cursor > line.lowerBound, cursor < line.upperBound, bytes[cursor] == ByteClass.space else {
            throw .badStartLine
        }
        methodText = line.lowerBound..<cursor
        method = HTTPMethod.find(bytes, methodText)
        let start = cursor + 1
        cursor = start
        while cursor < line.upperBound, bytes[cursor] != ByteClass.space { cursor += 1 }
        guard cursor < line.upperBound else { throw .badStartLine }
        let written = start..<cursor
        try readVersion(bytes, (cursor + 1)..<line.upperBound)
        guard !written.isEmpty else { throw .badTarget }
        for index in written {
            let byte = bytes[index]
            // A fragment is never sent (9112 3.2), and what is not visible ASCII is no URI.
            guard byte > 0x20, byte < 0x7F, byte != 0x23 else { throw .badTarget }
        }
        try readTarget(bytes, written)
    }

    /// "HTTP/" DIGIT "." DIGIT, in capitals (9112 2.3).
    private mutating func readVersion(_ bytes: Span<UInt8>, _ range: Range<Int>) throws(HTTPFault) {
        let start = range.lowerBound
        guard range.count == 8, bytes.equals(start..<start + 5, "HTTP/"), bytes[start + 6] == 0x2E,
            ByteClass.isDigit(bytes[start + 5]), ByteClass.isDigit(bytes[start + 7])
        else { throw .badStartLine }
        guard bytes[start + 5] == 0x31 else { throw .badVersion }
        minorVersion = bytes[start + 7] == 0x30 ? 0 : 1
    }

    private mutating func readTarget(_ bytes: Span<UInt8>, _ range: Range<Int>) throws(HTTPFault) {
        if method == .connect { throw .connectMethod }
        target = range
        if bytes[range.lowerBound] == ByteClass.slash { return }
        if range.count == 1, bytes[range.lowerBound] == 0x2A {
            // 9112 3.2.4: only OPTIONS asks for the server as a whole.
            guard method == .options else { throw .badTarget }
            targetForm = .asterisk
            return
        }
        var start = range.lowerBound
        if range.count > 7, bytes.equalsIgnoringCase(start..<start + 7, "http://") {
            start += 7
        } else if range.count > 8, bytes.equalsIgnoringCase(start..<start + 8, "https://") {
            start += 8
        } else {
            throw .badTarget
        }
        var end = start
        while end < range.upperBound, bytes[end] != ByteClass.slash, bytes[end] != 0x3F { end += 1 }
        // 9110 4.2.1 and 4.2.4: an http URI has a host, and none has a user in it.
        guard end > start, Self.isHost(bytes, start..<end) else { throw .badTarget }
        authority = start..<end
        target = end..<range.upperBound
        let hasPath = end < range.upperBound && bytes[end] == ByteClass.slash
        targetForm = hasPath ? .absolute : .absoluteWithoutPath
        // 9112 3.2.4: OPTIONS of an absolute target without path and query goes on as `*`.
        if method == .options, target.isEmpty { targetForm = .asterisk }
    }

    /// uri-host [ ":" port ]: no user, no path, no list (9112 3.2, 9110 7.2).
    static func isHost(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
        var cursor = range.lowerBound
        if cursor < range.upperBound, bytes[cursor] == 0x5B {
            cursor += 1
            let start = cursor
            while cursor < range.upperBound, bytes[cursor] != 0x5D {
                let byte = bytes[cursor]
                guard ByteClass.hexValue(byte) != nil || byte == ByteClass.colon || byte == 0x2E else {
                    return false
                }
                cursor += 1
            }
            guard cursor < range.upperBound, cursor > start else { return false }
            cursor += 1
        } else {
            while cursor < range.upperBound, ByteClass.isHostName(bytes[cursor]) { cursor += 1 }
            if cursor == range.lowerBound, cursor < range.upperBound { return false }
        }
        guard cursor < range.upperBound else { return true }
        guard bytes[cursor] == ByteClass.colon, range.upperBound - cursor <= 6 else { return false }
        for index in (cursor + 1)..<range.upperBound where !ByteClass.isDigit(bytes[index]) { return false }
        return true
    }

    /// HTTP-version SP status-code SP reason; the last space may be missing with an empty reason, as many send it.
    mutating func readStatusLine(_ bytes: Span<UInt8>, _ line: Range<Int>) throws(HTTPFault) {
        let start = line.lowerBound
        guard line.count >= 12, bytes[start + 8] == ByteClass.space else { throw .badStartLine }
        try readVersion(bytes, start..<start + 8)
        var code = 0
        for index in (start + 9)..<(start + 12) {
            guard ByteClass.isDigit(bytes[index]) else { throw .badStartLine }
            code = code * 10 + Int(bytes[index] - 0x30)
        }
        guard code >= 100 else { throw .badStartLine }
        status = code
        guard line.count > 12 else { return }
        guard bytes[start + 12] == ByteClass.space else { throw .badStartLine }
        reason = (start + 13)..<line.upperBound
        for index in reason where !ByteClass.isFieldValue(bytes[index]) { throw .badStartLine }
    }
}
