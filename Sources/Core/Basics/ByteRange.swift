/// A run of bytes of a volume: where it starts and how long it is. Never empty in a request.
@frozen
public struct ByteRange: Sendable, Hashable {
    /// The first byte's offset in the volume.
    public var offset: UInt64
    /// The length in bytes.
    public var length: UInt64

    @inlinable
    public init(offset: UInt64, length: UInt64) {
        self.offset = offset
        self.length = length
    }

    /// The offset after the last byte.
    @inlinable
    public var end: UInt64 { offset + length }

    /// Whether any byte is in both.
    @inlinable
    public func overlaps(_ other: ByteRange) -> Bool { offset < other.end && other.offset < end }

    /// The range grown outwards to multiples of `unit` (a power of two).
    @inlinable
    public func aligned(to unit: UInt64) -> ByteRange {
        let start = offset & ~(unit - 1)
        return ByteRange(offset: start, length: (end + unit - 1) & ~(unit - 1) - start)
    }

    /// The numbers of the units of `unit` bytes that the range touches.
    @inlinable
    public func units(of unit: UInt64) -> Range<Int> {
        Int(offset / unit)..<Int((end + unit - 1) / unit)
    }

    /// The numbers of the units of `unit` bytes that the range covers wholly.
    @inlinable
    public func wholeUnits(of unit: UInt64) -> Range<Int> {
        let lower = Int((offset + unit - 1) / unit)
        return lower..<max(lower, Int(end / unit))
    }
}

/// The sizes that formats and cores share, in bytes.
public enum BlockSize {
    /// What one bit of the dirty bitmap stands for.
    public static let block: UInt64 = 4096
    /// What one entry of the activity log stands for.
    public static let extent: UInt64 = 4 << 20
    /// Blocks in an extent.
    public static let blocksPerExtent = Int(extent / block)
    /// The longest request: what the FUSE session negotiates and what a frame may carry.
    public static let requestMaximum: UInt64 = 1 << 20
}
