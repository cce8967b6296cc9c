import Basics
import Glibc

/// What a client sees over kernel NFS and the address that moves.
enum NFSStories {
    static let killAndSwitch = VirtualStory(
        name: "an NFS client writes on: node1's power is cut, then a switchover brings it back"
    ) {
        run throws(LabError) in try killAndSwitchover(run)
    }

    static let all =
        [
            killAndSwitch,
            VirtualStory(
                name: "an NFS server's daemon is killed with its keeper: what it left goes at the next start"
            ) {
                run throws(LabError) in try daemonKilled(run)
            },
            VirtualStory(
                name:
                    "node1 is cut off while a shell sits in what it exports: it is Stuck until the shell leaves"
            ) {
                run throws(LabError) in try pinned(run)
            },
        ]
        + ["4.0", "3"].map { version in
            VirtualStory(
                name: "an NFS \(version) client keeps its lock: node1's power is cut, node1 is cut off"
            ) {
                run throws(LabError) in try older(NFSScene(run, version: version))
            }
        }

    /// The story that CI runs: once a kill and once a switchover; or many times, for figures.
    private static func killAndSwitchover(_ run: VirtualStoryRun) throws(LabError) {
        let scene = NFSScene(run)
        try scene.begin()
        try scene.mount()
        try scene.startLines()
        try scene.launch("knock \(LabNetwork.virtualAddress) 2049", port: 3)
        try scene.waitForLines(40)
        var (kills, switches): ([UInt64], [UInt64]) = ([], [])
        for _ in 1...run.repeats {
            var before = scene.answers.count
            let kill = try scene.cutPower("node1", other: "node2")
            try scene.waitForLines(40)
            kills.append(try scene.stall(kill, since: before, steps: [("node2", "promote")]))
            try scene.probeLock(on: "node2")
            try scene.graceEnds(on: "node2")
            try scene.checkFile(on: "node2")
            try run.turnOn(["node1"])
            _ = try run.waitSettled()
            try scene.waitForLines(20)
            before = scene.answers.count
            let moved = try scene.switchover(from: "node2", to: "node1")
            try scene.waitForLines(40)
            switches.append(
                try scene.stall(moved, since: before, steps: [("node2", "demote"), ("node1", "promote")]))
            try scene.probeLock(on: "node1")
            try scene.graceEnds(on: "node1")
            _ = try run.waitSettled()
        }
        if run.repeats > 1 {
            run.note("kills: \(summary(kills))")
            run.note("switchovers: \(summary(switches))")
        }
        try scene.stop()
        let knocks = PortKnocker.count(scene.logged(3))
        run.note(
            "\(knocks.connected) connections to the address were answered, \(knocks.refused) were refused")
        guard knocks.refused == 0 else { throw LabError("the address answered before its server ran") }
        try scene.checkFile(on: "node1")
        try scene.unmount()
        try run.compareCopies(primary: "node1")
    }

    private static func summary(_ waits: [UInt64]) -> String {
        let sorted = waits.sorted()
        let all = waits.map { "\($0)" }.joined(separator: ", ")
        return "\(all) ms; median \(sorted[sorted.count / 2]) ms, worst \(sorted.last ?? 0) ms"
    }

    /// Versions whose clients do not say when they have reclaimed everything.
    private static func older(_ scene: NFSScene) throws(LabError) {
        let run = scene.run
        try scene.begin()
        try scene.mount()
        try scene.startLines()
        try scene.waitForLines(60)
        var before = scene.answers.count
        let kill = try scene.cutPower("node1", other: "node2")
        try scene.waitForLines(40)
        try scene.stall(kill, since: before, steps: [("node2", "promote")])
        try scene.probeLock(on: "node2")
        try scene.graceEnds(on: "node2")
        if scene.version != "3" { try scene.probeRecords(on: "node2") }
        try scene.checkFile(on: "node2")
        try run.turnOn(["node1"])
        _ = try run.waitSettled()
        before = scene.answers.count
        let moved = try scene.switchover(from: "node2", to: "node1")
        try scene.waitForLines(40)
        try scene.stall(moved, since: before, steps: [("node2", "demote"), ("node1", "promote")])
        try scene.probeLock(on: "node1")
        try scene.graceEnds(on: "node1")
        if scene.version != "3" { try scene.probeRecords(on: "node1") }
        _ = try run.waitSettled()
        before = scene.answers.count
        let cut = try scene.cutOff("node1", other: "node2")
        try scene.waitForLines(40)
        try scene.stall(cut, since: before, steps: [("node2", "promote")])
        try scene.probeLock(on: "node2")
        try run.lab.heal()
        run.say("healed")
        _ = try run.waitSettled()
        try scene.stop()
        try scene.checkFile(on: "node2")
        try scene.unmount()
        try run.compareCopies(primary: "node2")
    }

    /// The kernel of node1 goes on: threads of nfsd, export, mount, loop device and address stay behind.
    private static func daemonKilled(_ run: VirtualStoryRun) throws(LabError) {
        let scene = NFSScene(run)
        try scene.begin()
        try scene.mount()
        try scene.startLines()
        try scene.waitForLines(40)
        var before = scene.answers.count
        try run.lab.killDaemon("node1")
        run.say("keeper and worker of node1 were killed; its kernel goes on")
        try run.waitForPrimary("node2", .seconds(60))
        try scene.waitForLines(60)
        // Until its lease ends the kernel of node1 may answer, and its device gives nothing but errors.
        let failed = scene.answers.dropFirst(before).filter { $0.code != 0 }
        let longest = scene.answers.dropFirst(before).map(\.milliseconds).max() ?? 0
        run.note("daemon killed: longest wait \(longest) ms, \(failed.count) writes answered with an error")
        let left = try run.lab.machine("node1").require("cat /proc/fs/nfsd/threads")
        run.note("node1's kernel still ran \(left.prefix { $0 != "\n" }) threads of nfsd")
        try run.lab.start("node1")
        _ = try run.waitSettled()
        let now = try run.lab.machine("node1").require(
            "cat /proc/fs/nfsd/threads; pidof nfsdcld; grep -c /srv/files /proc/mounts; true")
        guard now == "0\n0\n" else { throw LabError("node1 has left of its old server: \(now)") }
        before = scene.answers.count
        let moved = try scene.switchover(from: "node2", to: "node1")
        try scene.waitForLines(40)
        try scene.stall(moved, since: before, steps: [("node2", "demote"), ("node1", "promote")])
        try scene.stop()
        // A client that was answered an error has counted those bytes as written: it leaves a hole for them.
        try scene.checkFile(on: "node1", withHoles: !failed.isEmpty)
        try scene.unmount()
    }

    /// A deposed node must not be promoted over a mount of its old grant, and says who keeps it there.
    private static func pinned(_ run: VirtualStoryRun) throws(LabError) {
        let scene = NFSScene(run)
        try scene.begin()
        try scene.mount()
        try scene.startLines()
        try scene.waitForLines(40)
        let node1 = run.lab.machine("node1")
        let shell =
            try node1.require(
                "(cd \(LabSettings.mountPath) && exec setsid sh -c 'while :; do sleep 1; done') </dev/null >/dev/null 2>&1 & echo $!"
            ).split(separator: "\n").first.map { String($0) } ?? ""
        let place = run.logEnd(of: "node1")
        let before = scene.answers.count
        let cut = try scene.cutOff("node1", other: "node2")
        try scene.waitForLines(40)
        try scene.stall(cut, since: before, steps: [("node2", "promote")])
        try scene.probeLock(on: "node2")
        try run.lab.heal()
        run.say("healed")
        try run.wait("node1 is Stuck and names the shell", .seconds(60)) { () throws(LabError) -> Bool? in
            run.lab.status(of: "node1")?.text.contains("stuck: unmount data") == true ? true : nil
        }
        let told = run.lab.status(of: "node1")?.text ?? ""
        run.note("node1: \(told)")
        let pids = try node1.require("pgrep -P \(shell); echo \(shell)").split(separator: "\n")
        guard pids.contains(where: { told.contains("\($0) ") }),
            told.contains(" sh ") || told.contains("sleep")
        else { throw LabError("node1's status does not name process \(shell): \(told)") }
        guard run.log(of: "node1", from: place).contains(where: { $0 == "\n" }),
            run.log(of: "node1", from: place).contains("stuck")
        else { throw LabError("node1's journal does not say that it is stuck") }
        let refused = try run.lab.verb(["promote"], on: "node1")
        guard refused.status != 0 else { throw LabError("node1 was promoted over its old mount") }
        run.note("promote on node1: \(refused.output.split(separator: "\n").last ?? "")")
        let moved = try run.lab.verb(["switchover"], on: "node2")
        guard moved.status != 0 else { throw LabError("node2 handed over to a node that is stuck") }
        try scene.waitForLines(20)
        try node1.require("kill -KILL \(shell) $(pgrep -P \(shell))")
        run.say("the shell has left")
        _ = try run.waitSettled()
        try run.wait("node1 is not stuck any more", .seconds(20)) { () throws(LabError) -> Bool? in
            run.lab.status(of: "node1")?.text.contains("stuck") == false ? true : nil
        }
        _ = try scene.switchover(from: "node2", to: "node1")
        try scene.waitForLines(20)
        try scene.stop()
        try scene.checkFile(on: "node1")
        try scene.unmount()
        try run.compareCopies(primary: "node1")
    }
}
