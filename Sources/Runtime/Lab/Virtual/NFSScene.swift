import Basics
import Glibc

/// A client over kernel NFS and the address that moves: how stories in virtual machines mount, write, break and judge.
struct NFSScene {
    let run: VirtualStoryRun
    /// What the client mounts with: `4.2`, `4.0` or `3`.
    let version: String

    static let inside = "/mnt/files"
    static let file = LabSettings.mountPath + "/lines"
    /// What would be a hang: the wait is a figure, and an emulated machine on a busy host takes what it takes.
    private static let limit: UInt64 = 60_000

    init(_ run: VirtualStoryRun, version: String = "4.2") {
        self.run = run
        self.version = version
    }

    private var client: VirtualMachine { run.lab.machine("client") }

    /// Everything anew, exported for the version; node1 serves.
    func begin(size: String = "64MiB", option: String = "") throws(LabError) {
        var settings = LabSettings()
        settings.size = size
        settings.exports = true
        settings.exportOption = option
        if version != "4.2" { settings.exportVersions = [version, "4.2"] }
        try run.begin(settings, within: .seconds(400))
    }

    // MARK: the client

    func mount(from address: String = LabNetwork.virtualAddress, more: String = "") throws(LabError) {
        let source = "\(address):\(LabSettings.mountPath)"
        // A client of version 3 is told of a new server by its own statd.
        let ready =
            version == "3"
            ? "(pidof rpcbind || rpcbind -w) >/dev/null && (pidof rpc.statd || rpc.statd) >/dev/null && " : ""
        try client.require(
            "mkdir -p \(Self.inside) && \(ready)mount -t nfs -o vers=\(version),proto=tcp,hard\(more) \(source)"
                + " \(Self.inside)", limit: .seconds(60))
        run.say("the client has mounted \(source) with NFS \(version)")
    }

    func unmount() throws(LabError) { try client.require("umount \(Self.inside)", limit: .seconds(60)) }

    /// Starts a program of the lab's on the client, its log on a port.
    func launch(_ words: String, port: Int) throws(LabError) {
        try client.require(
            "setsid /opt/tandem/tandem-lab \(words) --log /dev/lab-port\(port) </dev/null >/run/lab.port\(port) 2>&1 &"
        )
    }

    /// What was logged on a port.
    func logged(_ port: Int) -> String { TextFile.read(run.lab.place.port(port, of: "client")) ?? "" }

    /// Starts the writer of lines.
    func startLines() throws(LabError) { try launch("append \(Self.inside)/lines --pause 50", port: 2) }

    /// Ends the lab's programs on the client, and waits for them.
    func stop() throws(LabError) {
        try client.require(
            "pkill -TERM -x tandem-lab; for i in $(seq 300); do pgrep -x tandem-lab >/dev/null || exit 0; sleep 0.1;"
                + " done; exit 1", limit: .seconds(60))
    }

    var answers: [LineAnswer] { LineAnswer.parse(logged(2)) }

    func waitForLines(_ count: Int, _ limit: Interval = .seconds(120)) throws(LabError) {
        let before = answers.count
        try run.wait("the client has written \(count) lines more", limit) {
            () throws(LabError) -> Bool? in answers.count >= before + count ? true : nil
        }
    }

    // MARK: what happens to the server

    /// What a failover took, seen from this host: each in milliseconds.
    struct Shares {
        var what: String
        /// From the strike to the first step of the promotion.
        var detection: UInt64
        /// All its steps.
        var promotion: UInt64
    }

    /// Strikes the server, and waits until the other node has promoted itself.
    func strike(_ what: String, _ other: String, _ body: () throws(LabError) -> Void) throws(LabError)
        -> Shares
    {
        let place = run.logEnd(of: other)
        let begin = LabClock.now()
        try body()
        let noticed = try run.waitForLog(of: other, "promote-begins", from: place)
        let promoted = try run.waitForLog(of: other, "promote-ends", from: place)
        return Shares(
            what: what, detection: noticed.since(begin).wholeMilliseconds,
            promotion: promoted.since(noticed).wholeMilliseconds)
    }

    func cutPower(_ node: String, other: String) throws(LabError) -> Shares {
        let machine = run.lab.machine(node)
        let shares = try strike("\(node)'s power was cut", other) { () throws(LabError) in
            machine.life?.signal(SIGKILL)
        }
        let lost = try machine.settleAfterPowerCut()
        run.say("\(node)'s power was cut; its disk lost \(lost) sectors that it had not flushed")
        return shares
    }

    func cutOff(_ node: String, other: String) throws(LabError) -> Shares {
        try strike("\(node) was cut off", other) { () throws(LabError) in
            try run.lab.cut(node, from: VirtualLab.machineNames, oneWay: false)
        }
    }

    /// Prints the longest wait since an answer with each part's share, and judges it: no error, and not longer than the
    /// limit. Gives the wait.
    @discardableResult
    func stall(_ shares: Shares, since index: Int, steps: [(node: String, phase: String)]) throws(LabError)
        -> UInt64
    {
        // The write that was under way is answered after `index`.
        let since = answers.dropFirst(index)
        let longest = since.map(\.milliseconds).max() ?? 0
        let known = shares.detection + shares.promotion
        let rest = longest > known ? longest - known : 0
        run.note(
            "\(shares.what): the client's longest wait was \(longest) ms: \(shares.detection) ms until the promotion"
                + " began, \(shares.promotion) ms for its steps, \(rest) ms until the client was answered")
        for (node, phase) in steps { noteSteps(of: node, phase) }
        if let failed = since.first(where: { $0.code != 0 }) {
            throw LabError("\(shares.what): line \(failed.number) failed with error \(failed.code)")
        }
        guard longest <= Self.limit else { throw LabError("\(shares.what): the client waited \(longest) ms") }
        return longest
    }

    /// Each step's share of the last plan of a kind, in one line, as the node's journal has it.
    func noteSteps(of node: String, _ phase: String) {
        let lines = run.log(of: node).split(separator: "\n")
        let begin = lines.lastIndex { $0.contains("\(phase)-begins") } ?? lines.startIndex
        let shares = lines[begin...].compactMap { line -> String? in
            guard line.contains("\(phase)-step"), let text = line.split(separator: "=").last else {
                return nil
            }
            return text.filter { $0 != "\"" }.replacing("done in ", with: "")
        }
        run.note("  \(node) \(phase): \(shares.joined(separator: ", "))")
        let end = lines[begin...].firstIndex { $0.contains("\(phase)-ends") } ?? lines.endIndex
        for line in lines[begin..<end] where line.contains("slow-step") { run.note("  \(node) \(line)") }
    }

    /// Moves the service in order; the time until the promotion began is the old node's demotion.
    func switchover(from old: String, to new: String) throws(LabError) -> Shares {
        let places = (run.logEnd(of: old), run.logEnd(of: new))
        let words = "tandem switchover --settings \(VirtualLab.settingsInside) --node \(old)"
        try run.lab.machine(old).require(
            "rm -f /run/lab.moved; (\(words) >/run/lab.said 2>&1; echo $? >/run/lab.moved) </dev/null >/dev/null 2>&1 &"
        )
        let begun = try run.waitForLog(of: old, "demote-begins", from: places.0)
        let noticed = try run.waitForLog(of: new, "promote-begins", from: places.1)
        let promoted = try run.waitForLog(of: new, "promote-ends", from: places.1)
        let said = try run.lab.machine(old).require(
            "for i in $(seq 300); do [ -s /run/lab.moved ] && break; sleep 0.1; done; cat /run/lab.moved /run/lab.said",
            limit: .seconds(60))
        guard said.hasPrefix("0\n") else { throw LabError("switchover on \(old): \(said)") }
        try run.waitForPrimary(new, .seconds(30))
        return Shares(
            what: "a switchover to \(new)", detection: noticed.since(begun).wholeMilliseconds,
            promotion: promoted.since(noticed).wholeMilliseconds)
    }

    // MARK: judging

    /// A lock of the client's must be held on the server: who else asks for it there is refused.
    func probeLock(on node: String) throws(LabError) {
        let program =
            "import fcntl,sys\\nf=open(sys.argv[1],\"r+\")\\ntry: fcntl.lockf(f,fcntl.LOCK_EX|fcntl.LOCK_NB)\\n"
            + "except OSError: sys.exit(0)\\nsys.exit(7)"
        let probe = "printf '\(program)' >/run/lab.probe && python3 /run/lab.probe \(Self.file)"
        let outcome = try run.lab.machine(node).run(probe)
        guard outcome.status == 0 else {
            throw LabError("the client's lock is not held on \(node) (\(outcome.status)): \(outcome.output)")
        }
        run.note("the client's lock is held on \(node)")
    }

    /// The only client has come back, so the grace period ends before its time: then new opens and locks are answered.
    func graceEnds(on node: String) throws(LabError) {
        try run.wait("the grace periods of \(node) have ended", .seconds(20)) {
            () throws(LabError) -> Bool? in
            try run.lab.machine(node).require(
                "cat /proc/fs/nfsd/v4_end_grace; cat /proc/fs/lockd/nlm_end_grace 2>/dev/null; true"
            ).contains("N") ? nil : true
        }
        let lines = run.log(of: node).split(separator: "\n")
        let told = LabClock.wait(.seconds(3)) { () -> Substring? in
            run.log(of: node).split(separator: "\n").last { $0.contains("grace-ended") }
        }
        run.note("  \(node) \(told ?? lines.last ?? "")")
        try client.require("echo new >\(Self.inside)/new", limit: .seconds(10))
        guard version != "4.2" || told != nil else {
            throw LabError("\(node) does not say why its grace ended")
        }
    }

    /// The client's name must be in the records of the server's current period: by them alone does the next server know
    /// it.
    func probeRecords(on node: String) throws(LabError) {
        let shell =
            "f=\(LabSettings.mountPath)/.tandem/nfsdcld/main.sqlite; dmesg | grep 'NFSD: ' | tail -n 2;"
            + " t=$(sqlite3 $f \"SELECT printf('rec-%016x', current) FROM grace\"); echo $t;"
            + " sqlite3 $f \"SELECT CAST(id AS TEXT) FROM \\\"$t\\\"\""
        let told = try run.lab.machine(node).require(shell)
        run.note("  \(node): \(told.split(separator: "\n").joined(separator: "; "))")
        guard told.contains("Linux NFS") else {
            throw LabError("the client is not in the records of \(node)")
        }
    }

    func checkFile(on node: String, withHoles: Bool = false) throws(LabError) {
        let had = answers
        let text = try run.lab.machine(node).require(
            withHoles ? "tr -d '\\0' <\(Self.file)" : "cat \(Self.file)")
        // Lines that were written while the file was read are not in this list.
        let lines = Array(text.split(separator: "\n", omittingEmptySubsequences: false).dropLast())
        let kept = lines.prefix(had.count + 1).map { "\($0)\n" }.joined()
        if let fault = LineAnswer.fault(in: kept, after: had) { throw LabError("on \(node): \(fault)") }
        run.note("\(had.count) acknowledged lines are in the file on \(node), in order")
    }
}
