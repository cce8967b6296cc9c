import Basics
import Glibc

extension VirtualLab: LabBackend {
    /// The machines.
    public var names: [String] { Self.machineNames }
    private var isUp: Bool { host.first != nil }

    private func requireUp() throws(LabError) {
        guard isUp else { throw LabError("this lab is not up (\(place.directory.path)); 'up' starts it") }
    }

    /// Refuses a name that no machine has.
    public func check(_ name: String) throws(LabError) {
        guard name != "witness" else {
            throw LabError("the witness runs on the client's machine here: say 'client'")
        }
        guard Self.machineNames.contains(name) else {
            throw LabError(
                "there is no machine '\(name)'; there are \(Self.machineNames.joined(separator: ", "))")
        }
    }

    /// Cuts a machine's power, and says what its disk lost.
    public func kill(_ name: String) throws(LabError) {
        try requireUp()
        guard machine(name).life != nil else { throw LabError("\(name) is off already") }
        let lost = try machine(name).cutPower()
        print("\(name) is off; its disk lost \(lost) sectors of 512 bytes that it had not flushed")
    }

    /// Kills the product's processes of a machine at once; what they had made there remains.
    public func killDaemon(_ name: String) throws(LabError) {
        // The keeper first: it must not tidy up after the worker.
        try machine(name).require("kill -KILL $(pidof tandem | tr ' ' '\\n' | sort -n)")
    }

    /// Turns a machine on and waits for it, or starts the daemon of one that is on.
    public func start(_ name: String) throws(LabError) {
        try requireUp()
        let one = machine(name)
        guard one.life == nil else {
            let words = try one.run("cat /etc/tandem/start; pidof tandem >/dev/null")
            if words.status != 0, !words.output.isEmpty { try startDaemon(name) }
            return
        }
        try powerOn(name)
        try one.waitUntilUp(Self.bootLimit)
        if name == "client" && isExporting { try VirtualClient(self).mount() }
    }

    /// Turns a machine on and does not wait for it.
    public func powerOn(_ name: String) throws(LabError) {
        try machine(name).powerOn(try Hypervisor.find(place, in: host), cache: cache)
    }

    /// Drops what `name` and `others` send to each other, or only what `name` sends.
    public func cut(_ name: String, from others: [String], oneWay: Bool) throws(LabError) {
        try requireUp()
        try network.cut(name, from: others, oneWay: oneWay)
    }

    /// Takes back every cut.
    public func heal() throws(LabError) {
        try requireUp()
        try network.heal()
    }

    /// Turns all machines off in order, and ends the network between them; disks stay.
    public func down() throws(LabError) {
        // Before its server: without one, nothing takes a mount away.
        if isExporting, machine("client").life != nil { try VirtualClient(self).unmountForDown() }
        for name in ["node1", "node2", "client"] { try machine(name).shutDown(.seconds(60)) }
        try host.kill()
    }

    /// Ends all machines and removes all of the lab but the image; gives what remains, which must be nothing.
    public func wipe() throws(LabError) -> [String] {
        let known = host.first.map { ProcessTable.sharing(namespaceOf: $0.number) } ?? []
        let marks = known.compactMap { ProcessMark($0) }
        try host.kill()
        var remains: [String] = []
        // The processes that waited for programs inside end a moment after them.
        let gone: Bool? = LabClock.wait(.seconds(10)) {
            remains = marks.filter(\.lives).map { "process \($0.number)" } + processesOfLab()
            return remains.isEmpty ? true : nil
        }
        if gone != nil { remains = [] }
        let removed = try ChildProcess.run(
            ["rm", "-rf", "--one-file-system", place.directory.path], limit: .seconds(120))
        if removed.status != 0 { remains.append("files: rm ended with \(removed.status): \(removed.output)") }
        return remains
    }

    /// The processes that name a file of this lab on their command line, this one not counted.
    private func processesOfLab() -> [String] {
        ProcessTable.numbers.compactMap { number in
            guard number != getpid(), let line = TextFile.bytes("/proc/\(number)/cmdline") else { return nil }
            let words = line.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
            guard words.first.map({ $0.contains("qemu") }) == true || words.contains("disk"),
                words.contains(where: { $0.contains(place.directory.path + "/") })
            else { return nil }
            return "process \(number): \(words.prefix(4).joined(separator: " "))"
        }
    }

    /// What a person wants to know at a glance.
    public func statusLines() throws(LabError) -> [String] {
        guard isUp else { return ["the lab is not up (\(place.directory.path))"] }
        var lines: [String] = []
        for name in Self.machineNames {
            let one = machine(name)
            guard one.life != nil else {
                lines.append("\(name): off")
                continue
            }
            let daemon = try one.run("pidof tandem", limit: .seconds(10))
            let what = name == "client" ? "the witness" : hasPair ? "tandem, node and proxy," : "tandem"
            let word =
                daemon.timedOut
                ? "does not answer" : daemon.status == 0 ? "\(what) runs" : "\(what) does not run"
            lines.append("\(name): on, \(VirtualLab.address(of: name)), \(word)")
        }
        let cuts = try network.cuts
        lines.append(cuts.isEmpty ? "no cuts" : "cut: " + cuts.joined(separator: ", "))
        if let line = try pairLine() { lines.append(line) }
        for node in ["node1", "node2"] where machine(node).life != nil {
            let status = try verb(["status"], on: node, limit: .seconds(10))
            lines.append("\(node) says:")
            lines += status.output.split(separator: "\n").map { "  \($0)" }
        }
        return lines
    }
}
