/// Appends integers to bytes, highest byte first: what every format of Tandem is written with.
public struct ByteWriter: Sendable {
    /// What was written so far.
    public private(set) var bytes: [UInt8]

    /// Nothing written; room for `capacity` bytes.
    public init(capacity: Int) {
        bytes = []
        bytes.reserveCapacity(capacity)
    }

    /// Appends one byte.
    public mutating func write(_ value: UInt8) { bytes.append(value) }

    /// Appends 1, for true, or 0.
    public mutating func write(_ value: Bool) { bytes.append(value ? 1 : 0) }

    /// Appends 2 bytes.
    public mutating func write(_ value: UInt16) {
        bytes.append(UInt8(truncatingIfNeeded: value >> 8))
        bytes.append(UInt8(truncatingIfNeeded: value))
    }

    /// Appends 4 bytes.
    public mutating func write(_ value: UInt32) {
        write(UInt16(truncatingIfNeeded: value >> 16))
        write(UInt16(truncatingIfNeeded: value))
    }

    /// Appends 8 bytes.
    public mutating func write(_ value: UInt64) {
        write(UInt32(truncatingIfNeeded: value >> 32))
        write(UInt32(truncatingIfNeeded: value))
    }

    /// Appends 16 bytes, the high half first.
    public mutating func write(_ value: Mark) {
        write(value.high)
        write(value.low)
    }

    /// Appends the bytes as they are.
    public mutating func write(_ value: some Collection<UInt8>) { bytes.append(contentsOf: value) }

    /// Appends `count` zero bytes, none for a negative count.
    public mutating func writeZeroes(_ count: Int) {
        if count > 0 { bytes.append(contentsOf: repeatElement(0, count: count)) }
    }

    /// Overwrites the 4 bytes at `offset`, which must have been written.
    public mutating func store(_ value: UInt32, at offset: Int) {
        for index in 0..<4 {
            bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt32(24 - 8 * index))
        }
    }
}
