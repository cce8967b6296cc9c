import Basics
import Glibc

extension LiveStories {
    /// A holder that nobody hears any more: what it does, in which order, and that nothing hangs afterwards.
    static func isolation() -> [LiveStory] {
        [
            LiveStory("an isolated holder freezes, lowers the address, answers EIO, demotes, in that order") {
                run throws(LabError) in try isolate(run)
            }
        ]
    }

    private static func isolate(_ run: StoryRun) throws(LabError) {
        var settings = LabSettings()
        settings.size = "256MiB"
        settings.freezeSeconds = run.freezeSeconds
        try run.begin(settings)
        try run.startObservers()
        let file = LabSettings.mountPath + "/stamps"
        try run.makeFile(file, on: "node1")
        try run.startWriters(on: ["node1", "node2"], path: file)
        try run.waitForWrites(on: "node1")
        let known = run.daemonLines("node1").count
        let begin = LabClock.now()
        try run.lab.cut("node1", from: LabTopology.machineNames)
        run.say("node1 is cut from all")
        try run.wait("node1 is Secondary", .seconds(UInt64(settings.freezeSeconds) + 10)) {
            () throws(LabError) -> Bool? in
            run.daemonLines("node1").dropFirst(known).contains { isRoleSecondary($0) } ? true : nil
        }
        try run.wait("nothing of the volume is mounted on node1", .seconds(5)) {
            () throws(LabError) -> Bool? in
            let mounts = try run.lab.machine("node1").run(["cat", "/proc/self/mounts"]).output
            return mounts.contains(LabSettings.mountPath) ? nil : true
        }
        try run.requireNobodyStuck()
        try requireOrder(run, Array(run.daemonLines("node1").dropFirst(known)))
        try run.lab.heal()
        run.say("healed")
        let holder = try run.waitSettled(.seconds(90))
        try run.stopWriters()
        try run.waitSettled()
        run.noteClaims(since: begin)
        run.noteOutage(since: begin, "the client was without an answer")
        try run.checkFile(on: holder, file)
        try run.compareCopies()
        try run.requireClaimsWithin(.seconds(2), since: begin)
    }

    private static func isRoleSecondary(_ line: String) -> Bool {
        line.contains(" role ") && line.contains("Secondary")
    }

    /// The four effects by their lines in the node's log.
    private static func requireOrder(_ run: StoryRun, _ lines: [String]) throws(LabError) {
        let effects: [(name: String, isIn: (String) -> Bool)] = [
            ("freezes", { $0.contains(" frozen ") }),
            (
                "lowers the address",
                { $0.contains("lease-over") || $0.contains("deposed-step") && $0.contains("lower ") }
            ),
            ("answers EIO", { $0.contains("deposed-step") && $0.contains("fail ") }),
            ("demotes", { $0.contains("deposed-ends") }),
        ]
        var places: [Int] = []
        for (name, isIn) in effects {
            guard let place = lines.firstIndex(where: isIn) else {
                throw LabError("no line says that node1 \(name)")
            }
            run.note("node1 \(name): \(lines[place])")
            places.append(place)
        }
        guard places == places.sorted() else { throw LabError("these came in another order") }
    }
}
