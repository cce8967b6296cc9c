import Basics
import Glibc

extension LiveStories {
    /// A deposed holder whose old mount somebody keeps.
    static func pinned() -> [LiveStory] {
        [
            LiveStory("a deposed node is Stuck while a shell sits in its mount, and recovers when it leaves")
            {
                run throws(LabError) in try shellInMount(run)
            }
        ]
    }

    private static func shellInMount(_ run: StoryRun) throws(LabError) {
        var settings = LabSettings()
        settings.size = "64MiB"
        settings.freezeSeconds = 5
        try run.begin(settings)
        let path = LabSettings.mountPath
        let node1 = run.lab.machine("node1")
        let shell = try node1.launch(
            ["sh", "-c", "cd \(path) && exec sleep 600"], log: run.lab.directory.path + "/shell.log")
        try run.wait("the shell sits in the mount", .seconds(5)) { () throws(LabError) -> Bool? in
            try inside(node1) == nil ? nil : true
        }
        let number = try inside(node1) ?? 0
        let known = run.daemonLines("node1").count
        try run.lab.cut("node1", from: LabTopology.machineNames)
        run.say("node1 is cut from all")
        try run.wait("node2 is Primary", .seconds(20)) { () throws(LabError) -> Bool? in
            run.lab.status(of: "node2")?.isPrimary == true ? true : nil
        }
        let pin = "stuck: unmount data: busy: \(number) sleep"
        try run.wait("node1 is Stuck and names process \(number)", .seconds(20)) {
            () throws(LabError) -> Bool? in
            run.lab.status(of: "node1")?.text.contains(pin) == true ? true : nil
        }
        run.note("node1: \(run.lab.status(of: "node1")?.text ?? "")")
        try require(
            run.daemonLines("node1").dropFirst(known).contains {
                $0.contains(" stuck ") && $0.contains("\(number) sleep")
            }, "node1's journal names process \(number)")
        try run.lab.heal()
        run.say("healed")
        try run.wait("node1 has caught up, and is still Stuck", .seconds(30)) {
            () throws(LabError) -> Bool? in
            guard let status = run.lab.status(of: "node1") else { return nil }
            return status.isSettled && status.text.contains(pin) ? true : nil
        }
        try refusedVerb(["promote"], on: "node1", saying: ["stuck", "\(number) sleep"], run)
        let moved = try run.lab.verb(["switchover"], on: "node2")
        try require(moved.status != 0, "node2 refuses to hand over to a node that is stuck")
        run.say("switchover on node2: \(moved.output.split(separator: "\n").last ?? "")")
        try require(try isPrimary("files", on: "node2", run), "node2 serves on")
        shell.signal(SIGKILL)
        run.say("the shell has left")
        try run.wait("node1 has recovered by itself", .seconds(10)) { () throws(LabError) -> Bool? in
            run.lab.status(of: "node1")?.text.contains("stuck") == false ? true : nil
        }
        _ = shell.wait(.seconds(5))
        try run.waitSettled()
        try run.wait("node2 has heard it", .seconds(5)) { () throws(LabError) -> Bool? in
            run.lab.status(of: "node2")?.isPeerBlocked == false ? true : nil
        }
        try done(["switchover"], on: "node2", run)
        try run.wait("node1 is Primary", .seconds(20)) { () throws(LabError) -> Bool? in
            run.lab.status(of: "node1")?.isPrimary == true ? true : nil
        }
        try run.waitSettled()
        try run.compareCopies()
    }

    /// The sleeping process's number as its own machine has it.
    private static func inside(_ machine: LabMachine) throws(LabError) -> Int? {
        let found = try machine.run(["pgrep", "-x", "sleep"]).output
        return found.split(separator: "\n").compactMap { Int($0) }.first
    }
}
