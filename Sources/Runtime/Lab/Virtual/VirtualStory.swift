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
    /// Those of one run.
    public static var all: [VirtualStory] {
        [
            VirtualStory(
                name: "node1's power is cut: node2 serves the file, the clocks are right, both copies meet"
            ) {
                run throws(LabError) in try holderLosesPower(run)
            },
            VirtualStory(name: "both lose power under writes, three times: what was flushed is there") {
                run throws(LabError) in try bothLosePower(run)
            },
            VirtualStory(name: "control: disks that lie about flushes are found out") {
                run throws(LabError) in try disksLie(run)
            },
        ] + NFSStories.all + ExerciseStories.all
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

    private static func bothLosePower(_ run: VirtualStoryRun) throws(LabError) {
        try run.begin(mounts: false)
        var writing = "node1"
        for round in 1...3 {
            try run.startWriters(on: writing, path: LabSettings.device)
            try run.waitForWrites(400)
            try run.cutPower(["node1", "node2"])
            try run.turnOn(round == 1 ? ["node1", "node2"] : ["node2", "node1"])
            writing = try run.waitSettled()
            try run.check(.flushed, LabSettings.device, on: writing)
        }
        try run.startWriters(on: writing, path: LabSettings.device)
        try run.waitForWrites(200)
        try run.stopWriters(on: writing)
        try run.check(.flushed, LabSettings.device, on: writing)
        try run.compareCopies(primary: writing)
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
