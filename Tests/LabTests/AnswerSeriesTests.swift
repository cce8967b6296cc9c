import Basics
import Testing

@testable import Lab

@Suite struct AnswerSeriesTests {
    private static let text = "# 250 shut down node1\n0 1\n100 2.5\n200 -\n300 -\n400 1\n"

    @Test func aSeriesReadsWhatItWrites() throws {
        let series = try AnswerSeries(text: Self.text)
        #expect(series.points.map(\.value) == [1, 2.5, nil, nil, 1])
        #expect(series.marks == [AnswerSeries.Mark(milliseconds: 250, text: "shut down node1")])
        #expect(try AnswerSeries(text: series.text) == series)
    }

    @Test(arguments: ["100", "x 1", "100 many", "-1 1", "100 -3", "# 100", "100 nan"])
    func aLineThatIsNoneIsNamed(_ line: String) {
        #expect {
            _ = try AnswerSeries(text: "0 1\n\(line)\n")
        } throws: { error in
            "\(error)".hasPrefix("line 2")
        }
    }

    @Test func anOutageLastsFromTheLastAnsweredQuestionToTheNext() throws {
        let series = try AnswerSeries(text: Self.text)
        #expect(series.outages(atLeast: 150) == [AnswerSeries.Outage(from: 100, to: 400)])
        #expect(series.outages(atLeast: 301).isEmpty)
        let open = try AnswerSeries(text: "0 1\n10 -\n500 -\n")
        #expect(open.outages(atLeast: 100) == [AnswerSeries.Outage(from: 0, to: 500)])
    }

    @Test func aQuestionWithoutAnAnswerBeforeTheNextCountsAsNone() {
        let log = ObserverLog(text: "1000000 ?\n3000000 answer\n11000000 ?\n21000000 ?\n22000000 answer\n")
        let series = AnswerSeries(log, from: Instant(nanoseconds: 0))
        #expect(series.points.map(\.milliseconds) == [1, 11, 21])
        #expect(series.points.map(\.value) == [2, nil, 1])
    }

    @Test func theDrawingsShowWhereNobodyAnsweredAndWhatWasDone() throws {
        let series = try AnswerSeries(text: Self.text)
        var plot = TextPlot(series)
        plot.columns = 5
        let lines = plot.lines
        #expect(lines.contains { $0.hasSuffix("no answer   xx ") || $0.hasSuffix("no answer   xx") })
        #expect(lines.last == "  A      0.25 s  shut down node1")
        let drawing = VectorPlot(series, title: "<a & b>").text
        #expect(drawing.contains("&lt;a &amp; b&gt;") && drawing.contains("300 ms"))
        #expect(drawing.hasPrefix("<svg") && drawing.hasSuffix("</svg>\n"))
    }

    @Test func oneLateAnswerDoesNotPressTheOthersFlat() {
        let values = [Double](repeating: 1, count: 99) + [500]
        #expect(TextPlot.scale(values) == 2)
        #expect(TextPlot.scale([]) == 1)
    }
}
