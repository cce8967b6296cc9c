import Basics
import Lab
import Testing

@Suite("What an observer of the address saw")
struct ObserverLogTests {
    @Test("counts the time to the next question where two answered one")
    func doubleAnswers() {
        let log = ObserverLog(
            text: "10 ?\n11 aa\n20 ?\n21 aa\n22 bb\n30 ?\n31 bb\n32 aa\n45 ?\n46 bb\n46 bb\n60 ?\n")
        #expect(log.doubleAnswers() == Interval(nanoseconds: 25))
        #expect(log.doubleAnswers(from: Instant(nanoseconds: 30)) == Interval(nanoseconds: 15))
        #expect(log.changes().map(\.word) == ["aa", "bb", "aa", "bb"])
    }

    @Test("finds the longest silence, at the ends as well")
    func silence() {
        let log = ObserverLog(text: "5 answer\n10 ?\n11 answer\n40 answer\n45 x\n")
        let inside = log.longestSilence(from: Instant(nanoseconds: 0), to: Instant(nanoseconds: 50))
        #expect(inside.length == Interval(nanoseconds: 29))
        #expect(inside.at == Instant(nanoseconds: 11))
        let atEnd = log.longestSilence(from: Instant(nanoseconds: 0), to: Instant(nanoseconds: 100))
        #expect(atEnd.length == Interval(nanoseconds: 55))
        let none = ObserverLog(text: "").longestSilence(
            from: Instant(nanoseconds: 3), to: Instant(nanoseconds: 9))
        #expect(none.length == Interval(nanoseconds: 6))
    }
    @Test("does not take a line that is still being written for a whole one")
    func unfinishedLine() {
        #expect(ObserverLog(text: "10 ?\n11 web1\n12 we").entries.map(\.word) == ["?", "web1"])
        #expect(ObserverLog(text: "12 we").entries.isEmpty)
    }
}
