import Basics

/// The story of one failover with its times, for people.
public struct LabDemo {
    private let story: StoryRun
    private let file = LabSettings.mountPath + "/stamps"

    public init(lab: LabTopology) {
        story = StoryRun(lab: lab, full: false)
        story.isTalking = true
    }

    /// Tells it; false when it did not come out as it must. The lab stays up.
    public func run() -> Bool {
        do {
            try tell()
            return true
        } catch {
            print("the demo failed: \(error)")
            return false
        }
    }

    private func tell() throws(LabError) {
        let run = story
        let lab = run.lab
        // A small volume: the default log would cover all of it, and the resync after the kill would copy all of it.
        var settings = LabSettings()
        settings.volumeKeys = ", activity-log-extents: 8"
        settings.hasPair = true
        try run.begin(settings)
        try run.startObservers()
        try run.makeFile(file, on: "node1")
        try run.startWriters(on: ["node1", "node2"], path: file)
        try run.waitForWrites(500, on: "node1")
        run.say("a file on \(LabSettings.mountPath) is written on node1, each write on both copies")

        let killed = LabClock.now()
        try run.kill(["node1"])
        try run.wait("node2 is Primary", .seconds(30)) { () throws(LabError) in
            lab.primary() == "node2" ? true : nil
        }
        try run.waitForWrites(300, on: "node2")
        run.noteOutage(since: killed, "node1 was killed: the client was without an answer")

        let writtenBefore = try run.bytesWritten(on: "node2")
        let before = ["node2"].compactMap { lab.status(of: $0) }
        try run.start("node1", writing: false)
        try run.waitSettled()
        try run.noteResync(before: before, written: try run.bytesWritten(on: "node2") - writtenBefore)
        try run.stopWriters()

        let switched = LabClock.now()
        let over = try lab.verb(["switchover", LabSettings.group], on: "node2", limit: .seconds(60))
        guard over.status == 0 else { throw LabError("switchover: \(over.output)") }
        try run.wait("node1 is Primary again", .seconds(30)) { () throws(LabError) in
            lab.primary() == "node1" ? true : nil
        }
        try run.waitSettled()
        run.noteOutage(since: switched, "switched over: the client was without an answer")
        try run.checkFile(on: "node1", file)
        try run.compareCopies()
        run.stopObservers()
        try WebDemo(run).tell()
        try run.waitSettled()
    }
}
