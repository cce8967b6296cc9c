import Basics
import Glibc

/// What a client sees over kernel NFS and the address that moves.
enum NFSStories {
    private static let inside = "/mnt/files"
    private static let file = LabSettings.mountPath + "/lines"
    /// The longest that a client may be kept waiting: lease and detection, and what emulation takes for the rest.
    private static let limit: UInt64 = 15_000

    static let all = [
        VirtualStory(name: "an NFS client writes on: node1's power is cut, then a switchover brings it back")
        {
            run throws(LabError) in try killAndSwitchover(run)
        },
        VirtualStory(
            name: "an NFS server's daemon is killed with its keeper: what it left goes at the next start"
        ) {
            run throws(LabError) in try daemonKilled(run)
        },
    ]

    /// The kernel of node1 goes on: threads of nfsd, export, mount, loop device and address stay behind.
    private static func daemonKilled(_ run: VirtualStoryRun) throws(LabError) {
        try run.begin(mounts: true, exports: true)
        try mount(run)
        try start(run)
        try waitForLines(40, run)
        let before = answers(run).count
        try run.lab.killDaemon("node1")
        run.say("keeper and worker of node1 were killed; its kernel goes on")
        try run.waitForPrimary("node2", .seconds(60))
        try waitForLines(60, run)
        // Until its lease ends the kernel of node1 may answer, and its device gives nothing but errors.
        let failed = answers(run).dropFirst(before).filter { $0.code != 0 }
        let longest = answers(run).dropFirst(before).map(\.milliseconds).max() ?? 0
        run.note("daemon killed: longest wait \(longest) ms, \(failed.count) writes answered with an error")
        let left = try run.lab.machine("node1").require("cat /proc/fs/nfsd/threads")
        run.note("node1's kernel still ran \(left.prefix { $0 != "\n" }) threads of nfsd")
        try run.lab.start("node1")
        _ = try run.waitSettled()
        let now = try run.lab.machine("node1").require(
            "cat /proc/fs/nfsd/threads; pidof nfsdcld; grep -c /srv/files /proc/mounts; true")
        guard now == "0\n0\n" else { throw LabError("node1 has left of its old server: \(now)") }
        try switchover(from: "node2", to: "node1", run)
        try stop(run)
        // A client that was answered an error has counted those bytes as written: it leaves a hole for them.
        try checkFile(on: "node1", withHoles: !failed.isEmpty, run)
        try run.lab.machine("client").require("umount \(inside)", limit: .seconds(30))
    }

    private static func killAndSwitchover(_ run: VirtualStoryRun) throws(LabError) {
        try run.begin(mounts: true, exports: true)
        try mount(run)
        try start(run)
        try waitForLines(60, run)
        let before = answers(run).count
        try run.cutPower(["node1"])
        try waitForLines(60, run)
        try stall("node1's power was cut", since: before, run)
        steps(of: "node2", "promote", run)
        try probeLock(on: "node2", run)
        try graceEnds(on: "node2", run)
        try checkFile(on: "node2", run)
        try run.turnOn(["node1"])
        _ = try run.waitSettled()
        try waitForLines(20, run)
        try switchover(from: "node2", to: "node1", run)
        try probeLock(on: "node1", run)
        try switchover(from: "node1", to: "node2", run)
        try stop(run)
        try checkFile(on: "node2", run)
        try run.lab.machine("client").require("umount \(inside)", limit: .seconds(30))
        try run.compareCopies(primary: "node2")
    }

    private static func switchover(from old: String, to new: String, _ run: VirtualStoryRun) throws(LabError)
    {
        let before = answers(run).count
        let moved = try run.lab.verb(["switchover"], on: old)
        guard moved.status == 0 else { throw LabError("switchover on \(old): \(moved.output)") }
        try run.waitForPrimary(new, .seconds(30))
        try waitForLines(60, run)
        try stall("a switchover to \(new)", since: before, run)
        steps(of: old, "demote", run)
        steps(of: new, "promote", run)
    }

    private static func mount(_ run: VirtualStoryRun) throws(LabError) {
        let source = "\(LabNetwork.virtualAddress):\(LabSettings.mountPath)"
        try run.lab.machine("client").require(
            "mkdir -p \(inside) && mount -t nfs4 -o vers=4.2,hard \(source) \(inside)", limit: .seconds(60))
        run.say("the client has mounted \(source)")
    }

    private static func start(_ run: VirtualStoryRun) throws(LabError) {
        try run.lab.machine("client").require(
            "setsid /opt/tandem/tandem-lab append \(inside)/lines --log /dev/lab-port2 --pause 50 </dev/null"
                + " >/run/lab.lines 2>&1 &")
    }

    private static func stop(_ run: VirtualStoryRun) throws(LabError) {
        try run.lab.machine("client").require(
            "pkill -TERM -x tandem-lab; for i in $(seq 300); do pgrep -x tandem-lab >/dev/null || exit 0; sleep 0.1;"
                + " done; exit 1", limit: .seconds(60))
    }

    private static func answers(_ run: VirtualStoryRun) -> [LineAnswer] {
        LineAnswer.parse(TextFile.read(run.lab.place.port(2, of: "client")) ?? "")
    }

    private static func waitForLines(_ count: Int, _ run: VirtualStoryRun) throws(LabError) {
        let before = answers(run).count
        try run.wait("the client has written \(count) lines more", .seconds(120)) {
            () throws(LabError) -> Bool? in answers(run).count >= before + count ? true : nil
        }
    }

    /// Prints the longest wait of the client, and judges it: no error, and not longer than the limit.
    private static func stall(_ what: String, since index: Int, _ run: VirtualStoryRun) throws(LabError) {
        // The write that was under way is answered after `index`.
        let since = answers(run).dropFirst(index)
        let longest = since.map(\.milliseconds).max() ?? 0
        run.note("\(what): the client's longest wait was \(longest) ms")
        if let failed = since.first(where: { $0.code != 0 }) {
            throw LabError("\(what): line \(failed.number) failed with error \(failed.code)")
        }
        guard longest <= limit else { throw LabError("\(what): the client waited \(longest) ms") }
    }

    /// Each step's share of the last plan of a kind, as the node's journal has it.
    private static func steps(of node: String, _ phase: String, _ run: VirtualStoryRun) {
        let log = TextFile.read(run.lab.place.port(1, of: node)) ?? ""
        let lines = log.split(separator: "\n")
        let begin = lines.lastIndex { $0.contains("\(phase)-begins") } ?? lines.startIndex
        let shares = lines[begin...].filter { $0.contains("\(phase)-step") || $0.contains("\(phase)-ends") }
        for line in shares { run.note("  \(node) \(line)") }
    }

    /// A lock of the client's must be held on the server: who else asks for it there is refused.
    private static func probeLock(on node: String, _ run: VirtualStoryRun) throws(LabError) {
        let program =
            "import fcntl,sys\\nf=open(sys.argv[1],\"r+\")\\ntry: fcntl.lockf(f,fcntl.LOCK_EX|fcntl.LOCK_NB)\\n"
            + "except OSError: sys.exit(0)\\nsys.exit(7)"
        let probe = "printf '\(program)' >/run/lab.probe && python3 /run/lab.probe \(file)"
        let outcome = try run.lab.machine(node).run(probe)
        guard outcome.status == 0 else {
            throw LabError("the client's lock is not held on \(node) (\(outcome.status)): \(outcome.output)")
        }
        run.note("the client's lock is held on \(node)")
    }

    /// The only client has come back, so the grace period ends long before its 90 s: then new opens are answered.
    private static func graceEnds(on node: String, _ run: VirtualStoryRun) throws(LabError) {
        try run.wait("the grace period of \(node) has ended", .seconds(20)) { () throws(LabError) -> Bool? in
            try run.lab.machine(node).require("cat /proc/fs/nfsd/v4_end_grace").hasPrefix("Y") ? true : nil
        }
        try run.lab.machine("client").require("echo new >\(inside)/new", limit: .seconds(10))
        let told = try run.lab.machine(node).require("dmesg | grep -i -E 'client tracking|grace' | tail -n 3")
        for line in told.split(separator: "\n") { run.say("  \(node) \(line)") }
    }

    private static func checkFile(on node: String, withHoles: Bool = false, _ run: VirtualStoryRun)
        throws(LabError)
    {
        let had = answers(run)
        let text = try run.lab.machine(node).require(withHoles ? "tr -d '\\0' <\(file)" : "cat \(file)")
        // Lines that were written while the file was read are not in this list.
        let lines = Array(text.split(separator: "\n", omittingEmptySubsequences: false).dropLast())
        let kept = lines.prefix(had.count + 1).map { "\($0)\n" }.joined()
        if let fault = LineAnswer.fault(in: kept, after: had) { throw LabError("on \(node): \(fault)") }
        run.note("\(had.count) acknowledged lines are in the file on \(node), in order")
    }
}
