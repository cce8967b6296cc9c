import Synchronization
import Telemetry
import Testing

@Suite("The journal")
struct JournalTests {
    @Test("an event is one line, whatever its values hold")
    func oneLine() throws {
        let journal = Journal(logger: nil)
        journal.record("step-ended", level: .warning, ["step": "mount", "reason": "a \"b\"\nc", "empty": ""])
        let event = try #require(journal.events().first)
        #expect(event.text == #"step-ended step=mount reason="a \"b\"\nc" empty="""#)
        #expect(event.level == .warning)
        #expect(event.sequence == 1)
    }

    @Test("the last thousand events are kept, in order, and the older ones are gone")
    func bounded() {
        let journal = Journal(logger: nil)
        for number in 0..<2500 { journal.record("event", ["number": number]) }
        let events = journal.events()
        #expect(events.count == Journal.capacity)
        #expect(events.map(\.sequence) == Array(1501...2500))
        #expect(journal.events(after: 2498).map(\.sequence) == [2499, 2500])
        #expect(journal.events(limit: 3).map(\.sequence) == [2498, 2499, 2500])
    }

    @Test("an observer is called after each event, until it stops")
    func observers() {
        let journal = Journal(logger: nil)
        let calls = Atomic(0)
        let number = journal.observe { calls.add(1, ordering: .relaxed) }
        journal.record("one")
        journal.record("two")
        journal.stopObserving(number)
        journal.record("three")
        #expect(calls.load(ordering: .relaxed) == 2)
    }

    @Test(
        "a time is printed in UTC as RFC 3339",
        arguments: [
            (0, 0, "1970-01-01T00:00:00.000Z"), (951_782_400, 5_000_000, "2000-02-29T00:00:00.005Z"),
            (1_798_761_599, 999_999_999, "2026-12-31T23:59:59.999Z"), (-1, 0, "1969-12-31T23:59:59.000Z"),
        ] as [(Int64, Int64, String)])
    func time(seconds: Int64, nanoseconds: Int64, text: String) {
        #expect(WallTime(seconds: seconds, nanoseconds: nanoseconds).description == text)
    }
}
