import Basics
import Election
import Testing

@Suite struct ServiceWatchTests {
    private static let start = Instant(nanoseconds: 1_000_000_000)

    /// Asks and answers at once.
    private static func ask(_ watch: inout ServiceWatch, _ answer: ServiceAnswer, at now: inout Instant) {
        now = max(now, watch.nextWakeup)
        let isDue = watch.wake(at: now)
        #expect(isDue)
        watch.answered(answer, at: now)
    }

    private static func serving() -> (ServiceWatch, Instant) {
        var (watch, now) = (ServiceWatch(at: start), start)
        ask(&watch, .serving, at: &now)
        return (watch, now)
    }

    @Test func aServiceThatNobodyHasAskedDoesNotTakeTheAddress() {
        let watch = ServiceWatch(at: Self.start)
        #expect(!watch.mayHold(isPeerBetter: false))
        #expect(!watch.mustGiveUp(isPeerBetter: true, at: Self.start + .seconds(60)))
    }

    @Test func oneThatStartsAfterItsNodeIsNotGoneBeforeItsStartUpTimeHasPassed() {
        var (watch, now) = (ServiceWatch(at: Self.start), Self.start)
        while max(now, watch.nextWakeup) < Self.start + watch.rules.startup {
            Self.ask(&watch, .failed, at: &now)
            #expect(watch.state == .unknown && !watch.mayHold(isPeerBetter: false))
        }
        var late = watch
        Self.ask(&watch, .failed, at: &now)
        #expect(watch.state == .gone && now < Self.start + watch.rules.startup + watch.rules.interval)
        Self.ask(&late, .serving, at: &now)
        #expect(late.state == .serving, "its first answer is enough: it was not gone")
    }

    @Test func oneThatHangsWhileItStartsIsGoneWhenItsStartUpTimeHasPassed() {
        var watch = ServiceWatch(at: Self.start)
        let due = watch.wake(at: Self.start)
        #expect(due)
        let again = watch.wake(at: watch.nextWakeup)
        #expect(!again && watch.state == .unknown)
        #expect(watch.nextWakeup == Self.start + watch.rules.startup)
        let last = watch.wake(at: watch.nextWakeup)
        #expect(!last && watch.state == .gone && watch.nextWakeup == .never)
    }

    @Test func oneThatHasAnsweredOnceIsGoneAtOnceAlsoInItsStartUpTime() {
        var (watch, now) = Self.serving()
        Self.ask(&watch, .failed, at: &now)
        #expect(watch.state == .gone && now < Self.start + watch.rules.startup)
    }

    @Test func itIsAskedAnIntervalAfterItsLastAnswer() {
        var (watch, now) = Self.serving()
        #expect(watch.nextWakeup == now + watch.rules.interval)
        let early = watch.wake(at: now + .milliseconds(199))
        #expect(!early)
        now = watch.nextWakeup
        let due = watch.wake(at: now)
        #expect(due)
        let twice = watch.wake(at: now + .milliseconds(500))
        #expect(!twice, "one question at a time")
    }

    @Test func oneWhereNobodyListensGivesTheAddressUpAtOnce() {
        var (watch, now) = Self.serving()
        Self.ask(&watch, .failed, at: &now)
        #expect(watch.state == .gone && watch.since == now)
        #expect(watch.mustGiveUp(isPeerBetter: false, at: now))
        #expect(!watch.mayHold(isPeerBetter: false))
        #expect(now <= Self.start + watch.rules.interval)
    }

    @Test func oneThatDoesNotAnswerGivesItUpAfterTheTimeout() {
        var (watch, now) = Self.serving()
        now = watch.nextWakeup
        let due = watch.wake(at: now)
        #expect(due)
        #expect(watch.nextWakeup == now + watch.rules.timeout)
        now = watch.nextWakeup
        let again = watch.wake(at: now)
        #expect(!again, "no second question beside the one that hangs")
        #expect(watch.mustGiveUp(isPeerBetter: false, at: now))
        #expect(watch.nextWakeup == .never)
    }

    @Test func aLateAnswerIsAnAnswerAndOneAloneDoesNotBringTheAddressBack() {
        var (watch, now) = Self.serving()
        now = watch.nextWakeup
        let due = watch.wake(at: now)
        #expect(due)
        now = watch.nextWakeup
        let late = watch.wake(at: now)
        #expect(!late)
        watch.answered(.serving, at: now + .seconds(2))
        #expect(watch.state == .gone, "two in a row are asked of one that was gone")
        now = now + .seconds(2)
        Self.ask(&watch, .serving, at: &now)
        #expect(watch.state == .serving)
    }

    @Test func aFailureBetweenTwoAnswersBeginsTheCountAnew() {
        var (watch, now) = Self.serving()
        for answer in [ServiceAnswer.failed, .serving, .failed, .serving] {
            Self.ask(&watch, answer, at: &now)
            #expect(watch.state == .gone)
        }
        Self.ask(&watch, .serving, at: &now)
        #expect(watch.state == .serving)
    }

    @Test func anEmptyOneLeavesTheAddressToABetterOneAfterItsPatience() {
        var (watch, now) = Self.serving()
        Self.ask(&watch, .empty, at: &now)
        let since = now
        #expect(!watch.mustGiveUp(isPeerBetter: true, at: now))
        #expect(watch.mustGiveUp(isPeerBetter: true, at: since + watch.rules.patience))
        Self.ask(&watch, .empty, at: &now)
        #expect(watch.since == since, "patience counts from the first")
        #expect(!watch.mayHold(isPeerBetter: true))
    }

    @Test func anEmptyOneKeepsAndTakesTheAddressWhereNobodyIsBetter() {
        var (watch, now) = Self.serving()
        Self.ask(&watch, .empty, at: &now)
        #expect(!watch.mustGiveUp(isPeerBetter: false, at: now + .seconds(60)))
        #expect(watch.mayHold(isPeerBetter: false))
    }
}
