import Basics

/// Exercise 3 of `Docs/Exercises`: a file system on a replicated device, exported over an address, moves to the other
/// machine; by hand, by ucarp's scripts, and by the product's own elector. What a person would type is said as it is
/// done.
enum ExerciseStories {
    static let all = [
        VirtualStory(name: "exercise 3, by hand: promote, mount, export and raise the address, on each node")
        {
            run throws(LabError) in try byHand(run)
        },
        VirtualStory(name: "exercise 3, with ucarp: its scripts promote and demote, the grant decides") {
            run throws(LabError) in try withUCARP(run)
        },
        VirtualStory(name: "exercise 3, with the product's own elector") {
            run throws(LabError) in try withOwnElector(run)
        },
    ]

    private static let address = LabNetwork.virtualAddress
    private static let mount = LabSettings.mountPath
    private static let onClient = VirtualClient.inside

    // MARK: by hand

    private static func byHand(_ run: VirtualStoryRun) throws(LabError) {
        var settings = LabSettings()
        settings.size = "64MiB"
        (settings.hasAddress, settings.mounts) = (false, false)
        settings.more = "elector: external\n"
        try prepare(settings, run)
        try type("tandem promote", on: "node1", run)
        try type("mkfs.ext4 -q \(LabSettings.device)", on: "node1", run)
        try serveByHand(on: "node1", run)
        try type("mkdir -p \(onClient)", on: "client", run)
        let source = "\(address):\(mount)"
        try type("mount -t nfs4 -o vers=4.2 \(source) \(onClient)", on: "client", limit: .seconds(60), run)
        try type("echo hello from node1 >\(onClient)/file; sync -f \(onClient)/file", on: "client", run)
        try run.cutPower(["node1"])
        try promoteOnceGranted("node2", run)
        try serveByHand(on: "node2", run)
        try clientSees("hello from node1", run)
        try type("umount \(onClient)", on: "client", limit: .seconds(60), run)
        try run.turnOn(["node1"])
        guard try run.waitSettled() == "node2" else {
            throw LabError("node1 took the service back by itself")
        }
    }

    /// What the product would do, typed. The file system identifier must be the same on both nodes.
    private static func serveByHand(on node: String, _ run: VirtualStoryRun) throws(LabError) {
        let lines = [
            "mkdir -p \(mount) && mount \(LabSettings.device) \(mount)",
            "modprobe nfsd && { mountpoint -q /proc/fs/nfsd || mount -t nfsd nfsd /proc/fs/nfsd; }",
            "exportfs -o rw,sync,no_subtree_check,no_root_squash,fsid=1 \(LabNetwork.range):\(mount)",
            "rpc.mountd -N 3 </dev/null >/dev/null 2>&1",
            "rpc.nfsd -N 3 -G 10 -L 10 8",
            "ip address add \(address)/24 dev eth1",
            "arping -q -U -c 2 -I eth1 \(address)",
        ]
        for line in lines { try type(line, on: node, limit: .seconds(60), run) }
    }

    /// The dead node's lease must be over before another one is granted.
    private static func promoteOnceGranted(_ node: String, _ run: VirtualStoryRun) throws(LabError) {
        try run.wait("\(node)# tandem promote: granted", .seconds(120)) { () throws(LabError) -> Bool? in
            try run.lab.verb(["promote"], on: node).status == 0 ? true : nil
        }
    }

    // MARK: with ucarp

    private static func withUCARP(_ run: VirtualStoryRun) throws(LabError) {
        var settings = LabSettings()
        settings.size = "64MiB"
        settings.exports = true
        settings.more = "elector: external\n"
        try prepare(settings, run)
        for node in ["node1", "node2"] { try startUCARP(on: node, run) }
        try run.waitForPrimary("node1", .seconds(120))
        try requireElector("node1", "MASTER", run)
        try mountAndWrite("hello from node1", run)
        try run.cutPower(["node1"])
        let killed = LabClock.now()
        try run.waitForPrimary("node2", .seconds(120))
        run.note("ucarp: node2 is Primary \(LabClock.now().since(killed).text) after the power cut")
        try requireElector("node2", "MASTER", run)
        try clientSees("hello from node1", run)
        try run.turnOn(["node1"])
        try startUCARP(on: "node1", run)
        guard try run.waitSettled() == "node2" else { throw LabError("node1 took the service back") }
        try requireElector("node1", "BACKUP", run)
        try VirtualClient(run.lab).unmount()
    }

    /// The scripts of `Docs/Exercises/3`. ucarp waits for its script and says nothing meanwhile, so each goes to the
    /// background; promotion is tried again because the dead node's lease has to end first.
    private static let up = """
        #!/bin/sh
        # ucarp: this machine is to have the address; tandem asks whether it may, mounts, exports and raises it.
        echo up >/run/vip-wanted
        (while grep -q up /run/vip-wanted && ! tandem promote; do sleep 1; done) >>/run/vip.log 2>&1 &

        """
    private static let down = """
        #!/bin/sh
        # ucarp: the other machine is to have it.
        echo down >/run/vip-wanted
        tandem demote >>/run/vip.log 2>&1 &

        """

    private static func startUCARP(on node: String, _ run: VirtualStoryRun) throws(LabError) {
        let machine = run.lab.machine(node)
        try machine.write(up, to: "/etc/tandem/vip-up", mode: "755")
        try machine.write(down, to: "/etc/tandem/vip-down", mode: "755")
        // The lower skew wins; without -P nobody takes it from one who has it.
        let skew = node == "node1" ? 0 : 100
        let words =
            "ucarp -i eth1 -s \(LabNetwork.address(of: node)) -v 56 -p lab -a \(address) -k \(skew)"
            + " -u /etc/tandem/vip-up -d /etc/tandem/vip-down"
        try type("setsid \(words) </dev/null >/run/ucarp.log 2>&1 &", on: node, run)
    }

    private static func requireElector(_ node: String, _ state: String, _ run: VirtualStoryRun)
        throws(LabError)
    {
        try run.wait("ucarp on \(node) says \(state)", .seconds(60)) { () throws(LabError) -> Bool? in
            let last = try run.lab.machine(node).run(
                "grep -a 'Switching to state' /run/ucarp.log | tail -n 1")
            return last.output.contains(state) ? true : nil
        }
    }

    // MARK: with the product's own elector

    private static func withOwnElector(_ run: VirtualStoryRun) throws(LabError) {
        try run.begin(mounts: true, exports: true)
        try mountAndWrite("hello from node1", run)
        try run.cutPower(["node1"])
        let killed = LabClock.now()
        try run.waitForPrimary("node2", .seconds(120))
        run.note("own elector: node2 is Primary \(LabClock.now().since(killed).text) after the power cut")
        try clientSees("hello from node1", run)
        try run.turnOn(["node1"])
        guard try run.waitSettled() == "node2" else { throw LabError("node1 took the service back") }
        try VirtualClient(run.lab).unmount()
    }

    // MARK: parts

    /// A lab whose copies are UpToDate and where nobody is Primary.
    private static func prepare(_ settings: LabSettings, _ run: VirtualStoryRun) throws(LabError) {
        _ = try run.lab.wipe()
        try run.lab.raise { run.say($0) }
        try run.lab.install(settings)
        try run.wait("both copies are UpToDate, nobody is Primary", .seconds(120)) {
            () throws(LabError) -> Bool? in
            guard let one = run.lab.status(of: "node1"), let two = run.lab.status(of: "node2") else {
                return nil
            }
            return one.isSettled && two.isSettled && !one.isPrimary && !two.isPrimary ? true : nil
        }
    }

    private static func mountAndWrite(_ text: String, _ run: VirtualStoryRun) throws(LabError) {
        try VirtualClient(run.lab).mount()
        run.say("client# mount -t nfs4 \(VirtualClient.source) \(onClient)")
        try type("echo \(text) >\(onClient)/file; sync -f \(onClient)/file", on: "client", run)
    }

    /// The mount from before is used on; the grace period may make the first open wait.
    private static func clientSees(_ text: String, _ run: VirtualStoryRun) throws(LabError) {
        let seen = try type("cat \(onClient)/file", on: "client", limit: .seconds(150), run)
        guard seen == text + "\n" else { throw LabError("the client sees '\(seen)'") }
        run.note("the client sees: \(text)")
    }

    /// Says a command as a person would type it, and runs it.
    @discardableResult
    private static func type(
        _ shell: String, on machine: String, limit: Interval = .seconds(30), _ run: VirtualStoryRun
    ) throws(LabError) -> String {
        run.say("\(machine)# \(shell)")
        return try run.lab.machine(machine).require(shell, limit: limit)
    }
}
