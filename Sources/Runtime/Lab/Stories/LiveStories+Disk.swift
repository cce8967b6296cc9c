import Basics
import ControlPlane
import Glibc

extension LiveStories {
    /// Copies on block devices, which can be made to fail.
    static func disks(full: Bool) -> [LiveStory] {
        [
            LiveStory("a copy may be a block device") { run throws(LabError) in try blockDevice(run) },
            LiveStory("the holder's disk fails under a writer: it goes on through the peer") {
                run throws(LabError) in try failedDisk(run)
            },
        ]
    }

    /// Both copies on loop devices, both nodes up and in sync, node1 Primary.
    private static func beginOnDisks(_ run: StoryRun) throws(LabError) {
        try bare(run, witness: true) { text in
            text.replacing("backing: \(LabDirectory.diskInside)/files.img", with: "backing: /dev/spare")
        }
        for node in ["node1", "node2"] {
            let disk = "\(LabDirectory.diskInside)/files.img"
            let attach = "truncate -s 64M \(disk) && ln -s $(losetup --find --show \(disk)) /dev/spare"
            let made = try run.lab.machine(node).run(["sh", "-c", attach])
            guard made.status == 0 else { throw LabError("a loop device as disk: \(made.output)") }
        }
        try refusedVerb(["init"], on: "node1", saying: ["/dev/spare", "--adopt"], run)
        try done(["init", "--adopt"], on: "node1", run)
        try done(["init", "--join"], on: "node2", run)
        for node in ["node1", "node2"] { try run.lab.startDaemon(node) }
        try run.waitSettled()
    }

    private static func blockDevice(_ run: StoryRun) throws(LabError) {
        defer { detachDisks(run) }
        try beginOnDisks(run)
        let metadata = "\(LabDirectory.diskInside)/state/\(LabSettings.group).tandem"
        try require(
            try run.lab.machine("node1").run(["test", "-e", metadata]).status == 0,
            "the metadata of a device lies where it survives a restart, in \(metadata)")
        try run.startWriters(on: ["node1"])
        try run.waitForWrites(on: "node1")
        try run.stopWriters()
        try done(["switchover"], on: "node1", run)
        try run.waitSettled()
        try run.compareCopies()
    }

    private static func failedDisk(_ run: StoryRun) throws(LabError) {
        defer { detachDisks(run) }
        try beginOnDisks(run)
        try run.startWriters(on: ["node1"])
        try run.waitForWrites(on: "node1")
        let shrink =
            "truncate -s 1M \(LabDirectory.diskInside)/files.img && losetup -c $(readlink /dev/spare)"
        let broken = try run.lab.machine("node1").run(["sh", "-c", shrink])
        guard broken.status == 0 else { throw LabError("losetup -c: \(broken.output)") }
        run.say("the disk of node1 answers with errors")
        try run.wait("node1 is Primary without a disk", .seconds(20)) { () throws(LabError) -> Bool? in
            let group = try group(LabSettings.group, on: "node1", run)
            return group["disk"].string == "Diskless" && group["role"].string == "Primary" ? true : nil
        }
        let isTold = run.daemonLines("node1").contains {
            $0.contains("frozen") && $0.contains("the disk of node1 has failed")
        }
        try require(isTold, "the journal says why requests waited: the disk, not the peer")
        try run.waitForWrites(on: "node1")
        try run.stopWriters()
        try run.checkFile(on: "node1", LabSettings.device)
        try done(["switchover"], on: "node1", run)
        try waitPrimary(LabSettings.group, on: "node2", run)
        try run.check(.acknowledged, on: "node2")
    }

    private static func detachDisks(_ run: StoryRun) {
        for node in ["node1", "node2"] {
            _ = Result { () throws(LabError) in
                for process in run.lab.daemonProcesses(node).sorted() { Glibc.kill(process, SIGTERM) }
                _ = try LabClock.wait(.seconds(10)) { () throws(LabError) -> Bool? in
                    run.lab.daemonProcesses(node).isEmpty ? true : nil
                }
                _ = try run.lab.machine(node).run(["sh", "-c", "losetup -d $(readlink /dev/spare)"])
            }
        }
    }
}
