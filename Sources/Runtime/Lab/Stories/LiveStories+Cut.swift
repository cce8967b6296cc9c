import Basics
import Glibc

extension LiveStories {
    private struct CutShape: Sendable {
        let name: String
        let machine: String
        let others: [String]
        let oneWay: Bool
        /// The others are cut from it: it hears nobody and is heard.
        var isDeaf = false
    }

    /// Cuts under writers on both nodes' devices, which try all the time.
    static func cuts(full: Bool) -> [LiveStory] {
        let all = LabTopology.machineNames
        var shapes = [
            CutShape(name: "node1|node2", machine: "node1", others: ["node2"], oneWay: false),
            CutShape(name: "node1 heard no more by node2", machine: "node1", others: ["node2"], oneWay: true),
            CutShape(name: "node1|all", machine: "node1", others: all, oneWay: false),
            CutShape(name: "node1 heard no more by all", machine: "node1", others: all, oneWay: true),
            CutShape(name: "witness|all", machine: "witness", others: all, oneWay: false),
            CutShape(name: "witness heard no more by all", machine: "witness", others: all, oneWay: true),
        ]
        if full {
            shapes += [
                CutShape(
                    name: "node2 heard no more by node1", machine: "node2", others: ["node1"], oneWay: true),
                CutShape(name: "node2|all", machine: "node2", others: all, oneWay: false),
                CutShape(
                    name: "node1 hears nobody", machine: "node1", others: all, oneWay: true, isDeaf: true),
                CutShape(
                    name: "witness hears nobody", machine: "witness", others: all, oneWay: true, isDeaf: true),
            ]
        }
        return shapes.map { shape in
            LiveStory("cut \(shape.name)") { run throws(LabError) in try cut(shape, run) }
        }
    }

    private static func cut(_ shape: CutShape, _ run: StoryRun) throws(LabError) {
        var settings = deviceSettings
        settings.freezeSeconds = run.freezeSeconds
        try run.begin(settings)
        try run.startObservers()
        try run.startWriters(on: ["node1", "node2"])
        try run.waitForWrites(on: "node1")
        let begin = LabClock.now()
        if shape.isDeaf {
            for other in shape.others where other != shape.machine {
                try run.lab.cut(other, from: [shape.machine], oneWay: true)
            }
        } else {
            try run.lab.cut(shape.machine, from: shape.others, oneWay: shape.oneWay)
        }
        run.say("cut \(shape.name)")
        let held = Interval.seconds(run.full ? 30 : 8)
        LabClock.nap(held)
        // Until its time is over, a frozen request waits by right.
        if held > .seconds(UInt64(settings.freezeSeconds)) { try run.requireNobodyStuck() }
        let writesBefore = run.acknowledged
        let before = ["node1", "node2"].compactMap { run.lab.status(of: $0) }
        try run.lab.heal()
        run.say("healed after \(held.text)")
        let holder = try run.waitSettled(.seconds(90))
        try run.requireNobodyStuck()
        try run.waitForWrites(50, on: holder)
        try run.stopWriters()
        try run.waitSettled()
        run.noteClaims(since: begin)
        run.noteOutage(since: begin, "the client was without an answer")
        try run.noteResync(before: before, writes: run.acknowledged - writesBefore)
        try run.check(.acknowledged, on: holder)
        try run.compareCopies()
        try run.requireClaimsWithin(.seconds(2), since: begin)
        // Both nodes have each other: that the witness is gone moves nothing and stops nothing.
        if shape.machine == "witness" { try run.requireOutageWithin(.seconds(2), since: begin) }
    }

    /// The holder's processes stopped for a while, as a machine stalls.
    static func pauses(full: Bool) -> [LiveStory] {
        [Interval.milliseconds(500), .seconds(full ? 20 : 8)].map { length in
            LiveStory("the holder is stopped for \(length.text)") { run throws(LabError) in
                try pause(length, run)
            }
        }
    }

    private static func pause(_ length: Interval, _ run: StoryRun) throws(LabError) {
        var settings = deviceSettings
        settings.freezeSeconds = run.freezeSeconds
        try run.begin(settings)
        try run.startObservers()
        try run.startWriters(on: ["node1", "node2"])
        try run.waitForWrites(on: "node1")
        let begin = LabClock.now()
        run.say("stop the processes of node1")
        run.lab.pause("node1", for: length)
        let writesBefore = run.acknowledged
        let before = ["node1", "node2"].compactMap { run.lab.status(of: $0) }
        run.say("continued after \(length.text)")
        try run.requireNobodyStuck()
        let holder = try run.waitSettled(.seconds(90))
        try run.waitForWrites(50, on: holder)
        try run.stopWriters()
        try run.waitSettled()
        run.noteClaims(since: begin)
        run.noteOutage(since: begin, "the client was without an answer")
        try run.noteResync(before: before, writes: run.acknowledged - writesBefore)
        try run.check(.acknowledged, on: holder)
        try run.compareCopies()
        try run.requireClaimsWithin(.seconds(2), since: begin)
    }
}
