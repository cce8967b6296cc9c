public import Basics

/// What a client saw, as `tandem-lab plot` reads it: a line `MILLISECONDS VALUE` a question, `-` for one that nobody
/// answered, and `# MILLISECONDS TEXT` for what was done meanwhile.
public struct AnswerSeries: Sendable, Equatable {
    /// One question.
    public struct Point: Sendable, Equatable {
        /// When, since the beginning.
        public var milliseconds: Double
        /// What was measured; nil: no answer.
        public var value: Double?

        public init(milliseconds: Double, value: Double?) {
            self.milliseconds = milliseconds
            self.value = value
        }
    }

    /// Something that was done.
    public struct Mark: Sendable, Equatable {
        public var milliseconds: Double
        public var text: String

        public init(milliseconds: Double, text: String) {
            self.milliseconds = milliseconds
            self.text = text
        }
    }

    /// A time without an answer.
    public struct Outage: Sendable, Equatable {
        /// The last question before it that was answered, or the first question of all.
        public var from: Double
        /// The first question after it that was answered, or the last one of all.
        public var to: Double
        public var length: Double { to - from }
    }

    public var points: [Point]
    public var marks: [Mark]

    public init(points: [Point] = [], marks: [Mark] = []) {
        self.points = points
        self.marks = marks
    }

    /// Reads the lines; the error names the first one that is none.
    public init(text: String) throws(LabError) {
        self.init()
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            if line.isEmpty { continue }
            let isMark = line.hasPrefix("# ")
            let words = (isMark ? line.dropFirst(2) : line[...]).split(separator: " ", maxSplits: 1)
            guard words.count == 2, let time = Double(words[0]), time.isFinite, time >= 0 else {
                throw LabError("line \(index + 1): expected 'MILLISECONDS VALUE', found '\(line)'")
            }
            if isMark {
                marks.append(Mark(milliseconds: time, text: String(words[1])))
            } else if words[1] == "-" {
                points.append(Point(milliseconds: time, value: nil))
            } else if let value = Double(words[1]), value.isFinite, value >= 0 {
                points.append(Point(milliseconds: time, value: value))
            } else {
                throw LabError("line \(index + 1): '\(words[1])' is neither a number from 0 on nor '-'")
            }
        }
        points.sort { $0.milliseconds < $1.milliseconds }
        marks.sort { $0.milliseconds < $1.milliseconds }
    }

    /// The lines.
    public var text: String {
        let marked = marks.map { "# \(Self.figure($0.milliseconds)) \($0.text)" }
        let measured = points.map {
            "\(Self.figure($0.milliseconds)) \($0.value.map { Self.figure($0, decimals: 3) } ?? "-")"
        }
        return (marked + measured).joined(separator: "\n") + "\n"
    }

    /// What an observer logged: each question with the time until its answer, in milliseconds, counted from `begin`.
    public init(_ log: ObserverLog, from begin: Instant) {
        self.init()
        var asked: Instant?
        for entry in log.entries where entry.time >= begin {
            if entry.word == "?" {
                if let asked {
                    points.append(Point(milliseconds: Self.milliseconds(asked, begin), value: nil))
                }
                asked = entry.time
            } else if let question = asked {
                asked = nil
                points.append(
                    Point(
                        milliseconds: Self.milliseconds(question, begin),
                        value: Self.milliseconds(entry.time, question)))
            }
        }
    }

    static func milliseconds(_ end: Instant, _ begin: Instant) -> Double {
        Double(end.since(begin).nanoseconds) / 1e6
    }

    /// The last moment that anything is known of, in milliseconds.
    public var end: Double { max(points.last?.milliseconds ?? 0, marks.last?.milliseconds ?? 0) }

    /// The times without an answer of at least that many milliseconds.
    public func outages(atLeast least: Double) -> [Outage] {
        var outages: [Outage] = []
        var last = points.first?.milliseconds ?? 0
        for point in points where point.value != nil {
            if point.milliseconds - last >= least {
                outages.append(Outage(from: last, to: point.milliseconds))
            }
            last = point.milliseconds
        }
        if let end = points.last?.milliseconds, end - last >= least {
            outages.append(Outage(from: last, to: end))
        }
        return outages
    }

    /// A number with that many decimals at most, without zeros at its end.
    static func figure(_ value: Double, decimals: Int = 1) -> String {
        let scale = (0..<decimals).reduce(1.0) { product, _ in product * 10 }
        let whole = Int((min(value, 1e12) * scale).rounded())
        let (integer, rest) = whole.quotientAndRemainder(dividingBy: Int(scale))
        guard rest > 0 else { return "\(integer)" }
        var digits = String(String(Int(scale) + rest).dropFirst())
        while digits.hasSuffix("0") { digits.removeLast() }
        return "\(integer).\(digits)"
    }
}
