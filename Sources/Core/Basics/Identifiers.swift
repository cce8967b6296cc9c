/// A 128-bit random mark: of a grant, a request, a process's life. Two are equal only if one was copied.
@frozen
public struct Mark: Sendable, Hashable {
    public var high: UInt64
    public var low: UInt64

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// A mark drawn from `generator`.
    public init(using generator: inout some RandomNumberGenerator) {
        self.init(high: generator.next(), low: generator.next())
    }

    /// The absence of a mark.
    public static let none = Mark(high: 0, low: 0)
}

extension Mark: CustomStringConvertible {
    /// The first 8 hexadecimal digits: enough to tell two apart in a log.
    public var description: String {
        let digits = String(high >> 32, radix: 16)
        return String(repeating: "0", count: 8 - digits.count) + digits
    }
}

/// Identifies a state of a volume's data, as in DRBD.
@frozen
public struct Generation: RawRepresentable, Sendable, Hashable {
    public var rawValue: UInt64

    public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// No generation: an empty place in the tuple.
    public static let none = Generation(rawValue: 0)
    /// The data is all zero bytes: what `init` makes. Two fresh volumes of one size therefore hold the same data.
    public static let zeroes = Generation(rawValue: 1)
}
