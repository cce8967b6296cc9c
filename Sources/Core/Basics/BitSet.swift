/// A fixed number of bits, counted as they change.
///
/// The dirty bitmap, the transfer log and the activity log are sets of block or extent numbers; all of them are
/// this type. A call costs a few instructions a bit and no allocation; ranges go by words.
@frozen
public struct BitSet: Sendable, Equatable {
    /// How many bits there are; a member is in `0..<capacity`.
    public let capacity: Int
    /// The bits, 64 a word, lowest number in the lowest bit.
    public private(set) var words: [UInt64]
    /// How many bits are set.
    public private(set) var count: Int

    /// No bit set.
    public init(capacity: Int) {
        self.capacity = capacity
        words = [UInt64](repeating: 0, count: (capacity + 63) / 64)
        count = 0
    }

    /// The bits of `words`; those past `capacity` are dropped, missing words are zero.
    public init(capacity: Int, words source: [UInt64]) {
        self.init(capacity: capacity)
        for index in words.indices where index < source.count { words[index] = source[index] }
        if capacity % 64 != 0, let last = words.indices.last { words[last] &= (1 << (capacity % 64)) - 1 }
        count = words.reduce(0) { $0 + $1.nonzeroBitCount }
    }

    /// Whether no bit is set.
    public var isEmpty: Bool { count == 0 }

    /// Whether the bit is set.
    public func contains(_ index: Int) -> Bool { words[index >> 6] >> UInt64(index & 63) & 1 == 1 }

    /// Sets one bit.
    public mutating func insert(_ index: Int) {
        let mask: UInt64 = 1 << UInt64(index & 63)
        if words[index >> 6] & mask == 0 {
            words[index >> 6] |= mask
            count += 1
        }
    }

    /// Clears one bit.
    public mutating func remove(_ index: Int) {
        let mask: UInt64 = 1 << UInt64(index & 63)
        if words[index >> 6] & mask != 0 {
            words[index >> 6] &= ~mask
            count -= 1
        }
    }

    /// Sets a run of bits.
    public mutating func insert(_ range: Range<Int>) {
        var index = range.lowerBound
        while index < range.upperBound {
            let upper = min(range.upperBound, (index | 63) + 1)
            let mask = Self.mask(from: index, to: upper)
            count += (mask & ~words[index >> 6]).nonzeroBitCount
            words[index >> 6] |= mask
            index = upper
        }
    }

    /// Clears a run of bits.
    public mutating func remove(_ range: Range<Int>) {
        var index = range.lowerBound
        while index < range.upperBound {
            let upper = min(range.upperBound, (index | 63) + 1)
            let mask = Self.mask(from: index, to: upper)
            count -= (mask & words[index >> 6]).nonzeroBitCount
            words[index >> 6] &= ~mask
            index = upper
        }
    }

    /// Whether any bit of the run is set.
    public func intersects(_ range: Range<Int>) -> Bool {
        var index = range.lowerBound
        while index < range.upperBound {
            let upper = min(range.upperBound, (index | 63) + 1)
            if words[index >> 6] & Self.mask(from: index, to: upper) != 0 { return true }
            index = upper
        }
        return false
    }

    /// Sets every bit that `other`, of the same capacity, has set.
    public mutating func formUnion(_ other: BitSet) {
        precondition(other.capacity == capacity, "bit sets of different capacity")
        guard !other.isEmpty else { return }
        for index in words.indices where other.words[index] != 0 {
            count += (other.words[index] & ~words[index]).nonzeroBitCount
            words[index] |= other.words[index]
        }
    }

    /// Clears every bit that `other`, of the same capacity, has set.
    public mutating func subtract(_ other: BitSet) {
        precondition(other.capacity == capacity, "bit sets of different capacity")
        guard !other.isEmpty else { return }
        for index in words.indices where other.words[index] != 0 {
            count -= (other.words[index] & words[index]).nonzeroBitCount
            words[index] &= ~other.words[index]
        }
    }

    /// Clears every bit.
    public mutating func removeAll() {
        guard count > 0 else { return }
        for index in words.indices { words[index] = 0 }
        count = 0
    }

    /// Sets every bit.
    public mutating func insertAll() { insert(0..<capacity) }

    /// The first set bit at or after `index`, if there is one.
    public func first(from index: Int) -> Int? {
        guard index < capacity else { return nil }
        var word = index >> 6
        var bits = words[word] & ~((1 << UInt64(index & 63)) - 1)
        while true {
            if bits != 0 { return word << 6 + bits.trailingZeroBitCount }
            word += 1
            guard word < words.count else { return nil }
            bits = words[word]
        }
    }

    @inline(__always)
    private static func mask(from lower: Int, to upper: Int) -> UInt64 {
        let width = upper - lower
        let ones: UInt64 = width == 64 ? .max : (1 << UInt64(width)) - 1
        return ones << UInt64(lower & 63)
    }
}
