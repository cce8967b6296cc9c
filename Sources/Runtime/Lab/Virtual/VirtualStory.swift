import Basics
import Glibc

/// One promise of the product, tried in virtual machines, where a power cut loses memory and what disks had not
/// flushed.
public struct VirtualStory: Sendable {
    public let name: String
    let body: @Sendable (VirtualStoryRun) throws(LabError) -> Void
}

/// All stories in virtual machines.
public enum VirtualStories {
    /// What CI runs: one kill and one switchover.
    public static var short: [VirtualStory] { [NFSStories.killAndSwitch] }

    /// All of them.
    public static var all: [VirtualStory] {
        [
            VirtualStory(
                name: "node1's power is cut: node2 serves the file, the clocks are right, both copies meet"
            ) {
                run throws(LabError) in try holderLosesPower(run)
            },
            VirtualStory(
                name:
                    "both lose power under writes, back in either order or one alone: what was flushed is there"
            ) {
                run throws(LabError) in try bothLosePower(run)
            },
            VirtualStory(
                name: "both lose power under an NFS client, back in either order or one alone: it writes on"
            ) {
                run throws(LabError) in try bothLosePowerUnderClient(run)
            },
            VirtualStory(name: "control: disks that lie about flushes are found out") {
                run throws(LabError) in try disksLie(run)
            },
        ] + NFSStories.all + NFSLoadStories.all + ExerciseStories.all
            + VirtualPairStories.all
    }

    private static func holderLosesPower(_ run: VirtualStoryRun) throws(LabError) {
        let file = LabSettings.mountPath + "/stamps"
        try run.begin(mounts: true)
        try run.checkClocks()
        let node1 = run.lab.machine("node1")
        let size = run.blocks * UInt64(StampedBlock.size)
        try node1.require("fallocate --length \(size) \(file) && echo written on node1 >\(file).text && sync")
        try run.startWriters(on: "node1", path: file)
        try run.waitForWrites(300)
        try run.cutPower(["node1"])
        let killed = LabClock.now()
        try run.waitForPrimary("node2", .seconds(60))
        run.note("node2 is Primary \(LabClock.now().since(killed).text) after the power cut")
        let text = try run.lab.machine("node2").require("cat \(file).text")
        guard text == "written on node1\n" else { throw LabError("node2 has '\(text)' in the file") }
        try run.check(.flushed, file, on: "node2")
        try run.startWriters(on: "node2", path: file)
        try run.waitForWrites(200)
        try run.turnOn(["node1"])
        _ = try run.waitSettled()
        try run.stopWriters(on: "node2")
        try run.check(.flushed, file, on: "node2")
        try run.compareCopies(primary: "node2")
    }

    /// Who comes back after both lost power: in this order, or the first alone, the other later.
    private static let returns: [(first: String, second: String, isAlone: Bool)] = [
        ("node1", "node2", false), ("node2", "node1", false), ("node1", "node2", true),
        ("node2", "node1", true),
    ]

    private static func bothLosePower(_ run: VirtualStoryRun) throws(LabError) {
        let rounds = returns.count * run.repeats
        run.shares = UInt64(3 * (2 * rounds + 1))
        try run.begin(mounts: false)
        var writing = "node1"
        for round in 0..<rounds {
            let back = returns[round % returns.count]
            try run.startWriters(on: writing, path: LabSettings.device)
            try run.waitForWrites(400)
            try run.cutPower(["node1", "node2"])
            if back.isAlone {
                try run.turnOn([back.first])
                try run.waitForPrimary(back.first, .seconds(90))
                try run.check(.flushed, LabSettings.device, on: back.first)
                run.say("\(back.first) serves alone")
                try run.startWriters(on: back.first, path: LabSettings.device)
                try run.waitForWrites(100)
                try run.stopWriters(on: back.first)
                try run.turnOn([back.second])
            } else {
                try run.turnOn([back.first, back.second])
            }
            writing = try run.waitSettled()
            try run.check(.flushed, LabSettings.device, on: writing)
        }
        try run.startWriters(on: writing, path: LabSettings.device)
        try run.waitForWrites(200)
        try run.stopWriters(on: writing)
        try run.check(.flushed, LabSettings.device, on: writing)
        try run.compareCopies(primary: writing)
    }

    private static func bothLosePowerUnderClient(_ run: VirtualStoryRun) throws(LabError) {
        let scene = NFSScene(run)
        try scene.begin()
        try scene.mount()
        try scene.startLines()
        for round in 0..<returns.count * run.repeats {
            let back = returns[round % returns.count]
            try scene.waitForLines(40)
            let before = scene.answers.count
            let begin = LabClock.now()
            try run.cutPower(["node1", "node2"])
            try run.turnOn(back.isAlone ? [back.first] : [back.first, back.second])
            try scene.waitForLines(20, .seconds(180))
            let words = back.isAlone ? "\(back.first) alone" : "\(back.first) first"
            let longest = scene.answers.dropFirst(before).map(\.milliseconds).max() ?? 0
            run.note(
                "back: \(words); the client waited \(longest) ms, and wrote on \(LabClock.now().since(begin).text) after"
                    + " the power cut")
            if let failed = scene.answers.first(where: { $0.code != 0 }) {
                throw LabError("line \(failed.number) failed with error \(failed.code)")
            }
            if back.isAlone { try run.turnOn([back.second]) }
            let serving = try run.waitSettled()
            try scene.probeLock(on: serving)
            try scene.checkFile(on: serving)
        }
        try scene.stop()
        let serving = try run.waitSettled()
        try scene.checkFile(on: serving)
        try scene.unmount()
        try run.compareCopies(primary: serving)
    }

    private static func disksLie(_ run: VirtualStoryRun) throws(LabError) {
        try run.begin(mounts: false)
        for node in ["node1", "node2"] { try run.lab.machine(node).makeDiskLie() }
        try run.startWriters(on: "node1", path: LabSettings.device)
        try run.waitForWrites(300)
        try run.cutPower(["node1", "node2"])
        try run.turnOn(["node1", "node2"])
        let first = try run.waitSettled()
        do {
            try run.check(.flushed, LabSettings.device, on: first)
        } catch {
            run.note("found: \(error)")
            return
        }
        throw LabError("both disks forgot what they had flushed, and the check found nothing missing")
    }
}
