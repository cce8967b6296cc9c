/// A point on the machine's monotonic clock that goes on while it sleeps (CLOCK_BOOTTIME), in nanoseconds.
///
/// Cores never read a clock: the instant is an argument. Instants of two machines are not comparable.
@frozen
public struct Instant: Sendable, Hashable, Comparable {
    public var nanoseconds: UInt64

    @inlinable
    public init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

    /// The instant after every other: a deadline that never comes.
    public static let never = Instant(nanoseconds: .max)

    @inlinable
    public static func < (left: Instant, right: Instant) -> Bool { left.nanoseconds < right.nanoseconds }

    /// The instant that much later, `never` when it would lie past the end of time.
    @inlinable
    public static func + (left: Instant, right: Interval) -> Instant {
        let (sum, overflow) = left.nanoseconds.addingReportingOverflow(right.nanoseconds)
        return overflow ? .never : Instant(nanoseconds: sum)
    }

    /// How long after `earlier` this instant is; nothing when it is not after it.
    @inlinable
    public func since(_ earlier: Instant) -> Interval {
        Interval(nanoseconds: self > earlier ? nanoseconds - earlier.nanoseconds : 0)
    }
}

/// A length of time in nanoseconds, never negative.
@frozen
public struct Interval: Sendable, Hashable, Comparable {
    public var nanoseconds: UInt64

    @inlinable
    public init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

    /// That many microseconds.
    @inlinable
    public static func microseconds(_ count: UInt64) -> Interval { Interval(nanoseconds: count * 1000) }

    /// That many milliseconds.
    @inlinable
    public static func milliseconds(_ count: UInt64) -> Interval { Interval(nanoseconds: count * 1_000_000) }

    /// That many seconds.
    @inlinable
    public static func seconds(_ count: UInt64) -> Interval { Interval(nanoseconds: count * 1_000_000_000) }

    @inlinable
    public static func < (left: Interval, right: Interval) -> Bool { left.nanoseconds < right.nanoseconds }

    /// Whole milliseconds, rounded down.
    @inlinable
    public var wholeMilliseconds: UInt64 { nanoseconds / 1_000_000 }
}
