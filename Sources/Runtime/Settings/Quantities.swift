import Basics

/// Reads sizes and durations with their units.
enum Quantity {
    /// A number and its unit; no sign, no fraction, at most one space between them.
    static func parts(_ text: String) -> (number: UInt64, unit: String)? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        guard let number = UInt64(digits) else { return nil }
        return (number, String(text.dropFirst(digits.count).drop { $0 == " " }))
    }

    /// The units of a size, smallest first.
    static let sizeUnits: [(word: String, bytes: UInt64)] = [
        ("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40),
    ]

    /// The units of a duration, smallest first.
    static let durationUnits: [(word: String, nanoseconds: UInt64)] = [
        ("ms", 1_000_000), ("s", 1_000_000_000), ("m", 60_000_000_000),
    ]

    /// Bytes as the shortest whole number of a unit: `1GiB`.
    static func text(bytes: UInt64) -> String {
        for unit in sizeUnits.reversed() where bytes != 0 && bytes % unit.bytes == 0 {
            return "\(bytes / unit.bytes)\(unit.word)"
        }
        return "\(bytes)B"
    }

    /// An interval as the shortest whole number of a unit: `60s`; always seconds rather than minutes.
    static func text(_ interval: Interval) -> String {
        let milliseconds = interval.wholeMilliseconds
        return milliseconds % 1000 == 0 ? "\(milliseconds / 1000)s" : "\(milliseconds)ms"
    }
}
