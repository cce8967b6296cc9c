import Basics
import Testing

@testable import NodeRuntime

@Suite("looking for work before sleeping")
struct SpinGaugeTests {
    private let begin = Instant(nanoseconds: 1_000_000_000)
    private let limit = Interval.microseconds(30)

    private func after(_ microseconds: UInt64) -> Instant { begin + .microseconds(microseconds) }

    /// A gauge that has seen so many waits of that length.
    private func gauge(after waits: Int, of length: Interval) -> SpinGauge {
        var gauge = SpinGauge(limit: limit)
        for _ in 0..<waits { gauge.slept(length) }
        return gauge
    }

    @Test("a thread whose waits were short looks before it sleeps, one whose waits were long does not")
    func looksAfterShortWaits() {
        #expect(!SpinGauge(limit: limit).isWorthwhile)
        #expect(gauge(after: 8, of: .microseconds(20)).isWorthwhile)
        #expect(!gauge(after: 8, of: .milliseconds(2)).isWorthwhile)
        var never = SpinGauge(limit: .milliseconds(0))
        for _ in 0..<8 { never.slept(.microseconds(20)) }
        #expect(!never.isWorthwhile)
    }

    @Test("looking ends at its limit, and no longer goes on when it found nothing a few times")
    func endsAtLimit() {
        var gauge = gauge(after: 16, of: .microseconds(20))
        var misses = 0
        while gauge.isWorthwhile {
            let early = gauge.isOver(begin, after(10), after(11))
            let late = gauge.isOver(begin, after(29), after(30))
            #expect(!early)
            #expect(late)
            misses += 1
        }
        #expect(misses == 4)
    }

    @Test("looking ends for a long time when another thread had the processor meanwhile")
    func yieldsToOthers() {
        var gauge = gauge(after: 16, of: .microseconds(20))
        let isOver = gauge.isOver(begin, after(1), after(1001))
        #expect(isOver)
        for _ in 0..<64 { gauge.slept(.microseconds(20)) }
        #expect(!gauge.isWorthwhile)
        for _ in 0..<4 { gauge.slept(.microseconds(20)) }
        #expect(gauge.isWorthwhile)
    }
}
