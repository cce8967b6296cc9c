import Basics
import Glibc

extension LiveStories {
    /// Bad input: one clear sentence, an exit status that is not zero, nothing half done.
    static func refusals(full: Bool) -> [LiveStory] {
        [
            LiveStory("bad settings are refused with file, line and the nearest word") {
                run throws(LabError) in
                try bare(run, more: "transprot: sealed\n")
                try refused(["init"], saying: ["tandem.yaml:", "transport"], run)
            },
            LiveStory("a copy is not made without a witness") { run throws(LabError) in
                try bare(run)
                try refused(["init"], saying: ["witness"], limit: .seconds(60), run)
            },
            LiveStory("a node with another secret is refused") { run throws(LabError) in try wrongSecret(run)
            },
            LiveStory("a disk that is full is refused") { run throws(LabError) in
                try bare(run, size: "1TiB", witness: true)
                try limitDisk(run)
                try refused(["init"], saying: ["space"], run)
            },
            LiveStory("a backing file that is too small is refused") { run throws(LabError) in
                try bare(run, witness: true)
                try TextFile.write("short", to: run.lab.directory.backing("node1"))
                try refused(["init", "--adopt"], saying: ["files.img"], leaving: ["files.img"], run)
            },
            LiveStory("a backing file of somebody else is not touched") { run throws(LabError) in
                try bare(run, witness: true)
                try TextFile.write("mine", to: run.lab.directory.backing("node1"))
                try refused(["init"], saying: ["files.img"], leaving: ["files.img"], run)
                guard TextFile.read(run.lab.directory.backing("node1")) == "mine" else {
                    throw LabError("the file of somebody else was changed")
                }
            },
            LiveStory("a port in use is named") { run throws(LabError) in try portInUse(run) },
            LiveStory("missing privilege is named") { run throws(LabError) in try noPrivilege(run) },
            LiveStory("a busy mount point is named") { run throws(LabError) in try busyMountPoint(run) },
        ]
    }

    private static func bare(
        _ run: StoryRun, more: String = "", size: String = "64MiB", witness: Bool = false
    ) throws(LabError) {
        _ = try run.lab.wipe()
        try run.lab.raise()
        var settings = deviceSettings
        settings.size = size
        settings.more = more
        try TextFile.write(settings.text(in: run.lab.directory), to: run.lab.directory.settings)
        let secret = try ChildProcess.run([run.lab.product, "secret", "--out", run.lab.directory.secret])
        guard secret.status == 0 else { throw LabError("tandem secret: \(secret.output)") }
        if witness { try run.lab.startWitness() }
    }

    /// The output of a refusal: short, about the matter, no trap; and nothing is left on the node.
    private static func judge(
        _ outcome: ChildProcess.Outcome, _ what: String, saying words: [String], _ run: StoryRun
    ) throws(LabError) {
        let text = outcome.output
        run.say("\(what): \(text.split(separator: "\n").joined(separator: " / "))")
        if outcome.timedOut { throw LabError("\(what) does not end") }
        guard outcome.status != 0, outcome.status < 128 else {
            throw LabError("\(what) ends with \(outcome.status)")
        }
        for word in words where !text.contains(word) {
            throw LabError("\(what) does not speak of '\(word)': \(text)")
        }
        guard text.split(separator: "\n").count <= 3 else {
            throw LabError("\(what) is not one clear sentence: \(text)")
        }
    }

    private static func refused(
        _ words: [String], saying: [String], leaving: Set<String> = [], limit: Interval = .seconds(30),
        _ run: StoryRun
    ) throws(LabError) {
        let outcome = try run.lab.verb(words, on: "node1", limit: limit)
        try judge(outcome, "tandem \(words.joined(separator: " "))", saying: saying, run)
        try nothingHalfDone(run, leaving: leaving)
    }

    private static func nothingHalfDone(_ run: StoryRun, leaving: Set<String> = []) throws(LabError) {
        let files = Set(
            TextFile.names(in: run.lab.directory.disk("node1")).filter { $0.hasPrefix("files.img") })
        guard files == leaving else { throw LabError("left on the disk: \(files.sorted())") }
        guard run.lab.machine("node1").loopDevices.isEmpty else { throw LabError("a loop device is left") }
        let addresses = try run.lab.machine("node1").run(["ip", "-o", "address", "show"])
        if addresses.output.contains(LabNetwork.virtualAddress) { throw LabError("the address is left") }
    }

    private static func limitDisk(_ run: StoryRun) throws(LabError) {
        let mounted = try run.lab.machine("node1").run(
            ["mount", "-t", "tmpfs", "-o", "size=8m", "small", LabDirectory.diskInside])
        guard mounted.status == 0 else { throw LabError("mount: \(mounted.output)") }
    }

    private static func wrongSecret(_ run: StoryRun) throws(LabError) {
        try bare(run, witness: true)
        unlink(run.lab.directory.secret)
        let secret = try ChildProcess.run([run.lab.product, "secret", "--out", run.lab.directory.secret])
        guard secret.status == 0 else { throw LabError("tandem secret: \(secret.output)") }
        try refused(["init"], saying: ["secret"], limit: .seconds(60), run)
    }

    private static func made(_ run: StoryRun) throws(LabError) {
        try bare(run, witness: true)
        for node in ["node1", "node2"] {
            let made = try run.lab.verb(["init"], on: node, limit: .seconds(60))
            guard made.status == 0 else { throw LabError("tandem init on \(node): \(made.output)") }
        }
    }

    private static func nodeCommand(_ run: StoryRun) -> [String] {
        [run.lab.product, "node", "--settings", run.lab.directory.settings, "--node", "node1"]
    }

    private static func portInUse(_ run: StoryRun) throws(LabError) {
        try made(run)
        try run.lab.startDaemon("node1")
        try run.wait("node1 answers", .seconds(20)) { () throws(LabError) in
            run.lab.status(of: "node1") == nil ? nil : true
        }
        let second = try run.lab.machine("witness").run(
            [run.lab.product, "witness", "--settings", run.lab.directory.settings], limit: .seconds(10))
        try judge(second, "a second witness", saying: ["7791"], run)
    }

    private static func noPrivilege(_ run: StoryRun) throws(LabError) {
        try made(run)
        let outcome = try run.lab.machine("node1").run(
            ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] + nodeCommand(run),
            limit: .seconds(20))
        try judge(outcome, "tandem node without root", saying: ["root"], run)
    }

    private static func busyMountPoint(_ run: StoryRun) throws(LabError) {
        var settings = LabSettings()
        settings.size = "64MiB"
        _ = try run.lab.wipe()
        try run.lab.raise()
        for node in ["node1", "node2"] {
            let place = LabSettings.mountPath
            let mounted = try run.lab.machine(node).run(
                ["sh", "-c", "mkdir -p \(place) && mount -t tmpfs other \(place)"])
            guard mounted.status == 0 else { throw LabError("mount: \(mounted.output)") }
        }
        try run.lab.install(settings)
        try run.wait("both nodes hold current data", .seconds(20)) { () throws(LabError) -> Bool? in
            run.lab.status(of: "node1")?.isSettled == true ? true : nil
        }
        let place = LabSettings.mountPath
        let outcome = try run.lab.verb(["promote", LabSettings.group], on: "node1", limit: .seconds(60))
        try judge(outcome, "tandem promote", saying: ["busy", place, "umount"], run)
        let mounts = try run.lab.machine("node1").run(["cat", "/proc/self/mounts"]).output
        guard mounts.contains("other \(place) tmpfs") else {
            throw LabError("what somebody else had mounted on \(place) is gone")
        }
        try nothingHalfDone(run, leaving: ["files.img", "files.img.tandem"])
        let cleared = try run.lab.machine("node1").run(["umount", place])
        guard cleared.status == 0 else { throw LabError("umount: \(cleared.output)") }
        let second = try run.lab.verb(["promote", LabSettings.group], on: "node1", limit: .seconds(60))
        guard second.status == 0, run.lab.status(of: "node1")?.isPrimary == true else {
            throw LabError("promote with the mount point free: \(second.status), \(second.output)")
        }
    }
}
