import Basics
import Election
import Testing

@Suite struct CourtesyTests {
    private static let start = Instant(nanoseconds: 1_000_000_000)

    @Test(arguments: [ServiceRules?.none, ServiceRules()])
    func onlyANodeThatIsThereAndFreeIsLetGoFirst(service: ServiceRules?) {
        let courtesy = Courtesy(service: service)
        for other in Courtesy.Other.allCases {
            #expect(courtesy.isDue(to: other, since: Self.start, at: Self.start) == (other == .free))
        }
    }

    @Test(arguments: [ServiceRules?.none, ServiceRules()])
    func itEnds(service: ServiceRules?) {
        let courtesy = Courtesy(service: service)
        #expect(!courtesy.isDue(to: .free, since: Self.start, at: Self.start + courtesy.length))
    }

    /// Otherwise the address would go to the other node while the preferred one's proxy starts.
    @Test func whileTheOthersServiceMayStillBeStartingItLasts() {
        let rules = ServiceRules()
        let courtesy = Courtesy(service: rules)
        // Both nodes begin at once; this one's service answers first, the other's in the last moment.
        var other = ServiceWatch(rules: rules, at: Self.start)
        var now = Self.start
        while max(now, other.nextWakeup) < Self.start + rules.startup {
            now = max(now, other.nextWakeup)
            let isDue = other.wake(at: now)
            #expect(isDue && other.state == .unknown)
            #expect(courtesy.isDue(to: .free, since: Self.start, at: now))
            other.answered(.failed, at: now)
        }
        now = other.nextWakeup
        let isDue = other.wake(at: now)
        #expect(isDue)
        other.answered(.serving, at: now)
        #expect(other.mayHold(isPeerBetter: true))
        // A second more for its word to arrive, and for its own election.
        #expect(courtesy.isDue(to: .free, since: Self.start, at: now + .seconds(1)))
    }
}
