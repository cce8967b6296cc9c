/// A series drawn with characters: the longest answer of each column, `x` below it where a question got none.
public struct TextPlot: Sendable {
    public var series: AnswerSeries
    /// Columns of the drawing, beside the scale.
    public var columns = 96
    /// Lines above the time.
    public var rows = 8
    /// What the numbers are.
    public var unit = "ms"

    public init(_ series: AnswerSeries) { self.series = series }

    /// The lines of the drawing, then one a mark.
    public var lines: [String] {
        let end = max(series.end, 1)
        func column(_ milliseconds: Double) -> Int {
            min(columns - 1, Int(milliseconds / end * Double(columns)))
        }
        var highest = [Double](repeating: -1, count: columns)
        var missing = [Bool](repeating: false, count: columns)
        for point in series.points {
            let place = column(point.milliseconds)
            if let value = point.value {
                highest[place] = max(highest[place], value)
            } else {
                missing[place] = true
            }
        }
        // A scale that one late answer does not press flat: what is higher is cut off and shown as '^'.
        let top = Self.scale(highest.filter { $0 >= 0 })
        var lines = (1...rows).reversed().map { row in
            let floor = top * Double(row - 1) / Double(rows)
            let cells = highest.map { value -> Character in
                guard value >= 0, value > floor || row == 1 else { return " " }
                return row == rows && value > top ? "^" : "|"
            }
            let label = row == rows ? AnswerSeries.figure(top, decimals: 3) + " \(unit)" : ""
            return Self.padded(label, 10) + " " + String(cells)
        }
        lines.append(Self.padded("no answer", 10) + " " + String(missing.map { $0 ? "x" : " " }))
        var axis = [Character](repeating: "-", count: columns)
        for (index, mark) in series.marks.enumerated() {
            axis[column(mark.milliseconds)] = Self.letter(index)
        }
        lines.append(
            Self.padded("0 s", 10) + " " + String(axis) + " " + AnswerSeries.figure(end / 1000) + " s")
        for (index, mark) in series.marks.enumerated() {
            let time = AnswerSeries.figure(mark.milliseconds / 1000, decimals: 3)
            lines.append("  \(Self.letter(index))  \(Self.padded(time, 8)) s  \(mark.text)")
        }
        return lines
    }

    /// The highest value of the scale: twice what nine of ten columns stay below.
    static func scale(_ values: [Double]) -> Double {
        guard let largest = values.max(), largest > 0 else { return 1 }
        let usual = values.sorted()[
            values.count * 9 / 10 == values.count ? values.count - 1 : values.count * 9 / 10]
        return usual > 0 ? min(largest, 2 * usual) : largest
    }

    private static func letter(_ index: Int) -> Character {
        let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
        return letters[index % letters.count]
    }

    private static func padded(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }
}
