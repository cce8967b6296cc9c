public import Basics

/// What the client of a lab does with the volume: it mounts it over the address that moves, and appends lines to a
/// file there, each durable before the next, under a lock.
public struct VirtualClient: Sendable {
    /// Where the client has the volume.
    public static let inside = "/mnt/files"
    /// What it mounts.
    public static let source = "\(LabNetwork.virtualAddress):\(LabSettings.mountPath)"
    /// The name of the file of lines.
    static let file = "lines"

    private let lab: VirtualLab

    /// The client of a lab that is up.
    public init(_ lab: VirtualLab) { self.lab = lab }

    private var machine: VirtualMachine { lab.machine("client") }

    /// Mounts the volume, once a server answers at the address; nothing when it is mounted already.
    public func mount(_ limit: Interval = .seconds(90)) throws(LabError) {
        let shell =
            "mountpoint -q \(Self.inside) || { mkdir -p \(Self.inside) && modprobe nfsv4;"
            + " timeout 20 mount -t nfs4 -o vers=4.2,hard \(Self.source) \(Self.inside); }"
        var last = ""
        let mounted: Bool? = try LabClock.wait(limit, every: .milliseconds(500)) {
            () throws(LabError) -> Bool? in
            let outcome = try machine.run(shell, limit: .seconds(30))
            last = outcome.output
            return outcome.status == 0 ? true : nil
        }
        guard mounted != nil else {
            throw LabError("the client cannot mount \(Self.source) (\(limit.text)): \(last)")
        }
    }

    /// Takes the mount away.
    func unmount() throws(LabError) { try machine.require("umount \(Self.inside)", limit: .seconds(60)) }

    /// Takes the mount away whoever uses it and whether or not a server answers.
    func unmountForDown() throws(LabError) {
        let inside = Self.inside
        _ = try machine.run(
            "! mountpoint -q \(inside) || timeout 10 umount \(inside) || umount -f -l \(inside)",
            limit: .seconds(30))
    }

    /// Starts the writer of lines, one each 50 ms.
    func startWriter() throws(LabError) {
        try machine.require(
            "setsid /opt/tandem/tandem-lab append \(Self.inside)/\(Self.file) --log /dev/lab-port2 --pause 50"
                + " </dev/null >/run/lab.lines 2>&1 &")
    }

    /// Ends it, and waits for its end.
    func stopWriter() throws(LabError) {
        try machine.require(
            "pkill -TERM -x tandem-lab; for i in $(seq 300); do pgrep -x tandem-lab >/dev/null || exit 0; sleep 0.1;"
                + " done; exit 1", limit: .seconds(60))
    }

    /// What it was answered so far; outside the machine before the next line is written.
    var answers: [LineAnswer] { LineAnswer.parse(TextFile.read(lab.place.port(2, of: "client")) ?? "") }

    /// What it waited since an answer, and whether all was well: the longest wait, the first error.
    func since(_ index: Int) -> (longest: UInt64, fault: LineAnswer?) {
        // The line that was under way is answered after `index`.
        let since = answers.dropFirst(index)
        return (since.map(\.milliseconds).max() ?? 0, since.first { $0.code != 0 })
    }

    /// Whether somebody else who asks for the lock on a node is refused.
    func holdsLock(on node: String) throws(LabError) -> Bool {
        let program =
            "import fcntl,sys\\nf=open(sys.argv[1],\"r+\")\\ntry: fcntl.lockf(f,fcntl.LOCK_EX|fcntl.LOCK_NB)\\n"
            + "except OSError: sys.exit(0)\\nsys.exit(7)"
        let path = "\(LabSettings.mountPath)/\(Self.file)"
        let outcome = try lab.machine(node).run(
            "printf '\(program)' >/run/lab.probe && python3 /run/lab.probe \(path)")
        guard outcome.status == 0 || outcome.status == 7 else {
            throw LabError("ask for the lock on \(node): \(outcome.output)")
        }
        return outcome.status == 0
    }

    /// Compares the file, as a node has it, with the answers; throws when a line that was acknowledged is missing.
    func checkFile(on node: String) throws(LabError) -> Int {
        let had = answers
        let text = try lab.machine(node).require(
            "cat \(LabSettings.mountPath)/\(Self.file)", limit: .seconds(60))
        // Lines that were written while the file was read are not in this list.
        let lines = Array(text.split(separator: "\n", omittingEmptySubsequences: false).dropLast())
        let kept = lines.prefix(had.count + 1).map { "\($0)\n" }.joined()
        if let fault = LineAnswer.fault(in: kept, after: had) { throw LabError("on \(node): \(fault)") }
        return had.count
    }
}
