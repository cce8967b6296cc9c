public import Basics
import CLinux
import Glibc

/// A timerfd(2) on CLOCK_BOOTTIME, the clock of `Instant`: it goes on while the machine sleeps.
public struct DeadlineTimer: ~Copyable, Sendable {
    /// Readable when the timer has expired and was not drained.
    public let descriptor: Descriptor

    public init() throws(SystemError) {
        let number = clinux_timerfd()
        guard number >= 0 else { throw SystemError(operation: "timerfd_create", subject: "", code: errno) }
        descriptor = Descriptor(adopting: number)
    }

    /// Expires at `deadline` (at once when it has passed; never for `never`) and then each `interval`, if given.
    public func set(_ deadline: Instant, every interval: Interval? = nil) throws(SystemError) {
        // An absolute time of zero would disarm the timer.
        let first = deadline == .never ? 0 : max(1, deadline.nanoseconds)
        guard clinux_timerfd_set(descriptor.raw, first, first == 0 ? 0 : interval?.nanoseconds ?? 0) == 0
        else {
            throw SystemError(operation: "timerfd_settime", subject: "", code: errno)
        }
    }

    /// How often it has expired since the last drain.
    @discardableResult
    public func drain() -> UInt64 {
        var count: UInt64 = 0
        return read(descriptor.raw, &count, 8) == 8 ? count : 0
    }
}
