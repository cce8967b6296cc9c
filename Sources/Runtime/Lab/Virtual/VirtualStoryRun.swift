import Basics
import CLinux
import Glibc

/// One story in virtual machines while it is told: the lab, the writers in it, and what it said so far.
public final class VirtualStoryRun {
    var lab: VirtualLab
    private let begin = LabClock.now()
    /// How many times a story that can be repeated does what it is about.
    var repeats = 1
    /// Prints each line at once when set.
    var isTalking = false
    /// What happened, with times.
    private(set) var lines: [String] = []
    /// Figures that are printed also when the story passes.
    private(set) var figures: [String] = []
    /// Blocks of the volume or file that writers use.
    let blocks: UInt64 = 8192
    /// Each writer that ever runs has blocks of its own: machines have clocks of their own, so no order between the
    /// writes of two of them is known.
    var shares: UInt64 = 12
    private var writers: [(number: UInt16, node: String, port: Int)] = []

    init(lab: VirtualLab) { self.lab = lab }

    /// Notes a line with the time since the story began.
    func say(_ text: String) {
        let time = LabClock.now().since(begin).wholeMilliseconds
        let line = "\(time / 1000).\(String(time % 1000 / 100)) s  \(text)"
        lines.append(line)
        if isTalking {
            print(line)
            fflush(nil)
        }
    }

    /// Notes a figure.
    func note(_ text: String) {
        figures.append(text)
        say(text)
    }

    /// Waits for what `what` names, and says how long it took.
    @discardableResult
    func wait<Result>(
        _ what: String, _ limit: Interval, _ condition: () throws(LabError) -> Result?
    ) throws(LabError) -> Result {
        let start = LabClock.now()
        guard let result = try LabClock.wait(limit, every: .milliseconds(200), for: condition) else {
            for node in ["node1", "node2"] { say("\(node): \(lab.status(of: node)?.text ?? "no status")") }
            throw LabError("not within \(limit.text): \(what)")
        }
        say("\(what) (after \(LabClock.now().since(start).text))")
        return result
    }

    /// Starts everything anew and waits until node1 is Primary and both copies are UpToDate.
    func begin(mounts: Bool) throws(LabError) {
        var settings = LabSettings()
        settings.size = "64MiB"
        settings.mounts = mounts
        try begin(settings)
    }

    /// The same with other settings. Within the limit the whole volume is copied once.
    func begin(_ settings: LabSettings, within limit: Interval = .seconds(120)) throws(LabError) {
        _ = try lab.wipe()
        try lab.raise { say($0) }
        try lab.install(settings)
        try wait("node1 is Primary and both copies are UpToDate", limit) {
            () throws(LabError) -> Bool? in
            guard let one = lab.status(of: "node1"), let two = lab.status(of: "node2") else { return nil }
            return one.isPrimary && one.isSettled && two.isSettled ? true : nil
        }
    }

    /// A machine's clock must run as this host's does, or every time that the product keeps is another one.
    func checkClocks() throws(LabError) {
        for name in VirtualLab.machineNames {
            func look() throws(LabError) -> (guest: Double, host: Double) {
                let text = try lab.machine(name).require("cut -d ' ' -f 1 /proc/uptime")
                let host = Double(LabClock.now().nanoseconds) / 1e9
                return (Double(text.split(separator: "\n").first ?? "") ?? 0, host)
            }
            let first = try look()
            LabClock.nap(.seconds(5))
            let second = try look()
            let ratio = (second.guest - first.guest) / (second.host - first.host)
            // What the connection itself takes is a tenth of a second in five.
            guard ratio > 0.95, ratio < 1.05 else {
                throw LabError("the clock of \(name) runs at \(ratio) of this host's")
            }
        }
        say("the machines' clocks run as this host's")
    }

    /// Starts three writers of stamps on a node. Their logs are outside the machine before a write begins.
    func startWriters(on node: String, path: String) throws(LabError) {
        let machine = lab.machine(node)
        for port in 2...4 {
            let number = UInt16(writers.count + 1)
            guard UInt64(number) <= shares else { throw LabError("this story starts too many writers") }
            try machine.require(
                "setsid /opt/tandem/tandem-lab write \(path) --log /dev/lab-port\(port) --writer \(number) --blocks"
                    + " \(blocks) --shares \(shares) --share \(number - 1) --pause 2000"
                    + " --flush-every 64 </dev/null >/run/lab.writer\(number) 2>&1 &")
            writers.append((number, node, port))
        }
    }

    private func records(of writer: UInt16) -> [StampRecord] {
        guard let one = writers.first(where: { $0.number == writer }) else { return [] }
        let bytes = TextFile.bytes(lab.place.port(one.port, of: one.node)) ?? []
        return StampRecord.decode(bytes).filter { $0.writer == writer }
    }

    private var acknowledged: Int {
        writers.reduce(0) { sum, one in sum + records(of: one.number).filter { $0.kind == .written }.count }
    }

    /// Waits until all writers together have had `count` more writes acknowledged.
    func waitForWrites(_ count: Int) throws(LabError) {
        let before = acknowledged
        try wait("\(count) writes more", .seconds(120)) { () throws(LabError) -> Bool? in
            acknowledged >= before + count ? true : nil
        }
    }

    /// Ends a node's writers, and waits for them.
    func stopWriters(on node: String) throws(LabError) {
        try stopPrograms(on: node)
        say("the writers on \(node) have ended")
    }

    /// Ends the lab's programs on a machine, and waits for them.
    func stopPrograms(on name: String) throws(LabError) {
        let shell =
            "pkill -TERM -x tandem-lab; for i in $(seq 600); do pgrep -x tandem-lab >/dev/null || exit 0; sleep 0.1;"
            + " done; exit 1"
        try lab.machine(name).require(shell, limit: .seconds(90))
    }

    /// What a node's daemon has printed since a place in its log.
    func log(of node: String, from place: Int = 0) -> String {
        String(decoding: (TextFile.bytes(lab.place.port(1, of: node)) ?? []).dropFirst(place), as: UTF8.self)
    }

    /// The place in a node's log that is reached now.
    func logEnd(of node: String) -> Int { TextFile.bytes(lab.place.port(1, of: node))?.count ?? 0 }

    /// Waits until a node's log has a line with that text behind a place; gives when it came.
    func waitForLog(
        of node: String, _ text: String, from place: Int, _ limit: Interval = .seconds(60)
    ) throws(LabError) -> Instant {
        let when: Instant? = LabClock.wait(limit, every: .milliseconds(5)) {
            log(of: node, from: place).contains(text) ? LabClock.now() : nil
        }
        guard let when else { throw LabError("\(node) has not said '\(text)' within \(limit.text)") }
        return when
    }

    /// Cuts the power of machines at once.
    func cutPower(_ names: [String]) throws(LabError) {
        for name in names { lab.machine(name).life?.signal(SIGKILL) }
        for name in names {
            let lost = try lab.machine(name).settleAfterPowerCut()
            note("\(name)'s power was cut; its disk lost \(lost) sectors that it had not flushed")
        }
    }

    /// Turns machines on, and waits for them.
    func turnOn(_ names: [String]) throws(LabError) {
        for name in names { try lab.powerOn(name) }
        for name in names { try lab.machine(name).waitUntilUp(VirtualLab.bootLimit) }
        say("\(names.joined(separator: " and ")) on again")
    }

    /// Waits until a node is Primary.
    func waitForPrimary(_ node: String, _ limit: Interval) throws(LabError) {
        try wait("\(node) is Primary", limit) { () throws(LabError) -> Bool? in
            lab.status(of: node)?.isPrimary == true ? true : nil
        }
    }

    /// Waits until one is Primary and both copies are the same again; gives the Primary.
    func waitSettled() throws(LabError) -> String {
        try wait("one Primary, both copies UpToDate, nothing left to copy", .seconds(180)) {
            () throws(LabError) -> String? in
            guard let one = lab.status(of: "node1"), let two = lab.status(of: "node2") else { return nil }
            guard one.isSettled, two.isSettled, one.isPrimary != two.isPrimary else { return nil }
            return one.isPrimary ? "node1" : "node2"
        }
    }

    /// Compares what a node has at `path` with all logs.
    func check(_ promise: StampedCheck.Promise, _ path: String, on node: String) throws(LabError) {
        let machine = lab.machine(node)
        var words: [String] = []
        for one in writers {
            let log = lab.place.directory.path + "/writer.\(one.number)"
            unlink(log)
            try append(records(of: one.number), to: log)
            try machine.copy(log, to: "/run/lab.log.\(one.number)")
            words.append("/run/lab.log.\(one.number)")
        }
        let option = promise == .acknowledged ? " --sectors --acknowledged" : " --sectors"
        let outcome = try machine.run(
            "/opt/tandem/tandem-lab check \(path) \(words.joined(separator: " "))\(option)",
            limit: .seconds(120))
        let last = outcome.output.split(separator: "\n").last.map { String($0) } ?? ""
        guard outcome.status == 0 else {
            throw LabError("\(path) on \(node) lacks what was \(promise): \(last)")
        }
        note("\(path) on \(node): \(last)")
    }

    private func append(_ records: [StampRecord], to log: String) throws(LabError) {
        let file = clinux_open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw LabError("open \(log)", code: errno) }
        defer { close(file) }
        let bytes = records.flatMap(\.bytes)
        guard write(file, bytes, bytes.count) == bytes.count else {
            throw LabError("write \(log)", code: errno)
        }
    }

    /// Requires that both copies are the same, byte for byte. No client and no writer may be at work.
    func compareCopies(primary: String) throws(LabError) {
        let machine = lab.machine(primary)
        let path = LabSettings.mountPath
        // What is mounted is written at any time, by the node itself as well (who holds what): it holds still meanwhile.
        let isFrozen = try machine.run("mountpoint -q \(path)").status == 0
        try machine.require(isFrozen ? "fsfreeze --freeze \(path)" : "sync", limit: .seconds(60))
        let result = Result { () throws(LabError) in try sumsOfCopies() }
        if isFrozen { try machine.require("fsfreeze --unfreeze \(path)") }
        let sums = try result.get()
        guard sums[0] == sums[1] else { throw LabError("the copies differ: \(sums)") }
        say("the copies are equal byte for byte")
    }

    private func sumsOfCopies() throws(LabError) -> [String] {
        _ = try waitSettled()
        var sums: [String] = []
        for node in ["node1", "node2"] {
            let shell = "sha256sum \(VirtualLab.diskInside)/files.img"
            sums.append(try lab.machine(node).require(shell, limit: .seconds(120)))
        }
        return sums
    }
}
