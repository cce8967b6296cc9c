import Basics

extension LiveStories {
    /// Power cuts under writers. After each: every flushed write is there, and every acknowledged one where
    /// one node never died.
    static func kills() -> [LiveStory] {
        [
            LiveStory("kill the holder under a writer") { run throws(LabError) in try killOne("node1", run) },
            LiveStory("kill the other node under a writer") { run throws(LabError) in
                try killOne("node2", run)
            },
            LiveStory("kill both at once, the holder comes back first") { run throws(LabError) in
                try killBoth(first: "node1", second: "node2", run)
            },
            LiveStory("kill both at once, the other comes back first") { run throws(LabError) in
                try killBoth(first: "node2", second: "node1", run)
            },
            LiveStory("kill both at once, only the holder comes back") { run throws(LabError) in
                try killBoth(first: "node1", second: nil, run)
            },
            LiveStory("kill both at once, only the other comes back") { run throws(LabError) in
                try killBoth(first: "node2", second: nil, run)
            },
            LiveStory("the holder dies and is back within 3 s") { run throws(LabError) in try bounce(run) },
            LiveStory("the holder's processes are killed and their remains removed") { run throws(LabError) in
                try killProcesses(run)
            },
        ]
    }

    /// The settings of stories whose writers use the device itself.
    static var deviceSettings: LabSettings {
        var settings = LabSettings()
        settings.mounts = false
        settings.size = "64MiB"
        return settings
    }

    private static func underWriters(_ run: StoryRun) throws(LabError) {
        try run.begin(deviceSettings)
        try run.startObservers()
        try run.startWriters(on: ["node1", "node2"])
        try run.waitForWrites(on: "node1")
    }

    private static func finish(_ run: StoryRun, _ promise: StampedCheck.Promise) throws(LabError) {
        let holder = try run.waitSettled()
        try run.waitForWrites(50, on: holder)
        try run.stopWriters()
        try run.waitSettled()
        try run.check(promise, on: holder)
        try run.compareCopies()
    }

    private static func killOne(_ victim: String, _ run: StoryRun) throws(LabError) {
        let survivor = victim == "node1" ? "node2" : "node1"
        try underWriters(run)
        let time = LabClock.now()
        try run.kill([victim])
        try run.waitForWrites(on: survivor, .seconds(40))
        run.noteOutage(since: time, "the client was without an answer")
        try run.start(victim)
        try finish(run, .acknowledged)
    }

    private static func killBoth(first: String, second: String?, _ run: StoryRun) throws(LabError) {
        try underWriters(run)
        try run.kill(["node1", "node2"])
        try run.start(first)
        if let second {
            try run.start(second)
            try finish(run, .flushed)
            return
        }
        try run.waitForWrites(on: first, .seconds(60))
        // Nothing may be under way while the image is compared with the logs.
        try run.stopWriters()
        try run.check(.flushed, on: first)
        try run.startWriters(on: [first])
        let absent = first == "node1" ? "node2" : "node1"
        try run.start(absent)
        try finish(run, .flushed)
    }

    private static func bounce(_ run: StoryRun) throws(LabError) {
        try underWriters(run)
        let time = LabClock.now()
        try run.kill(["node1"])
        try run.start("node1")
        let away = LabClock.now().since(time)
        guard away < .seconds(3) else { throw LabError("it took \(away.text) to start the machine again") }
        try finish(run, .acknowledged)
        run.noteOutage(since: time, "the client was without an answer")
    }

    private static func killProcesses(_ run: StoryRun) throws(LabError) {
        try underWriters(run)
        run.lab.killDaemon("node1")
        run.say("killed the processes of node1; mounts, loop device and address stay")
        try run.waitForWrites(on: "node2", .seconds(40))
        try run.lab.startDaemon("node1")
        try finish(run, .acknowledged)
    }
}
