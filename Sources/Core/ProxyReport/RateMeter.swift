public import Basics

/// Events of the running second and of the one before it: what the statistics call a rate.
public struct RateMeter: Sendable, Equatable {
    private var second: UInt64 = 0
    private var current: UInt64 = 0
    private var previous: UInt64 = 0
    /// The most in one second so far.
    public private(set) var maximum: UInt64 = 0

    public init() {}

    /// One more, in that second of the monotonic clock.
    public mutating func note(second now: UInt64) {
        if now != second { turn(to: now) }
        current += 1
        if current > maximum { maximum = current }
    }

    private mutating func turn(to now: UInt64) {
        previous = now == second + 1 ? current : 0
        current = 0
        second = now
    }

    /// Events in the second before `now`: those of the running second, and of the last one as much as is not past.
    public func rate(at now: Instant) -> UInt64 {
        let (whole, part) = now.nanoseconds.quotientAndRemainder(dividingBy: Self.secondLength)
        let left = Self.secondLength - part
        if whole == second { return current + Self.share(of: previous, left) }
        return whole == second + 1 ? Self.share(of: current, left) : 0
    }

    /// The whole seconds of an instant.
    public static func second(of now: Instant) -> UInt64 { now.nanoseconds / secondLength }

    private static let secondLength: UInt64 = 1_000_000_000

    private static func share(of count: UInt64, _ left: UInt64) -> UInt64 {
        // Milliseconds, so that the product fits.
        count * (left / 1_000_000) / 1000
    }
}

/// The average of about the last 1,024 values, in one word; of the first ones the average of all.
public struct SlidingAverage: Sendable, Equatable {
    /// How many values it is about.
    public static let window: UInt64 = 1024

    private var sum: UInt64 = 0
    private var count: UInt64 = 0
    public private(set) var maximum: UInt64 = 0

    public init() {}

    /// One more value.
    public mutating func note(_ value: UInt64) {
        if count < Self.window {
            count += 1
            sum += value
        } else {
            sum = sum - (sum + Self.window - 1) / Self.window + value
        }
        if value > maximum { maximum = value }
    }

    /// The average, rounded up as HAProxy's; 0 before the first value.
    public var value: UInt64 { count == 0 ? 0 : (sum + count - 1) / count }
}
