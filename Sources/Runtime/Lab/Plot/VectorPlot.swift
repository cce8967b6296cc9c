/// A series as a drawing in SVG: answers as dots, times without one as bands, what was done as lines with its words.
public struct VectorPlot: Sendable {
    public var series: AnswerSeries
    public var title: String
    /// What the numbers are.
    public var unit = "ms"
    /// Milliseconds without an answer that are drawn as a band.
    public var shortestOutage = 100.0

    private let width = 960.0
    private let height = 320.0
    private let left = 60.0
    private let top = 40.0
    private let plotHeight = 200.0

    public init(_ series: AnswerSeries, title: String) {
        self.series = series
        self.title = title
    }

    private var plotWidth: Double { width - left - 20 }
    private var bottom: Double { top + plotHeight }
    private var end: Double { max(series.end, 1) }

    private func x(_ milliseconds: Double) -> String {
        AnswerSeries.figure(left + milliseconds / end * plotWidth, decimals: 2)
    }

    /// The whole file.
    public var text: String {
        let scale = TextPlot.scale(series.points.compactMap(\.value))
        return ([head] + outages + dots(scale) + axes(scale) + marks + ["</svg>"]).joined(separator: "\n")
            + "\n"
    }

    private var head: String {
        """
        <svg xmlns="http://www.w3.org/2000/svg" width="\(Int(width))" height="\(Int(height))" \
        font-family="sans-serif" font-size="12">
        <rect width="100%" height="100%" fill="white"/>
        <text x="\(Int(left))" y="20" font-size="14">\(Self.escaped(title))</text>
        """
    }

    private var outages: [String] {
        series.outages(atLeast: shortestOutage).map { outage in
            let length = AnswerSeries.figure(outage.length, decimals: 0)
            let breadth = AnswerSeries.figure(outage.length / end * plotWidth, decimals: 2)
            return """
                <rect x="\(x(outage.from))" y="\(Int(top))" width="\(breadth)" height="\(Int(plotHeight))" fill="#f6c6c6"/>
                <text x="\(x(outage.to))" y="\(Int(top) + 12)" fill="#a00000"> \(length) ms</text>
                """
        }
    }

    private func dots(_ scale: Double) -> [String] {
        series.points.compactMap { point in
            guard let value = point.value else { return nil }
            let y = AnswerSeries.figure(bottom - min(1, value / scale) * (plotHeight - 20), decimals: 2)
            return "<circle cx=\"\(x(point.milliseconds))\" cy=\"\(y)\" r=\"1.2\" fill=\"#2050a0\"/>"
        }
    }

    private func axes(_ scale: Double) -> [String] {
        let line = "stroke=\"black\" stroke-width=\"1\""
        return [
            "<line x1=\"\(left)\" y1=\"\(bottom)\" x2=\"\(left + plotWidth)\" y2=\"\(bottom)\" \(line)/>",
            "<line x1=\"\(left)\" y1=\"\(top)\" x2=\"\(left)\" y2=\"\(bottom)\" \(line)/>",
            "<text x=\"4\" y=\"\(top + 24)\">\(AnswerSeries.figure(scale, decimals: 2)) \(Self.escaped(unit))</text>",
            "<text x=\"\(left)\" y=\"\(bottom + 16)\">0 s</text>",
            "<text x=\"\(left + plotWidth - 30)\" y=\"\(bottom + 16)\">\(AnswerSeries.figure(end / 1000)) s</text>",
        ]
    }

    private var marks: [String] {
        series.marks.enumerated().map { index, mark in
            let y = Int(bottom) + 16 + 14 * (index % 4 + 1)
            return """
                <line x1="\(x(mark.milliseconds))" y1="\(Int(top))" x2="\(x(mark.milliseconds))" y2="\(y)" \
                stroke="#707070" stroke-dasharray="3 3"/>
                <text x="\(x(mark.milliseconds))" y="\(y)"> \(Self.escaped(mark.text))</text>
                """
        }
    }

    private static func escaped(_ text: String) -> String {
        text.reduce(into: "") { result, character in
            switch character {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            default: result.append(character)
            }
        }
    }
}
