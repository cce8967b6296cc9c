public import Basics
import CLinux
import Glibc
public import LinuxSystem

/// nfsdcld(8): keeps the records by which a new NFS server knows the clients of the old one.
///
/// Its directory is on the replicated volume, so the next server has them: with records of its own, each client
/// would lose its locks.
public struct ClientRecords: Sendable, Hashable {
    /// Where the records lie.
    public var directory: String
    /// Where rpc_pipefs is mounted when it is mounted nowhere else: how the kernel and nfsdcld talk.
    public var pipes: String

    public init(directory: String, pipes: String) {
        self.directory = directory
        self.pipes = pipes
    }

    /// Mounts rpc_pipefs if it is mounted nowhere; gives where it is.
    @discardableResult
    public func openPipes() throws(SystemError) -> String {
        if let there = try MountTable.read().entries.last(where: { $0.type == "rpc_pipefs" }) {
            return there.mountPoint
        }
        guard clinux_mount("sunrpc", pipes, "rpc_pipefs", 0, "") == 0 else {
            throw SystemError(operation: "mount rpc_pipefs", subject: pipes, code: errno)
        }
        return pipes
    }

    private static let program = "nfsdcld"

    /// The nfsdcld that keep these records, and another that would answer in place of them.
    private func look() throws(SystemError) -> (ours: [Int32], stranger: Int32?) {
        let all = try ProcessSearch.find([Self.program])[Self.program, default: []]
        let ours = all.filter { $0.words.contains(directory) }
        return (ours.map(\.identifier), all.first { !$0.words.contains(directory) }?.identifier)
    }

    /// Another nfsdcld, which would answer in place of ours; nil when there is none. Ends ours if they run: what is
    /// found before a start was left behind.
    public func clear(within limit: Interval) throws(SystemError) -> Int32? {
        let found = try look()
        if !found.ours.isEmpty { try stop(within: limit) }
        return found.stranger
    }

    /// Starts it on the records, and returns when it waits for the server's pipe: the kernel gives it one second to
    /// come there, and goes without it otherwise.
    public func start(_ runner: CommandRunner, deadline: Interval) throws(SystemError) -> CommandResult {
        let end = Instant.now() + deadline
        let result = try runner.run(
            [Self.program, "-s", directory, "-p", try openPipes()], deadline: deadline)
        guard result.isSuccess else { return result }
        // It is there when the one that started it has ended.
        let ours = try look().ours
        while !ours.contains(where: Self.isWaiting) {
            guard Instant.now() < end else {
                throw SystemError(operation: "start nfsdcld", subject: directory, code: ETIMEDOUT)
            }
            var poll = PollSet()
            try poll.wait(until: .now() + .milliseconds(5))
        }
        return result
    }

    /// It watches for the pipe, after it has opened the records; or it has the pipe already.
    private static func isWaiting(_ process: Int32) -> Bool {
        // Descriptors come and go while they are looked at, and so may the process.
        let numbers = (try? KernelFiles.names(in: "/proc/\(process)/fd")) ?? []
        return numbers.contains { number in
            guard let link = KernelFiles.link("/proc/\(process)/fd/\(number)") else { return false }
            return link.hasSuffix("inotify") || link.hasSuffix("/nfsd/cld")
        }
    }

    /// What the records say, as bytes: they change when a server starts with them.
    public func content() -> [UInt8] {
        // No file yet is an empty one.
        (try? KernelFiles.read("\(directory)/main.sqlite")) ?? []
    }

    /// The tool that writes into them.
    public static let editor = "sqlite3"

    /// Adds clients to the records, and removes others, by the names that the kernel prints; durable when it returns.
    /// nfsdcld may write at the same time. One that is there already stays as it is. Throws ENOENT without sqlite3(1).
    public func change(
        adding: Set<String>, removing: Set<String>, _ runner: CommandRunner, deadline: Interval
    ) throws(SystemError) -> CommandResult {
        // The periods change when a server starts, not meanwhile; the old one's records may go at any time.
        let asked = try edit(
            "SELECT printf('%016x %016x', current, recovery) FROM grace;\n", runner, deadline)
        let periods = asked.output.split(whereSeparator: \.isWhitespace).map { String($0) }
        guard asked.isSuccess, periods.count == 2 else { return asked }
        let script = Self.script(
            adding: adding.sorted(), removing: removing.sorted(), current: periods[0],
            old: UInt64(periods[1], radix: 16) == 0 ? nil : periods[1])
        return try edit(script, runner, deadline)
    }

    private func edit(_ script: String, _ runner: CommandRunner, _ deadline: Interval) throws(SystemError)
        -> CommandResult
    {
        try runner.run(
            [Self.editor, "-batch", "-bail", "-init", "/dev/null", "\(directory)/main.sqlite"],
            input: Array(".timeout 2000\n\(script)".utf8), deadline: deadline)
    }

    /// What changes the records of a period. `old`: the period whose clients may reclaim, while they may: with a
    /// client's name goes the hash of its principal.
    static func script(adding: [String], removing: [String], current: String, old: String?) -> String {
        func literals(_ names: [String]) -> [String] {
            names.compactMap { ServedClient.bytes(ofName: $0) }.map { bytes in
                "X'" + bytes.map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined() + "'"
            }
        }
        let (here, gone) = (literals(adding), literals(removing))
        var lines = ["BEGIN IMMEDIATE;"]
        if let old, !here.isEmpty {
            lines.append(
                "INSERT OR IGNORE INTO \"rec-\(current)\" SELECT id, princhash FROM \"rec-\(old)\" WHERE id IN"
                    + " (\(here.joined(separator: ", ")));")
        }
        for name in here { lines.append("INSERT OR IGNORE INTO \"rec-\(current)\" (id) VALUES (\(name));") }
        for name in gone { lines.append("DELETE FROM \"rec-\(current)\" WHERE id = \(name);") }
        return (lines + ["COMMIT;", ""]).joined(separator: "\n")
    }

    /// Ends it, and waits until it has: it holds the records open. Not running is a success. Throws ETIMEDOUT for
    /// one that hangs in the kernel.
    public func stop(within limit: Interval) throws(SystemError) {
        try ProcessSearch.end([Self.program], withWord: directory, within: limit)
    }
}
