public import Basics
import Glibc

/// Exercise 2: an address that two machines share, pinged from a third: shut down 1, start 1, shut down 2.
public struct SharedAddressExercise {
    private let story: StoryRun
    private var record: ExerciseRecord
    /// Whether machines end their services before they go off; otherwise their power is cut.
    public var isOrderly = false
    /// How long the client looks on after each step.
    public var look = Interval.seconds(3)

    /// `output` is the directory that the client's answers and their drawing are left in.
    public init(lab: LabTopology, output: String) {
        story = StoryRun(lab: lab, full: false)
        story.isTalking = true
        record = ExerciseRecord(output: output)
    }

    /// Performs it, and leaves `answers.txt` and `answers.svg`; the lab is wiped.
    public mutating func run() throws(LabError) {
        try story.perform { () throws(LabError) in try perform() }
    }

    private mutating func perform() throws(LabError) {
        var settings = LabSettings()
        settings.hasVolume = false
        _ = try story.lab.wipe()
        try story.lab.raise()
        try story.lab.install(settings)
        try waitForAddress(on: "node1")
        try story.startObservers()
        try story.wait("the client has an answer", .seconds(5)) { () throws(LabError) -> Bool? in
            story.pings.entries.contains { $0.word != "?" } ? true : nil
        }
        let begin = LabClock.now()
        LabClock.nap(look)

        try shutDown("node1", thenOn: "node2")
        step("start node1")
        try story.lab.start("node1")
        try story.wait("node1 takes part again", .seconds(20)) { () throws(LabError) -> Bool? in
            try LiveStories.peerIsHeard(LabSettings.addressGroup, on: "node1", story) ? true : nil
        }
        LabClock.nap(look)
        guard try LiveStories.holdsAddress("node2", LabNetwork.virtualAddress, story),
            try !LiveStories.holdsAddress("node1", LabNetwork.virtualAddress, story)
        else { throw LabError("the address has moved though nothing was wrong with node2") }
        story.say("the address is still on node2: nobody preempts")
        try noteOutage(since: record.lastMark ?? begin, "start node1")
        try shutDown("node2", thenOn: "node1")
        story.noteClaims(since: begin)
        story.stopObservers()
        try record.leave(
            story.pings, from: begin, title: "Exercise 2: an address of two machines, pinged every 10 ms")
    }

    private mutating func step(_ text: String) {
        record.mark(text)
        story.say(text)
    }

    private mutating func shutDown(_ node: String, thenOn other: String) throws(LabError) {
        step("shut down \(node)")
        let begin = LabClock.now()
        if isOrderly {
            for process in story.lab.daemonProcesses(node) { Glibc.kill(process, SIGTERM) }
            try story.wait("tandem has ended on \(node)", .seconds(20)) { () throws(LabError) -> Bool? in
                story.lab.daemonProcesses(node).isEmpty ? true : nil
            }
        }
        try story.kill([node])
        try waitForAddress(on: other)
        LabClock.nap(look)
        try noteOutage(since: begin, "shut down \(node)")
    }

    private func noteOutage(since begin: Instant, _ what: String) throws(LabError) {
        let silence = story.pings.longestSilence(from: begin, to: LabClock.now())
        story.note("\(what): the longest time without an answer was \(silence.length.text)")
    }

    private func waitForAddress(on node: String) throws(LabError) {
        try story.wait("\(node) has the address", .seconds(20)) { () throws(LabError) -> Bool? in
            try LiveStories.holdsAddress(node, LabNetwork.virtualAddress, story) ? true : nil
        }
    }
}

/// Prints a series as text, and writes it as a drawing.
public enum PlotFiles {
    /// Reads the file of a series, prints its drawing, and writes one to `drawing` when it is named.
    public static func show(file: String, title: String, unit: String, to drawing: String?) throws(LabError) {
        guard let text = TextFile.read(file) else { throw LabError("read \(file)", code: errno) }
        try show(try AnswerSeries(text: text), title: title, unit: unit, to: drawing)
    }

    static func show(
        _ series: AnswerSeries, title: String, unit: String = "ms", to drawing: String?
    ) throws(LabError) {
        var plot = TextPlot(series)
        plot.unit = unit
        for line in plot.lines { print(line) }
        guard let drawing else { return }
        var vector = VectorPlot(series, title: title)
        vector.unit = unit
        try TextFile.write(vector.text, to: drawing)
        print("drawn in \(drawing)")
    }
}
