/// Finds and removes one cookie in Cookie fields (RFC 6265 4.2: pairs divided by semicolons).
public enum CookieText {
    /// The value of the first cookie with that name in any Cookie field, without quotes; nil when there is none.
    public static func value(of name: [UInt8], in head: MessageHead, _ bytes: Span<UInt8>) -> Range<Int>? {
        for field in head.fields where field.id == .cookie {
            var cursor = field.value.lowerBound
            while let pair = nextPair(bytes, &cursor, field.value.upperBound) {
                guard isNamed(pair, name, bytes) else { continue }
                var value = (pair.lowerBound + name.count + 1)..<pair.upperBound
                if value.count >= 2, bytes[value.lowerBound] == 0x22, bytes[value.upperBound - 1] == 0x22 {
                    value = (value.lowerBound + 1)..<(value.upperBound - 1)
                }
                return value
            }
        }
        return nil
    }

    /// Appends the field without the cookie of that name; nothing when no other is left, and unchanged when it is not
    /// there.
    static func write(
        _ bytes: Span<UInt8>, _ field: MessageHead.Field, without name: [UInt8], into out: inout [UInt8]
    ) {
        var cursor = field.value.lowerBound
        var found = false
        while let pair = nextPair(bytes, &cursor, field.value.upperBound), !found {
            found = isNamed(pair, name, bytes)
        }
        guard found else { return out.append(field, bytes) }
        cursor = field.value.lowerBound
        var isFirst = true
        while let pair = nextPair(bytes, &cursor, field.value.upperBound) {
            if isNamed(pair, name, bytes) { continue }
            out.append(text: isFirst ? "Cookie: " : "; ")
            out.append(bytes, pair)
            isFirst = false
        }
        if !isFirst { out.append(text: "\r\n") }
    }

    private static func isNamed(_ pair: Range<Int>, _ name: [UInt8], _ bytes: Span<UInt8>) -> Bool {
        guard pair.count > name.count, bytes[pair.lowerBound + name.count] == 0x3D else { return false }
        return bytes.equals(pair.lowerBound..<pair.lowerBound + name.count, name)
    }

    private static func nextPair(_ bytes: Span<UInt8>, _ cursor: inout Int, _ end: Int) -> Range<Int>? {
        while cursor < end {
            let start = cursor
            while cursor < end, bytes[cursor] != ByteClass.semicolon { cursor += 1 }
            let pair = MessageHead.trimmed(bytes, start..<cursor)
            if cursor < end { cursor += 1 }
            if !pair.isEmpty { return pair }
        }
        return nil
    }
}
