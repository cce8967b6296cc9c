import Basics

/// Decides whether the volume's thread looks for work for a moment before it sleeps.
///
/// To be woken costs more than a short wait when requests follow one another closely. When they do not, looking is
/// wasted; and where processors are short, it takes the one that the awaited work needs. So it looks only while waits
/// of that kind have been short lately, and not for a long time once it was interrupted while looking.
struct SpinGauge {
    /// How long to look; zero: never.
    let limit: Interval
    private var credit = 0

    /// From so many on it looks.
    private static let needed = 4
    private static let most = 16
    private static let afterDisturbance = -64
    private static let forMiss = 4
    /// What waking adds to the wait that was, in nanoseconds.
    private static let wakeUp: UInt64 = 40_000
    /// Between two looks so much time passes only when another thread had the processor.
    private static let disturbance = Interval.microseconds(25)

    init(limit: Interval) { self.limit = limit }

    var isWorthwhile: Bool { credit >= Self.needed && limit.nanoseconds > 0 }

    /// Looking found work.
    mutating func found() { credit = min(credit + 1, Self.most) }

    /// Whether to sleep after all: `start` is when looking began, `last` and `now` are the last two looks.
    mutating func isOver(_ start: Instant, _ last: Instant, _ now: Instant) -> Bool {
        if now.since(last) > Self.disturbance {
            credit = Self.afterDisturbance
            return true
        }
        guard now.since(start) >= limit else { return false }
        credit -= Self.forMiss
        return true
    }

    /// The thread slept for so long, waking included.
    mutating func slept(_ time: Interval) {
        if time.nanoseconds < limit.nanoseconds + Self.wakeUp {
            credit = min(credit + 1, Self.most)
        } else if credit > 0 {
            credit -= 1
        }
    }
}
