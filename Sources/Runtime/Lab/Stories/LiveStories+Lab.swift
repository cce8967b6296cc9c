import Basics

extension LiveStories {
    /// The lab itself, with nothing of the product in it: what the other stories rest on.
    static func labItself() -> [LiveStory] {
        [
            LiveStory("a cut drops one direction or both, and a healed one none", needsProduct: false) {
                run throws(LabError) in try cutsHold(run)
            },
            LiveStory("a killed machine leaves nothing but its disk", needsProduct: false) {
                run throws(LabError) in try deathIsWhole(run)
            },
        ]
    }

    private static func giveAddress(to node: String, _ run: StoryRun) throws(LabError) {
        let address = LabNetwork.virtualAddress + "/24"
        let given = try run.lab.machine(node).run(["ip", "address", "add", address, "dev", "eth0"])
        guard given.status == 0 else { throw LabError(given.output) }
    }

    private static func answers(within limit: Interval, _ run: StoryRun) -> Bool {
        let begin = LabClock.now()
        let answer: Bool? = LabClock.wait(limit) {
            run.pings.entries.contains { $0.time > begin && $0.word != "?" } ? true : nil
        }
        return answer != nil
    }

    private static func cutsHold(_ run: StoryRun) throws(LabError) {
        _ = try run.lab.wipe()
        try run.lab.raise()
        try giveAddress(to: "node1", run)
        try run.startObservers()
        guard answers(within: .seconds(5), run) else { throw LabError("the client never got an answer") }
        for (name, other) in [("node1", "client"), ("client", "node1")] {
            try run.lab.cut(name, from: [other], oneWay: true)
            // What was under way when the cut came is no answer through it.
            LabClock.nap(.milliseconds(50))
            guard !answers(within: .milliseconds(300), run) else {
                throw LabError("an answer came through the cut \(name) -> \(other)")
            }
            try run.lab.heal()
            guard answers(within: .seconds(5), run) else { throw LabError("no answer after the heal") }
        }
        try run.lab.cut("node2", from: ["client", "witness"])
        guard answers(within: .seconds(5), run) else { throw LabError("a cut of node2 hits node1") }
        try run.lab.heal()
        let begin = LabClock.now()
        try giveAddress(to: "node2", run)
        try run.wait("two machines are seen to answer", .seconds(5)) { () throws(LabError) -> Bool? in
            run.claims.doubleAnswers(from: begin) > .milliseconds(50) ? true : nil
        }
    }

    private static func deathIsWhole(_ run: StoryRun) throws(LabError) {
        _ = try run.lab.wipe()
        try run.lab.raise()
        try giveAddress(to: "node1", run)
        let node = run.lab.machine("node1")
        let disk = LabDirectory.diskInside
        let script = "mkdir /run/mark /srv/mark && mount -t tmpfs x /srv/mark && echo kept > \(disk)/kept"
        guard try node.run(["sh", "-c", script]).status == 0 else { throw LabError("cannot write on node1") }
        let sleeper = try node.launch(["sleep", "1000"], log: run.lab.directory.path + "/sleeper")
        let process = try run.wait("a program runs on node1", .seconds(5)) { () throws(LabError) in
            sleeper.process
        }
        let mark = ProcessMark(process)
        try run.kill(["node1"])
        if mark?.lives == true { throw LabError("a program survived its machine") }
        _ = sleeper.wait(.seconds(5))
        try run.start("node1", writing: false)
        let left = try node.run(["sh", "-c", "ls /run /srv; cat \(disk)/kept; ip -o address show"])
        guard left.output.contains("kept"), !left.output.contains("mark"),
            !left.output.contains(LabNetwork.virtualAddress)
        else { throw LabError("after its death node1 has: \(left.output)") }
    }
}
