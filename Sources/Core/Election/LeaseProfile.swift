public import Basics

/// Why a set of lease times is refused.
public enum LeaseProfileError: Error, Sendable, Equatable {
    /// (I1) The grantor's promise, at least this long, must outlast the holder's lease on any two clocks.
    case promiseTooShort(minimum: Interval)
    /// (I2) The lease, at least this long, must survive one lost renewal and the slack.
    case leaseTooShort(minimum: Interval)
}

/// The times of a lease, checked when they are made: both sides take them from here and nowhere else.
///
/// (I1)  holder × (1 + ρ) + mute  ≤  promise × (1 − ρ)    at most one holder answers clients
/// (I2)  holder  ≥  2 × renewal + slack                   no expiry by one lost renewal
///
/// ρ is the error of either clock's rate: chrony may slew CLOCK_BOOTTIME by 8.3 %, so 10 % is taken.
public struct LeaseProfile: Sendable, Hashable {
    /// What a clock may be wrong by, in a hundredth.
    public static let clockErrorPercent: UInt64 = 10

    /// How long the holder answers clients, counted from sending the renewal that was confirmed.
    public let holder: Interval
    /// How often the holder renews.
    public let renewal: Interval
    /// How long the grantor grants nobody else, counted from receiving the renewal.
    public let promise: Interval
    /// From the end of the holder's lease until it is mute.
    public let mute: Interval
    /// What a round trip and a late wake-up together may take.
    public let slack: Interval

    /// Throws when an inequality does not hold; the error carries the least value that would do.
    public init(
        holder: Interval, renewal: Interval, promise: Interval, mute: Interval, slack: Interval
    ) throws(LeaseProfileError) {
        let hundred: UInt64 = 100
        let error = Self.clockErrorPercent
        let needed = holder.nanoseconds * (hundred + error) + mute.nanoseconds * hundred
        let minimum = (needed + hundred - error - 1) / (hundred - error)
        guard promise.nanoseconds >= minimum else {
            throw .promiseTooShort(minimum: Interval(nanoseconds: minimum))
        }
        let least = 2 * renewal.nanoseconds + slack.nanoseconds
        guard holder.nanoseconds >= least else { throw .leaseTooShort(minimum: Interval(nanoseconds: least)) }
        self.init(unchecked: (holder, renewal, promise, mute, slack))
    }

    private init(unchecked times: (Interval, Interval, Interval, Interval, Interval)) {
        (holder, renewal, promise, mute, slack) = times
    }

    /// Milliseconds that a test checks against the inequalities.
    private init(
        milliseconds holder: UInt64, _ renewal: UInt64, _ promise: UInt64, _ mute: UInt64, _ slack: UInt64
    ) {
        self.init(
            unchecked: (
                .milliseconds(holder), .milliseconds(renewal), .milliseconds(promise), .milliseconds(mute),
                .milliseconds(slack)
            ))
    }

    /// The default: a lease of 1 s, renewed every 0.3 s.
    public static let normal = LeaseProfile(milliseconds: 1000, 300, 1300, 60, 400)
    /// Takeover in less than half a second, for machines that do not stall.
    public static let fast = LeaseProfile(milliseconds: 225, 75, 300, 20, 75)
    /// For machines that stall for more than a second.
    public static let slow = LeaseProfile(milliseconds: 4000, 1200, 5100, 60, 1600)

    /// The same times, checked again: what a test of the three profiles calls.
    public func checked() throws(LeaseProfileError) -> LeaseProfile {
        try LeaseProfile(holder: holder, renewal: renewal, promise: promise, mute: mute, slack: slack)
    }

    /// Whether measured lateness (of wake-ups) and round trips fit (I2); `tandem check` says where they do not.
    public func fits(lateness: Interval, roundTrip: Interval) -> Bool {
        2 * renewal.nanoseconds + lateness.nanoseconds + roundTrip.nanoseconds <= holder.nanoseconds
    }
}
