import Basics
import ControlPlane
import Glibc

extension LiveStories {
    /// The verbs, each held to its word: when it has ended well, what it asks for is true at that moment.
    static func verbs(full: Bool) -> [LiveStory] {
        var stories = [
            LiveStory("status and events show what is, once and while it changes") { run throws(LabError) in
                try showing(run)
            },
            LiveStory("each verb ends when what it asks for is true") { run throws(LabError) in
                try outcomes(run)
            },
            LiveStory("a switchover to a node that cannot serve moves nothing") { run throws(LabError) in
                try blockedSwitchover(run)
            },
            LiveStory("a node that was demoted stays so when the other comes back") { run throws(LabError) in
                try staysDemoted(run)
            },
            LiveStory("what a verb has said on one node holds on the other at once") { run throws(LabError) in
                try atOnce(run)
            },
            LiveStory(
                "a witness that has lost its record is named, and nothing is moved until it is reseeded"
            ) {
                run throws(LabError) in try forgetfulWitness(run)
            },
            LiveStory("with an external elector the operator's scripts promote and demote") {
                run throws(LabError) in try externalElector(run)
            },
            LiveStory("a group of an address alone moves it") { run throws(LabError) in try addressOnly(run)
            },
            LiveStory("a group of a volume alone is a device on its Primary") { run throws(LabError) in
                try volumeOnly(run)
            },
            LiveStory("two groups on the same pair move by themselves") { run throws(LabError) in
                try twoGroups(run)
            },
            LiveStory("a node out of descriptors answers its operator again") { run throws(LabError) in
                try outOfDescriptors(run)
            },
        ]
        if full {
            stories.append(
                LiveStory("what cannot be reached is named after its time") { run throws(LabError) in
                    try outOfReach(run)
                })
        }
        return stories
    }

    // MARK: how they speak with the product

    /// Runs a verb that must end well; what it printed.
    @discardableResult
    static func done(
        _ words: [String], on node: String, limit: Interval = .seconds(40), _ run: StoryRun
    ) throws(LabError) -> String {
        let outcome = try run.lab.verb(words, on: node, limit: limit)
        let text = outcome.output.split(separator: "\n").last.map { String($0) } ?? ""
        run.say("tandem \(words.joined(separator: " ")) on \(node): \(text)")
        guard outcome.status == 0, !outcome.timedOut else {
            throw LabError("tandem \(words.joined(separator: " ")) on \(node): \(outcome.output)")
        }
        return outcome.output
    }

    /// Runs a verb that must be refused, in one sentence with these words.
    static func refusedVerb(
        _ words: [String], on node: String, saying: [String], limit: Interval = .seconds(40), _ run: StoryRun
    ) throws(LabError) {
        let outcome = try run.lab.verb(words, on: node, limit: limit)
        try judge(outcome, "tandem \(words.joined(separator: " ")) on \(node)", saying: saying, run)
    }

    /// A group of a node's status as it is now.
    static func group(_ name: String, on node: String, _ run: StoryRun) throws(LabError) -> JSONValue {
        let answer = try run.lab.verb(["status", "--json"], on: node, limit: .seconds(5))
        let value: JSONValue
        do { value = try JSONValue.decode(Array(answer.output.utf8)) } catch {
            throw LabError("tandem status --json on \(node) is no JSON: \(answer.output)")
        }
        guard let group = value["groups"].elements.first(where: { $0["group"].string == name }) else {
            throw LabError("tandem status --json on \(node) knows no group \(name): \(answer.output)")
        }
        return group
    }

    /// Whether a node is Primary of a group with everything done.
    static func isPrimary(_ name: String, on node: String, _ run: StoryRun) throws(LabError) -> Bool {
        let group = try group(name, on: node, run)
        return group["role"].string == "Primary" && group["failover"]["state"].string == "primary"
    }

    /// Whether a node and the other one speak with each other.
    static func peerIsHeard(_ name: String, on node: String, _ run: StoryRun) throws(LabError) -> Bool {
        let answer = try run.lab.verb(["status", "--json"], on: node, limit: .seconds(5))
        guard answer.status == 0 else { return false }
        return try group(name, on: node, run)["connection"].string == "Connected"
    }

    static func require(_ isTrue: Bool, _ what: String) throws(LabError) {
        guard isTrue else { throw LabError("it is not so that \(what)") }
    }

    static func holdsAddress(_ node: String, _ address: String, _ run: StoryRun) throws(LabError) -> Bool {
        try run.lab.machine(node).run(["ip", "-o", "address", "show"]).output.contains(" \(address)/")
    }

    /// Starts a lab with these groups, as the settings write them, and their copies.
    static func begin(
        groups: String, copies: Bool = true, _ run: StoryRun
    ) throws(LabError) {
        try bare(run, witness: true) { text in
            let head = text.split(separator: "\n", omittingEmptySubsequences: false).prefix {
                $0 != "groups:"
            }
            return head.joined(separator: "\n") + "\ngroups:\n" + groups
        }
        for node in ["node1", "node2"] {
            if copies { try done(["init"], on: node, run) }
        }
        for node in ["node1", "node2"] { try run.lab.startDaemon(node) }
    }

    static func waitPrimary(_ name: String, on node: String, _ run: StoryRun) throws(LabError) {
        try run.wait("\(node) is Primary of \(name)", .seconds(20)) { () throws(LabError) -> Bool? in
            guard
                case .success(true) = Result(catching: { () throws(LabError) in
                    try isPrimary(name, on: node, run)
                })
            else { return nil }
            return true
        }
    }

    // MARK: the stories

    private static func showing(_ run: StoryRun) throws(LabError) {
        try run.begin(deviceSettings)
        let screen = try done(["status"], on: "node1", run)
        try require(
            screen.hasPrefix("files: safe: both copies are UpToDate"), "status says first who is safe")
        try require(screen.contains("Primary, peer node2 Secondary"), "status shows both roles: \(screen)")
        try require(try group("files", on: "node2", run)["disk"].string == "UpToDate", "JSON has the disk")
        try require(try done(["check"], on: "node1", run).contains("ok       copy"), "check finds the copy")
        try require(
            try done(["check"], on: "node2", run).contains("ok       witness"), "check asks the witness")
        try require(
            try done(["events"], on: "node1", run).contains("promote-ends"), "events tell the promotion")
        let path = run.lab.directory.path
        let place = ["--settings", run.lab.directory.settings, "--node", "node2"]
        let node = run.lab.machine("node2")
        let watch = try node.launch(
            [run.lab.product, "status", "--watch"] + place, log: path + "/watch.log")
        let follow = try node.launch(
            [run.lab.product, "events", "--follow"] + place, log: path + "/follow.log")
        try run.wait("the events that are there", .seconds(5)) { () throws(LabError) in
            TextFile.read(path + "/follow.log")?.contains("node-started") == true ? true : nil
        }
        try done(["switchover"], on: "node1", run)
        try run.wait("the followed events tell of the switchover", .seconds(5)) { () throws(LabError) in
            TextFile.read(path + "/follow.log")?.contains("promote-ends") == true ? true : nil
        }
        try run.wait("the watched status shows the new role", .seconds(5)) { () throws(LabError) in
            TextFile.read(path + "/watch.log")?.contains("Primary, peer node1 Secondary") == true ? true : nil
        }
        for program in [watch, follow] {
            program.signal(SIGINT)
            guard program.wait(.seconds(5)) != nil else { throw LabError("Ctrl-C does not end it") }
        }
        try run.kill(["node2"])
        try waitPrimary("files", on: "node1", run)
        let alone = try done(["status"], on: "node1", run)
        try require(
            alone.contains("files: NOT safe: only node1"), "status says that node1 is alone: \(alone)")
    }

    private static func outcomes(_ run: StoryRun) throws(LabError) {
        var settings = LabSettings()
        settings.size = "64MiB"
        try run.begin(settings)
        try done(["switchover"], on: "node1", run)
        try require(try isPrimary("files", on: "node2", run), "node2 is Primary when switchover has ended")
        try require(try holdsAddress("node2", LabNetwork.virtualAddress, run), "node2 has the address")
        try done(["switchover"], on: "node1", run)
        try require(try isPrimary("files", on: "node1", run), "node1 got it back when it asked")
        // Had it still believed in the offer of the first switchover, it would have asked on until that was over, in 20 s.
        try refusedVerb(
            ["promote"], on: "node2", saying: ["Primary", "switchover"], limit: .seconds(10), run)
        for node in ["node2", "node1"] {
            try done(["disconnect"], on: node, run)
            let apart = try group("files", on: node, run)
            try require(apart["connection"].string == "StandAlone", "\(node) stands alone")
            try done(["connect"], on: node, run)
            let joined = try group("files", on: node, run)
            try require(
                joined["connection"].string == "Connected", "\(node) is connected: \(joined.encoded())")
        }
        try require(try isPrimary("files", on: "node1", run), "node1 has stayed Primary")
        try run.waitSettled()
        try done(["demote"], on: "node1", run)
        try require(try !isPrimary("files", on: "node1", run), "node1 is Secondary when demote has ended")
        try waitPrimary("files", on: "node2", run)
        try run.waitSettled()
        try done(["down"], on: "node1", run)
        try refusedVerb(["promote"], on: "node1", saying: ["down", "tandem up"], run)
        try refusedVerb(["connect"], on: "node1", saying: ["down", "tandem up"], run)
        try done(["up"], on: "node1", run)
        try require(
            try group("files", on: "node1", run)["connection"].string == "Connected", "up has connected node1"
        )
        try run.waitSettled()
        try done(["down"], on: "node2", run)
        try waitPrimary("files", on: "node1", run)
        try done(["up"], on: "node2", run)
        try run.waitSettled()
        try run.compareCopies()
    }

    /// Signs of life are far apart here, so that a node which waits for the next one is almost always too late.
    private static func atOnce(_ run: StoryRun) throws(LabError) {
        var settings = LabSettings()
        settings.size = "64MiB"
        settings.more = "lease: slow\n"
        try run.begin(settings)
        try done(["demote"], on: "node2", run)
        try refusedVerb(["switchover"], on: "node1", saying: ["held back", "nothing was moved"], run)
        try require(try isPrimary("files", on: "node1", run), "node1 is still Primary")
        try done(["up"], on: "node2", run)
        try done(["switchover"], on: "node1", run)
        try require(try isPrimary("files", on: "node2", run), "node2 is Primary when switchover has ended")
    }

    /// Once the two copies are equal again the record names this node, and that is no invitation.
    private static func staysDemoted(_ run: StoryRun) throws(LabError) {
        var settings = LabSettings()
        settings.size = "64MiB"
        try run.begin(settings)
        try run.kill(["node2"])
        try run.wait("node1 has missed node2", .seconds(20)) { () throws(LabError) -> Bool? in
            try group("files", on: "node1", run)["connection"].string == "Connecting" ? true : nil
        }
        try done(["demote"], on: "node1", run)
        try run.start("node2", writing: false)
        try waitPrimary("files", on: "node2", run)
        let begun = run.daemonLines("node1").count { $0.contains("promote-begins") }
        try require(begun == 1, "node1 was promoted once, before it was demoted")
    }

    private static func blockedSwitchover(_ run: StoryRun) throws(LabError) {
        var settings = LabSettings()
        settings.size = "64MiB"
        try run.begin(settings)
        let place = LabSettings.mountPath
        let mounted = try run.lab.machine("node2").run(
            ["sh", "-c", "mkdir -p \(place) && mount -t tmpfs other \(place)"])
        guard mounted.status == 0 else { throw LabError("mount: \(mounted.output)") }
        try run.wait("node1 knows that node2 cannot serve", .seconds(5)) { () throws(LabError) -> Bool? in
            let status = try run.lab.verb(["status"], on: "node1").output
            return status.contains("node2 cannot serve") ? true : nil
        }
        try refusedVerb(["switchover"], on: "node1", saying: ["node2", "nothing was moved"], run)
        try refusedVerb(["switchover"], on: "node2", saying: ["busy", place], run)
        try require(try isPrimary("files", on: "node1", run), "node1 is still Primary")
        let busy = try run.lab.machine("node1").launch(
            ["sh", "-c", "cd \(place) && exec sleep 1000"], log: run.lab.directory.path + "/busy.log")
        try run.wait("somebody works in the mount", .seconds(5)) { () throws(LabError) in busy.process }
        try refusedVerb(["demote"], on: "node1", saying: ["unmount data", "sleep", "working directory"], run)
        busy.signal(SIGTERM)
        _ = busy.wait(.seconds(5))
        try done(["demote"], on: "node1", run)
        try require(try group("files", on: "node1", run)["role"].string == "Secondary", "node1 is Secondary")
    }

    private static func externalElector(_ run: StoryRun) throws(LabError) {
        var settings = LabSettings()
        settings.size = "64MiB"
        settings.more = "elector: external\n"
        _ = try run.lab.wipe()
        try run.lab.raise()
        try run.lab.install(settings)
        try run.wait("both copies are UpToDate", .seconds(20)) { () throws(LabError) -> Bool? in
            guard let one = run.lab.status(of: "node1"), let two = run.lab.status(of: "node2") else {
                return nil
            }
            return one.isSettled && two.isSettled ? true : nil
        }
        try require(run.lab.primary() == nil, "nobody promotes by himself")
        try done(["promote"], on: "node1", run)
        try require(try isPrimary("files", on: "node1", run), "node1 is Primary when promote has ended")
        try require(try holdsAddress("node1", LabNetwork.virtualAddress, run), "node1 has the address")
        try refusedVerb(["promote"], on: "node2", saying: ["Primary", "switchover"], run)
        try done(["demote"], on: "node1", run)
        try require(try !holdsAddress("node1", LabNetwork.virtualAddress, run), "node1 has it no more")
        try done(["promote"], on: "node2", run)
        try require(try holdsAddress("node2", LabNetwork.virtualAddress, run), "node2 has the address")
        try run.kill(["node2"])
        try run.wait("a promotion is granted once the lease is over", .seconds(20)) {
            () throws(LabError) -> Bool? in
            try run.lab.verb(["promote"], on: "node1", limit: .seconds(40)).status == 0 ? true : nil
        }
        try require(try isPrimary("files", on: "node1", run), "node1 is Primary alone")
        // Both have been free to become Primary for a whole lease and longer, and one has seen the other die.
        for node in ["node1", "node2"] {
            let asked = run.daemonLines(node).first { $0.contains("promotion-asked") }
            try require(asked == nil, "\(node) never asked by itself: \(asked ?? "no such event")")
        }
    }

    private static func addressOnly(_ run: StoryRun) throws(LabError) {
        let address = LabNetwork.virtualAddress
        try begin(groups: "  front: { address: \(address)/24, prefer: node1 }\n", copies: false, run)
        try waitPrimary("front", on: "node1", run)
        try require(try holdsAddress("node1", address, run), "node1 has the address")
        try refusedVerb(["init"], on: "node1", saying: ["no group has a volume"], run)
        try refusedVerb(["connect"], on: "node1", saying: ["no volume"], run)
        try done(["switchover"], on: "node1", run)
        try require(try holdsAddress("node2", address, run), "node2 has the address after the switchover")
        try require(try !holdsAddress("node1", address, run), "node1 has it no more")
        try done(["demote"], on: "node2", run)
        try waitPrimary("front", on: "node1", run)
        try done(["up"], on: "node2", run)
        try run.kill(["node1"])
        try waitPrimary("front", on: "node2", run)
        try require(try holdsAddress("node2", address, run), "node2 has the address of the dead node1")
    }

    private static func volumeOnly(_ run: StoryRun) throws(LabError) {
        let backing = LabDirectory.diskInside
        try begin(
            groups: "  raw: { prefer: node1, volume: { size: 64MiB, backing: \(backing)/files.img } }\n", run)
        try waitPrimary("raw", on: "node1", run)
        let device = "/dev/tandem/raw/data"
        let written = try run.lab.machine("node1").run(
            ["sh", "-c", "echo from node1 | dd of=\(device) bs=4096 conv=sync,fsync,nocreat status=none"])
        try require(written.status == 0, "\(device) takes a write: \(written.output)")
        try run.wait("both copies are UpToDate", .seconds(20)) { () throws(LabError) -> Bool? in
            run.lab.status(of: "node1")?.isSettled == true && run.lab.status(of: "node2")?.isSettled == true
                ? true : nil
        }
        try done(["switchover"], on: "node1", run)
        let read = try run.lab.machine("node2").run(["dd", "if=\(device)", "bs=10", "count=1", "status=none"])
        try require(read.output.hasPrefix("from node1"), "node2 reads what node1 wrote: \(read.output)")
        try require(
            try run.lab.machine("node1").run(["test", "-e", device]).status != 0, "node1 has the link no more"
        )
        try run.kill(["node2"])
        try waitPrimary("raw", on: "node1", run)
    }

    private static func twoGroups(_ run: StoryRun) throws(LabError) {
        let backing = LabDirectory.diskInside
        let second = "192.168.56.101"
        try begin(
            groups: """
                  files:
                    address: \(LabNetwork.virtualAddress)/24
                    prefer: node1
                    volume: { size: 32MiB, backing: \(backing)/files.img }
                  mail:
                    address: \(second)/24
                    prefer: node2
                    volume: { size: 32MiB, backing: \(backing)/mail.img }

                """, run)
        try waitPrimary("files", on: "node1", run)
        // The first copy is the first holder; whom the settings prefer takes the group when it is asked.
        try run.wait("mail has a Primary and two copies", .seconds(20)) { () throws(LabError) -> Bool? in
            let one = try group("mail", on: "node1", run)
            let two = try group("mail", on: "node2", run)
            let isWhole = one["replication"].string == "Established" && two["disk"].string == "UpToDate"
            return isWhole && (one["role"].string == "Primary") != (two["role"].string == "Primary")
                ? true : nil
        }
        try refusedVerb(["promote"], on: "node2", saying: ["which group", "files", "mail"], run)
        try refusedVerb(["promote", "mial"], on: "node2", saying: ["mial", "files", "mail"], run)
        let holder = try isPrimary("mail", on: "node1", run) ? "node1" : "node2"
        let other = holder == "node1" ? "node2" : "node1"
        try done(["switchover", "mail"], on: holder, run)
        try require(try isPrimary("mail", on: other, run), "\(other) is Primary of mail")
        try require(try isPrimary("files", on: "node1", run), "files has stayed on node1")
        try require(try holdsAddress(other, second, run), "\(other) has the address of mail")
        try done(["down", "mail"], on: "node1", run)
        try require(try isPrimary("files", on: "node1", run), "files is not touched by mail's down")
        try done(["up", "mail"], on: "node1", run)
        try run.kill(["node1"])
        try waitPrimary("files", on: "node2", run)
        try waitPrimary("mail", on: "node2", run)
    }

    private static func forgetfulWitness(_ run: StoryRun) throws(LabError) {
        try run.begin(deviceSettings)
        run.lab.killDaemon("witness")
        let emptied = try run.lab.machine("witness").run(
            ["sh", "-c", "rm \(LabDirectory.diskInside)/state/*/files.record"])
        try require(emptied.status == 0, "the witness's record is gone: \(emptied.output)")
        try run.lab.startWitness()
        for node in ["node1", "node2"] {
            try run.wait("\(node) knows that the witness has lost its record", .seconds(10)) {
                () throws(LabError) -> Bool? in
                let status = try run.lab.verb(["status"], on: node).output
                return status.contains("the witness has lost its record") ? true : nil
            }
        }
        let saying = ["witness reseed", "nothing was moved"]
        try refusedVerb(["switchover"], on: "node1", saying: saying, run)
        try refusedVerb(["switchover"], on: "node2", saying: ["witness reseed"], run)
        try require(try isPrimary("files", on: "node1", run), "node1 is still Primary")
        let reseed = ["witness", "reseed", "files", "--settings", run.lab.directory.settings]
        let reseeded = try run.lab.machine("witness").run([run.lab.product] + reseed)
        try require(reseeded.status == 0, "the witness is reseeded: \(reseeded.output)")
        try run.wait("node1 knows that the witness has its record", .seconds(10)) {
            () throws(LabError) -> Bool? in
            let status = try run.lab.verb(["status"], on: "node1").output
            return status.contains("would take over") ? true : nil
        }
        try done(["switchover"], on: "node1", run)
        try done(["switchover"], on: "node1", run)
        try require(try isPrimary("files", on: "node1", run), "there and back again, at once")
    }

    private static func outOfDescriptors(_ run: StoryRun) throws(LabError) {
        try run.begin(deviceSettings)
        guard let worker = run.lab.daemonProcesses("node1").max() else { throw LabError("no worker") }
        func limit(_ count: String) throws(LabError) {
            let set = try ChildProcess.run(["prlimit", "--pid", "\(worker)", "--nofile=\(count)"])
            guard set.status == 0 else { throw LabError("prlimit: \(set.output)") }
        }
        try limit("16:")
        let mute = try run.lab.verb(["status"], on: "node1", limit: .milliseconds(700))
        try require(mute.timedOut || mute.status != 0, "a worker without descriptors lets nobody in")
        try limit("1024:")
        try run.wait("node1 answers again", .seconds(5)) { () throws(LabError) -> Bool? in
            run.lab.status(of: "node1") == nil ? nil : true
        }
        try require(
            try done(["events"], on: "node1", run).contains("control-socket-failed"), "events tell of it")
        try require(run.daemonLines("node1").count { $0.contains("control-socket-failed") } == 1, "once")
    }

    private static func outOfReach(_ run: StoryRun) throws(LabError) {
        try run.begin(deviceSettings)
        try run.kill(["node2"])
        try run.wait("node1 has missed node2", .seconds(20)) { () throws(LabError) -> Bool? in
            try group("files", on: "node1", run)["connection"].string == "Connecting" ? true : nil
        }
        try waitPrimary("files", on: "node1", run)
        try refusedVerb(["connect"], on: "node1", saying: ["node2", "out of reach"], run)
        try refusedVerb(["switchover"], on: "node1", saying: ["node2", "nothing was moved"], run)
        try done(["demote"], on: "node1", run)
        try refusedVerb(["switchover"], on: "node1", saying: ["neither", "tandem promote"], run)
    }
}
