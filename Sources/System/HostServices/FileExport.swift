public import Basics
import Glibc
public import LinuxSystem

/// Tells the kernel's NFS server who may mount what: exportfs(8), and rpc.mountd(8), which answers the kernel's
/// questions about it.
public struct FileExport: Sendable, Hashable {
    /// An absolute path; not served unless something is mounted there.
    public var path: String
    /// Addresses or networks, as exports(5) writes them.
    public var clients: [String]
    /// As exports(5) takes them; what the two nodes must have in common is added.
    public var options: [String]
    /// What names the file system in file handles; not 0.
    public var identifier: UInt32

    public init(path: String, clients: [String], options: [String], identifier: UInt32) {
        self.path = path
        self.clients = clients
        self.options = options
        self.identifier = identifier
    }

    /// `192.168.56.0/24:/srv/files` and the like.
    var words: [String] {
        clients.map { client in
            guard client.contains(":") else { return "\(client):\(path)" }
            let parts = client.split(separator: "/")
            return "[\(parts[0])]\(parts.dropFirst().map { "/\($0)" }.joined()):\(path)"
        }
    }

    /// All options: never `async`, never the old and slow check of subtrees unless it was written.
    var allOptions: [String] {
        let written = options.contains("subtree_check") || options.contains("no_subtree_check")
        let sync = options.contains("sync") ? [] : ["sync"]
        return options + sync + (written ? [] : ["no_subtree_check"]) + [
            "fsid=\(identifier)", "mountpoint=\(path)",
        ]
    }

    /// Whether it is in the table of exports already.
    public var isPublished: Bool {
        // Without a table nothing is exported.
        guard let table = try? KernelFiles.read("/var/lib/nfs/etab") else { return false }
        return isPublished(in: String(decoding: table, as: UTF8.self))
    }

    /// Each client has a line, `PATH <tab> CLIENT(OPTIONS)`, and in it our identifier and every option as written.
    func isPublished(in table: String) -> Bool {
        let lines = table.split(separator: "\n").filter { $0.hasPrefix("\(path)\t") }
        let wanted = allOptions.filter { !$0.hasPrefix("mountpoint") }
        return words.allSatisfy { word in
            let client = word.dropLast(path.utf8.count + 1)
            guard let line = lines.first(where: { $0.hasPrefix("\(path)\t\(client)(") }) else { return false }
            let options = line.dropFirst("\(path)\t\(client)(".utf8.count).dropLast().split(separator: ",")
            return wanted.allSatisfy { options.contains(Substring($0)) }
        }
    }

    /// Exports it; rpc.mountd must run. Doing it twice is as good as once.
    public func publish(_ runner: CommandRunner, deadline: Interval, cancel: Int32? = nil) throws(SystemError)
        -> CommandResult
    {
        try runner.run(
            ["exportfs", "-i", "-o", allOptions.joined(separator: ",")] + words, deadline: deadline,
            cancel: cancel)
    }

    /// Makes the kernel forget what it has asked rpc.mountd: its memory of a path keeps the mount busy. What is in
    /// the table stays; nothing of it is served until something is mounted there again.
    public static func flush() throws(SystemError) {
        for cache in ["auth.unix.ip", "auth.unix.gid", "nfsd.fh", "nfsd.export"] {
            do throws(SystemError) { try SmallFile.write("1\n", to: "/proc/net/rpc/\(cache)/flush") } catch {
                // Without the module nothing is remembered.
                guard error.code == ENOENT else { throw error }
            }
        }
    }

    /// Withdraws it from the table and flushes. Not exported is a success.
    public func withdraw(_ runner: CommandRunner, deadline: Interval) throws(SystemError) -> CommandResult {
        // It complains of what is not exported; what matters is what is left afterwards.
        var last = CommandResult(
            command: "exportfs", end: .exited(0), output: "", errors: "", isTruncated: false,
            duration: .seconds(0))
        for word in words { last = try runner.run(["exportfs", "-u", word], deadline: deadline) }
        try Self.flush()
        if !isPublished { last.end = .exited(0) }
        return last
    }

    /// The port that clients of version 3 ask for a directory at.
    public static let mountPort = 20048

    /// Starts rpc.mountd unless it runs: for NFS 4 alone, which needs no rpcbind, or for version 3 as well, on a fixed
    /// port. One that was started for NFS 4 alone is replaced when version 3 is wanted.
    public static func startMountd(
        _ runner: CommandRunner, servesVersion3: Bool = false, deadline: Interval
    ) throws(SystemError) -> CommandResult? {
        let running = try ProcessSearch.find(["rpc.mountd"])["rpc.mountd", default: []]
        let isWithout3 = running.contains { $0.words.suffix(2) == ["-N", "3"] }
        guard running.isEmpty || (servesVersion3 && isWithout3) else { return nil }
        if isWithout3 { try ProcessSearch.end(["rpc.mountd"], withWord: "3", within: deadline) }
        let more = servesVersion3 ? ["-p", "\(mountPort)"] : ["-N", "3"]
        return try runner.run(["rpc.mountd", "-N", "2"] + more, deadline: deadline)
    }
}
