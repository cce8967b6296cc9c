public import Basics
import CLinux
import Glibc

/// One story while it is told: the lab, the writers and observers in it, and what it said so far.
public final class StoryRun {
    public let lab: LabTopology
    /// How long cuts are held, and everything else is at its longer form.
    public let full: Bool
    private let begin = LabClock.now()
    private var writers: [Writer] = []
    private var observers: [LabProgram] = []
    private var nextWriter: UInt16 = 1
    /// Prints each line at once when set; they are kept for the failure otherwise.
    public var isTalking = false
    /// What happened, with times.
    public private(set) var lines: [String] = []
    /// Blocks of the volume that writers use.
    public let blocks: UInt64 = 16384
    /// Writers on each node; each has its share of the blocks.
    public let shares = 3

    private struct Writer {
        let node: String
        let number: UInt16
        let log: String
        var program: LabProgram?
    }

    public init(lab: LabTopology, full: Bool) {
        self.lab = lab
        self.full = full
    }

    /// Notes a line with the time since the story began.
    public func say(_ text: String) {
        let time = LabClock.now().since(begin).wholeMilliseconds
        let seconds = String(time / 1000)
        let fraction = String(time % 1000 + 1000).dropFirst()
        let line =
            String(repeating: " ", count: max(0, 4 - seconds.count)) + "\(seconds).\(fraction) s  \(text)"
        lines.append(line)
        if isTalking { print(line) }
    }

    /// How long two machines claimed the address, once a story has measured it.
    public var claimTime: Interval?
    /// Figures that are printed also when the story passes.
    public private(set) var figures: [String] = []

    /// Notes a figure.
    public func note(_ text: String) {
        figures.append(text)
        say(text)
    }

    /// Waits for what `what` names, and says how long it took.
    @discardableResult
    public func wait<Result>(
        _ what: String, _ limit: Interval, _ condition: () throws(LabError) -> Result?
    ) throws(LabError) -> Result {
        let start = LabClock.now()
        guard let result = try LabClock.wait(limit, for: condition) else {
            for node in ["node1", "node2"] { say("\(node): \(lab.status(of: node)?.text ?? "no status")") }
            throw LabError("not within \(limit.text): \(what)")
        }
        say("\(what) (after \(LabClock.now().since(start).text))")
        return result
    }

    /// `freeze-timeout` of the stories that cut and stop: its default at full times.
    public var freezeSeconds: Int { full ? 60 : 5 }

    /// Starts everything anew and waits until node1 is Primary and both copies are UpToDate.
    public func begin(_ settings: LabSettings) throws(LabError) {
        _ = try lab.wipe()
        try lab.raise()
        try lab.install(settings)
        say("machines, witness and nodes are up")
        try wait("node1 is Primary and both copies are UpToDate", .seconds(60)) {
            () throws(LabError) -> Bool? in
            guard let one = lab.status(of: "node1"), let two = lab.status(of: "node2") else { return nil }
            return one.isPrimary && one.isSettled && two.isSettled ? true : nil
        }
    }

    /// Starts writers of stamps on a node, which try all the time, whether the device is there or not.
    public func startWriters(on nodes: [String], path: String = LabSettings.device) throws(LabError) {
        for node in nodes {
            for share in 0..<shares {
                let log = "\(lab.directory.path)/writer.\(nextWriter)"
                let words = [
                    lab.program, "write", path, "--log", log, "--writer", "\(nextWriter)", "--blocks",
                    "\(blocks)",
                    "--shares", "\(shares)", "--share", "\(share)", "--pause", "1000",
                ]
                let program = try lab.machine(node).launch(words, log: log + ".errors")
                writers.append(Writer(node: node, number: nextWriter, log: log, program: program))
                nextWriter += 1
            }
        }
    }

    /// Makes a file for writers on a node's mounted volume.
    public func makeFile(_ path: String, on node: String) throws(LabError) {
        let size = blocks * UInt64(StampedBlock.size)
        let made = try lab.machine(node).run(["fallocate", "--length", "\(size)", path])
        guard made.status == 0 else { throw LabError("make \(path): \(made.output)") }
    }

    /// What a machine's daemon has printed so far.
    public func daemonLines(_ name: String) -> [String] {
        (TextFile.read(lab.directory.daemonLog(name)) ?? "").split(separator: "\n").map { String($0) }
    }

    /// How many writes of all writers were acknowledged so far.
    public var acknowledged: Int {
        writers.reduce(0) { sum, writer in sum + records(of: writer).filter { $0.kind == .written }.count }
    }

    /// How many writes of a node's writers were acknowledged so far.
    public func acknowledged(on node: String) -> Int {
        writers.filter { $0.node == node }.reduce(0) { sum, writer in
            sum + records(of: writer).filter { $0.kind == .written }.count
        }
    }

    private func records(of writer: Writer) -> [StampRecord] {
        StampRecord.decode(TextFile.bytes(writer.log) ?? [])
    }

    /// Waits until a node's writers have had `count` more writes acknowledged.
    public func waitForWrites(_ count: Int = 300, on node: String, _ limit: Interval = .seconds(20))
        throws(LabError)
    {
        let before = acknowledged(on: node)
        try wait("\(count) writes more on \(node)", limit) { () throws(LabError) in
            acknowledged(on: node) >= before + count ? true : nil
        }
    }

    /// Cuts a machine's power; its writers end with it.
    public func kill(_ nodes: [String]) throws(LabError) {
        for node in nodes { lab.machine(node).first?.signal(SIGKILL) }
        for node in nodes { try lab.kill(node) }
        say("killed \(nodes.joined(separator: " and "))")
        for index in writers.indices
        where nodes.contains(writers[index].node) && writers[index].program != nil {
            writers[index].program = nil
            try append(.ended, to: writers[index])
        }
    }

    /// Starts a killed machine, its daemon and its writers.
    public func start(_ node: String, writing: Bool = true) throws(LabError) {
        try lab.start(node)
        say("started \(node)")
        if writing { try startWriters(on: [node]) }
    }

    private func append(_ kind: StampRecord.Kind, to writer: Writer) throws(LabError) {
        let file = clinux_open(writer.log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw LabError("open \(writer.log)", code: errno) }
        let bytes = StampRecord(kind, writer: writer.number, time: clinux_boottime()).bytes
        _ = write(file, bytes, bytes.count)
        close(file)
    }

    /// Ends all writers and waits for them.
    public func stopWriters(_ limit: Interval = .seconds(30)) throws(LabError) {
        for writer in writers { writer.program?.signal(SIGTERM) }
        for index in writers.indices {
            guard let program = writers[index].program else { continue }
            guard program.wait(limit) != nil else {
                throw LabError("a writer on \(writers[index].node) hangs: its write is never answered")
            }
            writers[index].program = nil
        }
        say("writers have ended")
    }

    /// Waits until both nodes are settled and exactly one is Primary.
    @discardableResult
    public func waitSettled(_ limit: Interval = .seconds(60)) throws(LabError) -> String {
        try wait("one Primary, both copies UpToDate, nothing left to copy", limit) { () throws(LabError) in
            guard let one = lab.status(of: "node1"), let two = lab.status(of: "node2") else { return nil }
            guard one.isSettled, two.isSettled, one.isPrimary != two.isPrimary else { return nil }
            return one.isPrimary ? "node1" : "node2"
        }
    }

    /// Compares a node's copy with all logs.
    public func check(_ promise: StampedCheck.Promise, on node: String) throws(LabError) {
        var check = StampedCheck()
        for writer in writers { check.add(records(of: writer)) }
        let image = try VolumeImage(lab.directory.backing(node))
        let report = try check.verify(promise) { block throws(LabError) in try image.content(of: block) }
        for finding in report.findings.prefix(10) { say("\(finding)") }
        guard report.holds else {
            throw LabError(
                "\(report.findings.count) of \(report.blocks) blocks on \(node) lack what was promised")
        }
        say(
            "\(node) has all of \(report.required) \(promise) writes in \(report.blocks) blocks"
                + " (\(check.written) acknowledged, \(check.flushes) flushes, longest pause"
                + " \(Interval(nanoseconds: check.longestPause).text))")
    }

    /// Compares a file on a node's mounted volume with all logs: what was flushed. What was only acknowledged may
    /// be missing after a crash, whatever the volume keeps: ext4 notes new blocks in its journal later.
    public func checkFile(on node: String, _ path: String) throws(LabError) {
        let outcome = try lab.machine(node).run([lab.program, "check", path] + writers.map(\.log))
        say("\(path) on \(node): \(outcome.output.split(separator: "\n").joined(separator: " / "))")
        guard outcome.status == 0 else { throw LabError("\(path) on \(node) lacks what was promised") }
    }

    /// Requires that both copies are the same, byte for byte.
    public func compareCopies() throws(LabError) {
        let (count, first) = try VolumeImage.differences(
            lab.directory.backing("node1"), lab.directory.backing("node2"))
        guard count == 0 else { throw LabError("the copies differ in \(count) blocks, first \(first)") }
        say("the copies are equal byte for byte")
    }

    /// Starts the client's pings and, in the bridge, where no cut hides anybody, the questions who has the
    /// address.
    public func startObservers() throws(LabError) {
        let path = lab.directory.path
        let address = LabNetwork.virtualAddress
        observers.append(
            try lab.machine("client").launch(
                [lab.program, "observe", "ping", address, "--log", path + "/ping"], log: path + "/ping.errors"
            ))
        observers.append(
            try lab.bridge.launch(
                [lab.program, "observe", "arp", address, "--log", path + "/arp", "--every", "5"],
                log: path + "/arp.errors"))
    }

    /// Keeps a program that ends with the observers.
    func observe(with program: LabProgram) { observers.append(program) }

    /// What the client's pings got.
    public var pings: ObserverLog { ObserverLog(path: lab.directory.path + "/ping") }
    /// Who claimed the address.
    public var claims: ObserverLog { ObserverLog(path: lab.directory.path + "/arp") }

    /// Ends what the story started and is not the lab's.
    public func stopObservers() {
        for program in observers { program.signal(SIGTERM) }
        for program in observers { _ = program.wait(.seconds(5)) }
        observers.removeAll()
    }
}
