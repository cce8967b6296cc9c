public import Basics
import CLinux
import Glibc

/// The host's monotonic clock, the same for every machine of a lab.
public enum LabClock {
    /// Nanoseconds that the machine has been up, sleep included.
    public static func now() -> Instant { Instant(nanoseconds: clinux_boottime()) }

    /// Gives the processor away for a moment, between two looks at something that sends no event.
    public static func nap(_ interval: Interval) { usleep(UInt32(clamping: interval.nanoseconds / 1000)) }

    /// Looks again and again until `condition` gives something; nil when the deadline passes first.
    public static func wait<Result, Failure: Error>(
        _ limit: Interval, every pause: Interval = .milliseconds(20),
        for condition: () throws(Failure) -> Result?
    ) throws(Failure) -> Result? {
        let deadline = now() + limit
        while true {
            if let result = try condition() { return result }
            if now() > deadline { return nil }
            nap(pause)
        }
    }
}

extension Interval {
    /// "12.3 s", "45 ms".
    public var text: String {
        let milliseconds = wholeMilliseconds
        if milliseconds < 1000 { return "\(milliseconds) ms" }
        return "\(milliseconds / 1000).\(milliseconds % 1000 / 100) s"
    }
}
