/// Takes integers from bytes, highest byte first, and never traps on what it reads.
///
/// A read past the end gives zero and makes the reader invalid for good; a decoder reads everything first and asks
/// `isComplete` once. Counts read from the bytes must be bounded by the decoder before they are looped over.
public struct ByteReader: Sendable {
    private let bytes: [UInt8]
    /// Where the next byte is read.
    public private(set) var position: Int
    /// Whether every read so far was within the bytes and met what was expected.
    public private(set) var isValid = true

    /// Reads from `position`, which may lie past the end.
    public init(_ bytes: [UInt8], from position: Int = 0) {
        self.bytes = bytes
        self.position = position
    }

    /// Whether all was read, and all of it was valid.
    public var isComplete: Bool { isValid && position == bytes.count }

    /// How many bytes are left.
    public var remaining: Int { max(0, bytes.count - position) }

    /// Makes the reader invalid: the decoder met a value that the format does not allow.
    public mutating func invalidate() { isValid = false }

    /// Takes one byte.
    public mutating func readUInt8() -> UInt8 {
        guard position < bytes.count else {
            isValid = false
            return 0
        }
        defer { position += 1 }
        return bytes[position]
    }

    /// Takes one byte that must be 0 or 1.
    public mutating func readBool() -> Bool {
        let value = readUInt8()
        if value > 1 { isValid = false }
        return value == 1
    }

    /// Takes 2 bytes.
    public mutating func readUInt16() -> UInt16 { UInt16(truncatingIfNeeded: readInteger(2)) }

    /// Takes 4 bytes.
    public mutating func readUInt32() -> UInt32 { UInt32(truncatingIfNeeded: readInteger(4)) }

    /// Takes 8 bytes.
    public mutating func readUInt64() -> UInt64 { readInteger(8) }

    /// Takes 16 bytes, the high half first.
    public mutating func readMark() -> Mark {
        let high = readUInt64()
        return Mark(high: high, low: readUInt64())
    }

    /// Takes `count` bytes; none when that many are not left.
    public mutating func readBytes(_ count: Int) -> ArraySlice<UInt8> {
        guard count >= 0, count <= remaining else {
            isValid = false
            return []
        }
        defer { position += count }
        return bytes[position..<position + count]
    }

    /// Takes `count` bytes that must all be `filler`, so that a value has one form in bytes.
    public mutating func skip(_ count: Int, filler: UInt8 = 0) {
        guard count >= 0, count <= remaining else {
            isValid = false
            return
        }
        for index in position..<position + count where bytes[index] != filler { isValid = false }
        position += count
    }

    private mutating func readInteger(_ count: Int) -> UInt64 {
        guard count <= remaining else {
            isValid = false
            return 0
        }
        var value: UInt64 = 0
        for index in position..<position + count { value = value << 8 | UInt64(bytes[index]) }
        position += count
        return value
    }
}
