// Comparing and copying bytes of a span with the words of the program.

extension Span where Element == UInt8 {
    /// Whether the bytes of `range` are `text`, which is written in small letters, whatever the case of theirs.
    func equalsIgnoringCase(_ range: Range<Int>, _ text: StaticString) -> Bool {
        guard range.count == text.utf8CodeUnitCount else { return false }
        let start = text.utf8Start
        for index in 0..<range.count {
            let byte = self[range.lowerBound + index]
            let small = byte &- 0x41 < 26 ? byte | 0x20 : byte
            if small != start[index] { return false }
        }
        return true
    }

    /// Whether the bytes of `range` are exactly `text`.
    func equals(_ range: Range<Int>, _ text: StaticString) -> Bool {
        guard range.count == text.utf8CodeUnitCount else { return false }
        let start = text.utf8Start
        for index in 0..<range.count where self[range.lowerBound + index] != start[index] { return false }
        return true
    }

    /// Whether the bytes of `range` are exactly `text`.
    func equals(_ range: Range<Int>, _ text: [UInt8]) -> Bool {
        guard range.count == text.count else { return false }
        for index in 0..<range.count where self[range.lowerBound + index] != text[index] { return false }
        return true
    }

    /// Whether the bytes of both ranges are the same, whatever the case of their letters.
    func equalsIgnoringCase(_ range: Range<Int>, _ other: Range<Int>, of others: Span<UInt8>) -> Bool {
        guard range.count == other.count else { return false }
        for index in 0..<range.count {
            let (left, right) = (self[range.lowerBound + index], others[other.lowerBound + index])
            if left == right { continue }
            guard left ^ right == 0x20, (left | 0x20) &- 0x61 < 26 else { return false }
        }
        return true
    }

    /// The bytes of `range`.
    public func copy(_ range: Range<Int>) -> [UInt8] {
        var copy: [UInt8] = []
        copy.append(self, range)
        return copy
    }
}

extension [UInt8] {
    /// Appends the bytes of `range`.
    public mutating func append(_ span: Span<UInt8>, _ range: Range<Int>) {
        span.extracting(range).withUnsafeBufferPointer { append(contentsOf: $0) }
    }

    /// Appends a word of the program.
    public mutating func append(text: StaticString) {
        append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// Appends a number in decimal digits.
    public mutating func append(decimal number: UInt64) {
        if number >= 10 { append(decimal: number / 10) }
        append(0x30 + UInt8(number % 10))
    }

    /// Appends a number in hexadecimal digits.
    public mutating func append(hexadecimal number: UInt64) {
        if number >= 16 { append(hexadecimal: number / 16) }
        let digit = UInt8(number % 16)
        append(digit < 10 ? 0x30 + digit : 0x57 + digit)
    }
}
