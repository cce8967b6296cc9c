public import Basics
import Glibc

/// One virtual machine of the lab: a process of QEMU and a process that is its disk.
///
/// Both run in the machine of the lab that holds the bridges (`LabMachine`), so nothing of them is left when that one
/// ends. A power cut is SIGKILL to QEMU: the machine's memory is gone, and its disk forgets what was not flushed
/// (`VolatileDisk`).
public struct VirtualMachine: Sendable {
    public let name: String
    let place: VirtualPlace
    let host: LabMachine
    let reach: VirtualReach

    init(_ name: String, place: VirtualPlace, host: LabMachine) {
        self.name = name
        self.place = place
        self.host = host
        reach = VirtualReach(place: place, host: host)
    }

    /// QEMU's process while the machine is on.
    public var life: ProcessMark? {
        guard let mark = TextFile.read(place.mark(name)).flatMap({ ProcessMark($0) }), mark.lives else {
            return nil
        }
        return mark
    }

    private var diskSocket: String { "/run/lab/\(name).disk" }

    /// From now on its disk answers flushes and does nothing: all that is written is gone at the next power cut.
    func makeDiskLie() throws(LabError) {
        let made = try host.run(["touch", diskSocket + ".lies"])
        guard made.status == 0 else { throw LabError("make the disk of \(name) lie: \(made.output)") }
    }

    /// Turns it on; `waitUntilUp` waits for it.
    func powerOn(_ hypervisor: Hypervisor, cache: VolatileDisk.Cache) throws(LabError) {
        guard life == nil else { throw LabError("\(name) is on already") }
        try TextFile.makeDirectory(place.directory.machine(name))
        unlink(place.console(name))
        if access(place.disk(name), F_OK) != 0 {
            // Under another name until it is whole.
            let path = place.disk(name)
            let copy = "cp --sparse=always --reflink=auto \"$1\" \"$2.new\" && mv \"$2.new\" \"$2\""
            let made = try ChildProcess.run(["sh", "-c", copy, "sh", place.root, path], limit: .seconds(120))
            guard made.status == 0 else { throw LabError("make the disk of \(name): \(made.output)") }
        }
        let socket = diskSocket
        let seed = LabClock.now().nanoseconds
        _ = try host.run(["rm", "-f", socket, socket + ".lies"])
        _ = try host.launch(
            [
                host.program, "disk", place.disk(name), "--socket", socket, "--cache", cache.rawValue,
                "--seed",
                "\(seed)",
            ], log: place.diskLog(name))
        let program = try host.launch(
            [
                "sh", "-c", "while [ ! -S \(socket) ]; do sleep 0.05; done; exec \"$@\"", "sh",
            ] + hypervisor.command(name, diskSocket: socket), log: place.hypervisorLog(name))
        let mark: ProcessMark? = LabClock.wait(.seconds(10)) { program.process.flatMap { ProcessMark($0) } }
        guard let mark else {
            throw LabError("\(name) did not start: \(TextFile.read(place.hypervisorLog(name)) ?? "")")
        }
        try TextFile.write(mark.description, to: place.mark(name))
    }

    /// Waits until its first process says that it is up, then opens the connection to it.
    func waitUntilUp(_ limit: Interval) throws(LabError) {
        guard let life else {
            throw LabError("\(name) is off: \((TextFile.read(place.hypervisorLog(name)) ?? "").suffix(600))")
        }
        let up: Bool? = try LabClock.wait(limit, every: .milliseconds(100)) { () throws(LabError) -> Bool? in
            guard life.lives else { return false }
            guard TextFile.read(place.console(name))?.contains("lab-init: \(name) is up") == true else {
                return nil
            }
            return try reach.open(name, life) ? true : nil
        }
        guard up == true else {
            let console = TextFile.read(place.console(name)) ?? ""
            let log = TextFile.read(place.hypervisorLog(name)) ?? ""
            let state = up == nil ? "is not up after \(limit.text)" : "ended while it started"
            throw LabError(
                "\(name) \(state); its console ends with: \(console.suffix(600)) \(log.suffix(300))")
        }
    }

    /// Runs a shell command in it to its end.
    public func run(_ shell: String, limit: Interval = .seconds(30)) throws(LabError) -> ChildProcess.Outcome
    {
        guard let life else { throw LabError("\(name) is off") }
        return try ChildProcess.run(try reach.command(name, life, shell), limit: limit)
    }

    /// Runs a shell command in it that must succeed, and gives what it printed.
    @discardableResult
    public func require(_ shell: String, limit: Interval = .seconds(30)) throws(LabError) -> String {
        let outcome = try run(shell, limit: limit)
        guard outcome.status == 0 else {
            let end = outcome.timedOut ? "did not end in \(limit.text)" : "ended with \(outcome.status)"
            throw LabError("'\(shell)' on \(name) \(end): \(outcome.output)")
        }
        return outcome.output
    }

    /// Writes a file in it, whole, and makes it durable.
    func write(_ text: String, to path: String, mode: String = "644") throws(LabError) {
        let file = VirtualReach.quote(path)
        let shell =
            "printf %s \(VirtualReach.quote(text)) >\(file).new && chmod \(mode) \(file).new && sync \(file).new"
            + " && mv \(file).new \(file) && sync -f \(file)"
        try require(shell)
    }

    /// Copies a file of this host into it.
    func copy(_ source: String, to path: String) throws(LabError) {
        guard let life else { throw LabError("\(name) is off") }
        let command = try reach.command(name, life, "cat >\(VirtualReach.quote(path))")
        let words = ["sh", "-c", "file=$1; shift; exec \"$@\" <\"$file\"", "sh", source] + command
        let copied = try ChildProcess.run(words, limit: .seconds(60))
        guard copied.status == 0 else { throw LabError("copy \(source) to \(name): \(copied.output)") }
    }

    /// Becomes a command or a shell in it; only for the last thing that a program does.
    public func enter(_ shell: String?) throws(LabError) -> Never {
        guard let life else { throw LabError("\(name) is off") }
        try ChildProcess.become(try reach.command(name, life, shell))
    }

    /// Cuts its power; gives how many sectors its disk lost.
    @discardableResult
    public func cutPower() throws(LabError) -> Int {
        life?.signal(SIGKILL)
        return try settleAfterPowerCut()
    }

    /// What follows SIGKILL to QEMU: waits for its end and its disk's, and gives how many sectors the disk lost.
    func settleAfterPowerCut() throws(LabError) -> Int {
        guard let mark = TextFile.read(place.mark(name)).flatMap({ ProcessMark($0) }) else { return 0 }
        return try settle(mark)
    }

    /// Turns it off in order: daemons told to end, file systems unmounted, disk flushed.
    func shutDown(_ limit: Interval) throws(LabError) {
        guard let mark = life else { return }
        _ = try run("kill -TERM 1", limit: .seconds(10))
        let ended: Bool? = LabClock.wait(limit) { mark.lives ? nil : true }
        if ended == nil { mark.signal(SIGKILL) }
        _ = try settle(mark)
    }

    /// Waits until QEMU and the disk have ended, and says what the disk lost.
    private func settle(_ mark: ProcessMark) throws(LabError) -> Int {
        let socketUser = "--socket \(diskSocket)"
        let gone: Bool? = LabClock.wait(.seconds(20), every: .milliseconds(5)) {
            if mark.lives { return nil }
            return diskProcess(socketUser) == nil ? true : nil
        }
        guard gone != nil else {
            throw LabError("\(name) (process \(mark.number)) does not end after SIGKILL")
        }
        unlink(place.mark(name))
        try reach.close(name, mark)
        guard gone != nil else {
            throw LabError("\(name) (process \(mark.number)) does not end after SIGKILL")
        }
        let last = (TextFile.read(place.diskLog(name)) ?? "").split(separator: "\n").last ?? ""
        return Int(last.split(separator: " ").first ?? "") ?? 0
    }

    /// Found by its words: the program's file may have been replaced since.
    private func diskProcess(_ words: String) -> Int32? {
        guard let first = host.first else { return nil }
        return ProcessTable.sharing(namespaceOf: first.number).first { number in
            guard let line = TextFile.bytes("/proc/\(number)/cmdline") else { return false }
            let text = line.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }.joined(
                separator: " ")
            return text.contains(words)
        }
    }
}
