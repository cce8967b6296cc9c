import Basics
import Glibc

/// The machine's CLOCK_BOOTTIME, for deadlines.
enum Clock {
    static func now() -> Instant {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        return Instant(nanoseconds: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec))
    }
}
