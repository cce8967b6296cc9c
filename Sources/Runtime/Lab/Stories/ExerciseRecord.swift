import Basics

/// What an exercise leaves: when something was done, and what the client saw, as text and as a drawing.
struct ExerciseRecord {
    /// The directory of `answers.txt` and `answers.svg`.
    let output: String
    private var marks: [(time: Instant, text: String)] = []

    init(output: String) { self.output = output }

    /// When the last thing was done; nil before the first.
    var lastMark: Instant? { marks.last?.time }

    /// Something is done now.
    mutating func mark(_ text: String) { marks.append((LabClock.now(), text)) }

    /// Writes both files, and prints the drawing in characters.
    func leave(_ log: ObserverLog, from begin: Instant, title: String) throws(LabError) {
        var series = AnswerSeries(log, from: begin)
        series.marks = marks.map {
            AnswerSeries.Mark(milliseconds: AnswerSeries.milliseconds($0.time, begin), text: $0.text)
        }
        try TextFile.makeDirectory(output)
        try TextFile.write(series.text, to: "\(output)/answers.txt")
        try PlotFiles.show(series, title: title, to: "\(output)/answers.svg")
    }
}

extension StoryRun {
    /// Performs an exercise, whose lab is wiped afterwards.
    func perform(_ exercise: () throws(LabError) -> Void) throws(LabError) {
        let result = Result { () throws(LabError) in try exercise() }
        stopObservers()
        for line in try lab.wipe() { print("remains: \(line)") }
        try result.get()
    }
}
