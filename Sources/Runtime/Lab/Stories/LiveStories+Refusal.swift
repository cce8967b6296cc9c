import Basics
import Glibc

extension LiveStories {
    /// Bad input: one clear sentence, an exit status that is not zero, nothing half done.
    static func refusals() -> [LiveStory] {
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
            LiveStory("a node that cannot start says why in its last line, and leaves nothing") {
                run throws(LabError) in try refusedStarts(run)
            },
            LiveStory("a copy of another cluster, node or size is not touched") { run throws(LabError) in
                try foreignCopies(run)
            },
            LiveStory("a witness that cannot start says why in its last line") { run throws(LabError) in
                try refusedWitnesses(run)
            },
            LiveStory("a promotion without the witness, or with another secret, is refused") {
                run throws(LabError) in try unheardWitness(run)
            },
            LiveStory("a verb without a daemon, or without root, is refused") { run throws(LabError) in
                try refusedVerbs(run)
            },
            LiveStory("a promotion whose step fails names it, and is undone") { run throws(LabError) in
                try brokenFileSystem(run)
            },
            LiveStory("a busy mount point is named") { run throws(LabError) in try busyMountPoint(run) },
        ]
    }

    /// Machines, settings and secret, and nothing that runs but the witness when it is wanted. `edit` changes the
    /// settings' text.
    static func bare(
        _ run: StoryRun, more: String = "", size: String = "64MiB", mounts: Bool = false,
        witness: Bool = false,
        edit: (String) -> String = { $0 }
    ) throws(LabError) {
        _ = try run.lab.wipe()
        try run.lab.raise()
        var settings = deviceSettings
        settings.size = size
        settings.more = more
        settings.mounts = mounts
        let text = settings.text(in: run.lab.directory)
        try TextFile.write(edit(text), to: run.lab.directory.settings)
        let secret = try ChildProcess.run([run.lab.product, "secret", "--out", run.lab.directory.secret])
        guard secret.status == 0 else { throw LabError("tandem secret: \(secret.output)") }
        if witness { try run.lab.startWitness() }
    }

    /// The output of a refusal: short, about the matter, no trap; and nothing is left on the node.
    static func judge(
        _ outcome: ChildProcess.Outcome, _ what: String, saying words: [String], _ run: StoryRun
    ) throws(LabError) {
        let text = outcome.output
        run.say("\(what): \(text.split(separator: "\n").joined(separator: " / "))")
        if outcome.timedOut { throw LabError("\(what) does not end") }
        guard outcome.status != 0, outcome.status < 128 else {
            throw LabError("\(what) ends with \(outcome.status)")
        }
        // A daemon's log may stand before it; what was wrong is the last line, whole.
        let last = text.split(separator: "\n").last.map { String($0) } ?? ""
        guard last.hasPrefix("Error: ") else {
            throw LabError("\(what) does not end with its reason: \(text)")
        }
        for word in words where !last.contains(word) {
            throw LabError("\(what) does not speak of '\(word)': \(last)")
        }
    }

    /// Starts a daemon that must refuse to run.
    private static func refusedStart(
        _ what: String, _ words: [String], before: [String] = [], on machine: String = "node1",
        saying: [String], _ run: StoryRun
    ) throws(LabError) {
        let outcome = try run.lab.machine(machine).run(
            before + [run.lab.product] + words, limit: .seconds(15))
        try judge(outcome, what, saying: saying, run)
        let left = try run.lab.machine(machine).run([
            "sh", "-c", "ls -d /run/tandem/sessions/* /run/tandem/control",
        ])
        let isFree = run.lab.daemonProcesses(machine).isEmpty
        if isFree, left.output.contains("/run/tandem/control\n") {
            throw LabError("\(what): the control socket is left")
        }
        if machine == "node1", isFree {
            guard run.lab.machine(machine).loopDevices.isEmpty else {
                throw LabError("\(what): a loop device is left")
            }
            let rules = try run.lab.machine(machine).run(["nft", "list", "tables"])
            if rules.output.contains("tandem") { throw LabError("\(what): left rules: \(rules.output)") }
            let mounts = try run.lab.machine(machine).run(["cat", "/proc/self/mounts"])
            if mounts.output.contains("/run/tandem/") { throw LabError("\(what): a mount is left") }
        }
    }

    private static func nodeWords(_ settings: String, _ node: String = "node1") -> [String] {
        ["node", "--settings", settings, "--node", node]
    }

    /// The settings of the lab with one piece of text replaced, in a file of its own.
    private static func changed(
        _ name: String, _ old: String, _ new: String, from source: String? = nil, _ run: StoryRun
    ) throws(LabError) -> String {
        let text = TextFile.read(source ?? run.lab.directory.settings) ?? ""
        guard text.contains(old) else { throw LabError("the settings have no '\(old)'") }
        let path = "\(run.lab.directory.path)/\(name).yaml"
        try TextFile.write(text.replacing(old, with: new, maxReplacements: 1), to: path)
        return path
    }

    private static func refusedStarts(_ run: StoryRun) throws(LabError) {
        try bare(run, witness: true)
        let settings = run.lab.directory.settings
        try refusedStart(
            "a node without a copy", nodeWords(settings), saying: ["no copy", "tandem init"], run)
        try done(["init"], on: "node1", run)
        let backing = "volume: { size: 32MiB, backing: \(LabDirectory.diskInside)/more.img }"
        let more = try changed("more", "groups:\n", "groups:\n  more: { \(backing) }\n", run)
        let made = try run.lab.machine("node1").run(
            [run.lab.product, "init", "more", "--settings", more, "--node", "node1"])
        try require(made.status == 0, "a second group can be made: \(made.output)")
        try refusedStart(
            "a node with one copy of two",
            nodeWords(try changed("third", "files.img", "third.img", from: more, run)),
            saying: ["'files'", "third.img", "tandem init"], run)
        let bad = try changed("bad", "transport: sealed", "transport: saeled", run)
        try refusedStart("a node with bad settings", nodeWords(bad), saying: ["bad.yaml:", "sealed"], run)
        try refusedStart(
            "a node that is none", nodeWords(settings, "node3"), saying: ["node3", "node1"], run)
        let lost = try changed("lost", run.lab.directory.secret, run.lab.directory.path + "/none", run)
        try refusedStart(
            "a node without a secret", nodeWords(lost), saying: ["secret", "tandem secret"], run)
        chmod(run.lab.directory.secret, 0o644)
        try refusedStart(
            "a node with an open secret", nodeWords(settings), saying: ["secret", "chmod 600"], run)
        chmod(run.lab.directory.secret, 0o600)
        try refusedStart(
            "a node without its address",
            nodeWords(
                try changed(
                    "moved", "node1: { address: 192.168.56.11 }", "node1: { address: 192.168.56.99 }", run)),
            saying: ["192.168.56.99", "--node"], run)
        let unprivileged = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        try refusedStart(
            "a node without root", nodeWords(settings), before: unprivileged, saying: ["root"], run)
        let bounded = ["setpriv", "--bounding-set", "-net_admin"]
        try refusedStart(
            "a root without CAP_NET_ADMIN", nodeWords(settings), before: bounded, saying: ["CAP_NET_ADMIN"],
            run)
        try run.lab.startDaemon("node1")
        try waitPrimary(LabSettings.group, on: "node1", run)
        try refusedStart(
            "a second daemon of a node", nodeWords(settings), saying: ["node1", "already", "end"], run)
        let moved = try changed("moved", "56.11 }", "56.11, port: 7999 }", run)
        let other = try changed("other", "groups:", "run-directory: /run/other\ngroups:", from: moved, run)
        try refusedStart(
            "a second daemon on a copy", nodeWords(other), saying: ["files.img", "in use", "end"], run)
        try refusedStart(
            "a node whose port is taken", nodeWords(try portTaken(run)),
            saying: ["7790", "in use", "`port`"], run)
        let isServing = try isPrimary(LabSettings.group, on: "node1", run)
        let hasAddress = try holdsAddress("node1", LabNetwork.virtualAddress, run)
        try require(isServing && hasAddress, "the daemon that runs was not touched by these")
    }

    /// Settings of another cluster on the same machine that want node1's port.
    private static func portTaken(_ run: StoryRun) throws(LabError) -> String {
        let text = TextFile.read(try changed("taken", "cluster: lab", "cluster: lab2", run)) ?? ""
        let head = text.split(separator: "\n", omittingEmptySubsequences: false).prefix { $0 != "groups:" }
        let path = "\(run.lab.directory.path)/taken.yaml"
        try TextFile.write(
            head.joined(separator: "\n")
                + "\nrun-directory: /run/other\ngroups:\n  front: { address: 192.168.56.102/24 }\n", to: path)
        return path
    }

    private static func foreignCopies(_ run: StoryRun) throws(LabError) {
        try made(run)
        let settings = run.lab.directory.settings
        let sums = try copySums(run)
        try refusedStart(
            "a node of another cluster",
            nodeWords(try changed("cluster", "cluster: lab", "cluster: mine", run)),
            saying: ["files.img", "another cluster", "not touched"], run)
        try refusedStart(
            "a copy of another size", nodeWords(try changed("size", "size: 64MiB", "size: 32MiB", run)),
            saying: ["files.img", "size"], run)
        let directory = LabDirectory.diskInside
        let swapped = try run.lab.machine("node1").run(
            ["ip", "address", "add", "192.168.56.12/24", "dev", "eth0"])
        guard swapped.status == 0 else { throw LabError("ip: \(swapped.output)") }
        try refusedStart(
            "a node with the other's copy", nodeWords(settings, "node2"),
            saying: ["files.img", "copy of node1", "--node"], run)
        try require(try copySums(run) == sums, "nothing was written to the copies")
        let metadata = "\(directory)/files.img.tandem"
        try shell("mv \(metadata) \(directory)/kept && head -c 20480 /dev/zero > \(metadata)", run)
        try refusedStart(
            "a node whose metadata is none", nodeWords(settings), saying: ["files.img.tandem", "--join"], run)
        try shell("mv \(directory)/kept \(metadata) && truncate -s 1M \(directory)/files.img", run)
        try refusedStart(
            "a node whose backing was cut", nodeWords(settings),
            saying: ["files.img", "1048576", "67108864"],
            run)
        try refusedVerb(["init"], on: "node1", saying: ["initialized", "files.img"], run)
    }

    private static func shell(_ script: String, _ run: StoryRun) throws(LabError) {
        let outcome = try run.lab.machine("node1").run(["sh", "-c", script])
        guard outcome.status == 0 else { throw LabError("\(script): \(outcome.output)") }
    }

    private static func copySums(_ run: StoryRun) throws(LabError) -> String {
        try run.lab.machine("node1").run(
            ["sh", "-c", "cksum \(LabDirectory.diskInside)/files.img*"]
        ).output
    }

    private static func refusedWitnesses(_ run: StoryRun) throws(LabError) {
        try bare(run)
        let settings = run.lab.directory.settings
        func words(_ path: String) -> [String] { ["witness", "--settings", path] }
        try refusedStart(
            "a witness on another machine", words(settings), saying: ["192.168.56.13", "machine"], run)
        let none = try changed("none", "witness: { address: 192.168.56.13 }", "arbiter: none", run)
        try refusedStart(
            "a witness of a cluster without", words(none), on: "witness", saying: ["arbiter: none"], run)
        let lost = try changed("lost", run.lab.directory.secret, run.lab.directory.path + "/none", run)
        try refusedStart(
            "a witness without a secret", words(lost), on: "witness", saying: ["secret", "tandem secret"], run
        )
        let unprivileged = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        try refusedStart(
            "a witness that may not read the secret", words(settings), before: unprivileged, on: "witness",
            saying: ["secret", "root"], run)
        let full = try run.lab.machine("witness").run(
            ["sh", "-c", "mkdir -p /srv/full && mount -t tmpfs -o size=4k,nr_inodes=1 small /srv/full"])
        guard full.status == 0 else { throw LabError("mount: \(full.output)") }
        try refusedStart(
            "a witness on a full disk",
            words(try changed("full", "\(LabDirectory.diskInside)/state", "/srv/full/state", run)),
            on: "witness",
            saying: ["/srv/full", "space", "make room"], run)
        try run.lab.startWitness()
        try refusedStart(
            "a second witness", words(settings), on: "witness", saying: ["7791", "in use", "`port`"], run)
    }

    private static func unheardWitness(_ run: StoryRun) throws(LabError) {
        try made(run)
        run.lab.killDaemon("witness")
        for node in ["node1", "node2"] { try run.lab.startDaemon(node) }
        try run.wait("the nodes are connected", .seconds(20)) { () throws(LabError) -> Bool? in
            run.lab.status(of: "node1")?.connection == "Connected" ? true : nil
        }
        try refusedVerb(
            ["promote"], on: "node1", saying: ["witness", "cannot be reached", "start `tandem witness`"], run)
        unlink(run.lab.directory.secret)
        let secret = try ChildProcess.run([run.lab.product, "secret", "--out", run.lab.directory.secret])
        guard secret.status == 0 else { throw LabError("tandem secret: \(secret.output)") }
        let known = run.daemonLines("node1").count
        try run.lab.startDaemon("witness")
        try run.wait("node1 has found that the secrets differ", .seconds(10)) { () throws(LabError) in
            run.daemonLines("node1").dropFirst(known).contains { $0.contains("secret") } ? true : nil
        }
        try refusedVerb(["promote"], on: "node1", saying: ["witness", "secret differs", "copy"], run)
        try nothingHalfDone(run, leaving: ["files.img", "files.img.tandem"])
    }

    private static func refusedVerbs(_ run: StoryRun) throws(LabError) {
        try bare(run, witness: true)
        for verb in [
            "status", "events", "promote", "demote", "switchover", "up", "down", "connect", "disconnect",
        ] {
            try refusedVerb([verb], on: "node1", saying: ["no tandem daemon", "tandem node"], run)
        }
        let place = ["--settings", run.lab.directory.settings, "--node", "node1"]
        let unprivileged = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", run.lab.product]
        let node = run.lab.machine("node1")
        try judge(
            try node.run(unprivileged + ["init"] + place), "init without root", saying: ["root"], run)
        try nothingHalfDone(run)
        try done(["init"], on: "node1", run)
        try run.lab.startDaemon("node1")
        try run.wait("node1 answers", .seconds(20)) { () throws(LabError) in
            run.lab.status(of: "node1") == nil ? nil : true
        }
        try judge(
            try node.run(unprivileged + ["status"] + place), "status without root",
            saying: ["permission", "root"], run)
        let full = try node.run(
            [
                "sh", "-c",
                "mkdir -p /srv/full && mount -t tmpfs -o size=4k small /srv/full && head -c 4096 /dev/zero > /srv/full/x",
            ])
        guard full.status == 0 else { throw LabError("mount: \(full.output)") }
        try judge(
            try node.run([run.lab.product, "secret", "--out", "/srv/full/secret"]), "secret on a full disk",
            saying: ["/srv/full/secret", "space", "make room"], run)
        try require(
            try node.run(["test", "-e", "/srv/full/secret"]).status != 0, "no piece of a secret is left")
        try judge(
            try node.run([run.lab.product, "secret", "--out", run.lab.directory.secret]), "a second secret",
            saying: ["exists already", "not overwritten"], run)
        let missing = try node.run([run.lab.product, "status", "--settings", "/none.yaml"])
        try judge(missing, "status without settings", saying: ["/none.yaml"], run)
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
        try refused(["init"], saying: ["secret differs", "copy"], limit: .seconds(60), run)
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

    private static func brokenFileSystem(_ run: StoryRun) throws(LabError) {
        try bare(run, mounts: true, witness: true)
        try shell("yes garbage | head -c 67108864 > \(LabDirectory.diskInside)/files.img", run)
        try done(["init", "--adopt"], on: "node1", run)
        try run.lab.startDaemon("node1")
        try run.wait("the promotion by itself has failed", .seconds(20)) { () throws(LabError) in
            run.daemonLines("node1").contains { $0.contains("promotion-failed") } ? true : nil
        }
        try refusedVerb(
            ["promote"], on: "node1",
            saying: ["data: ", "nothing was left half-way", "mend", "tandem promote"], run)
        try nothingHalfDone(run, leaving: ["files.img", "files.img.tandem"])
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
