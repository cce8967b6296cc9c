public import Basics
import CLinux
import Glibc
public import LinuxSystem

/// What NFS version 3 needs for its locks: rpc.statd(8), which writes down the hosts that hold some, sm-notify(8), which
/// tells them that the server is new, and the kernel's lockd at fixed ports.
///
/// The directory is on the replicated volume: `sm` names the hosts with locks, `sm.bak` those that are still to be told.
public struct LockRecords: Sendable, Hashable {
    /// Where the names of the hosts lie.
    public var directory: String

    public init(directory: String) { self.directory = directory }

    /// The ports of statd, of what it sends from, and of lockd over TCP and UDP; rpcbind tells them to clients, and
    /// firewalls want them fixed.
    public static let statusPort = 32765, sendingPort = 32766
    public static let lockPort: UInt16 = 32803
    private static let lockPortUDP = 32769

    private static let programs = ["rpc.statd", "sm-notify"]
    private static let kernelSettings = "/proc/sys/fs/nfs"

    /// Starts rpcbind, which tells clients of version 3 the ports, unless it or systemd in its place listens; nil when
    /// nothing had to be started.
    public static func startPortMapper(_ runner: CommandRunner, deadline: Interval) throws(SystemError)
        -> CommandResult?
    {
        let isListening = access("/run/rpcbind.sock", F_OK) == 0 && access("/run/systemd/system", F_OK) == 0
        if isListening { return nil }
        guard try ProcessSearch.find(["rpcbind"]).isEmpty else { return nil }
        return try runner.run(["rpcbind", "-w"], deadline: deadline)
    }

    /// Sets lockd's ports, and how long a new server's new locks wait for the hosts of the old one; before lockd starts,
    /// which it does with the server.
    public static func prepareKernel(grace: Interval) throws(SystemError) {
        let seconds = grace.nanoseconds / 1_000_000_000
        try SmallFile.write("\(lockPort)\n", to: "\(kernelSettings)/nlm_tcpport")
        try SmallFile.write("\(lockPortUDP)\n", to: "\(kernelSettings)/nlm_udpport")
        try SmallFile.write("\(min(seconds, 20))\n", to: "\(kernelSettings)/nlm_timeout")
        try SmallFile.write("\(seconds)\n", to: "\(kernelSettings)/nlm_grace_period")
    }

    /// Makes the directory, of the user whom the distribution has statd run as: it takes the directory's owner.
    public func make() throws(SystemError) {
        var owner = stat()
        let isKnown = stat("/var/lib/nfs/sm", &owner) == 0
        for path in [directory, "\(directory)/sm", "\(directory)/sm.bak"] {
            guard mkdir(path, 0o700) == 0 || errno == EEXIST else {
                throw SystemError(operation: "make the directory", subject: path, code: errno)
            }
            guard !isKnown || chown(path, owner.st_uid, owner.st_gid) == 0 else {
                throw SystemError(operation: "chown", subject: path, code: errno)
            }
        }
    }

    /// The hosts that hold locks, and those that held some and were not told yet.
    public func hosts() throws(SystemError) -> (holding: Set<String>, untold: Set<String>) {
        (try Self.names(in: "\(directory)/sm"), try Self.names(in: "\(directory)/sm.bak"))
    }

    private static func names(in path: String) throws(SystemError) -> Set<String> {
        do throws(SystemError) {
            // What is being written has a name that no host has.
            return Set(try KernelFiles.names(in: path).filter { !$0.hasPrefix(".") && !$0.hasSuffix(".new") })
        } catch {
            guard error.code == ENOENT else { throw error }
            return []
        }
    }

    /// Another statd, which would keep the names elsewhere; nil when there is none. Ends ours if they run.
    public func clear(within limit: Interval) throws(SystemError) -> Int32? {
        let all = try ProcessSearch.find(Self.programs)["rpc.statd", default: []]
        if all.contains(where: { $0.words.contains(directory) }) { try stop(within: limit) }
        return all.first { !$0.words.contains(directory) }?.identifier
    }

    /// Starts statd on the names, and returns when it is ready. It tells nobody anything yet.
    public func start(_ runner: CommandRunner, deadline: Interval) throws(SystemError) -> CommandResult {
        try runner.run(
            [
                "rpc.statd", "--no-notify", "-P", directory, "-p", "\(Self.statusPort)", "-o",
                "\(Self.sendingPort)",
            ], deadline: deadline)
    }

    /// Tells the hosts that the server at an address is new: they reclaim their locks. It goes on telling in the
    /// background until each has answered, or `stop`.
    public func notify(_ runner: CommandRunner, address: IPv4Address, deadline: Interval) throws(SystemError)
        -> CommandResult
    {
        try runner.run(["sm-notify", "-f", "-v", "\(address)", "-P", directory], deadline: deadline)
    }

    /// Ends statd and what still tells. Not running is a success. Throws ETIMEDOUT for one that hangs in the kernel.
    public func stop(within limit: Interval) throws(SystemError) {
        try ProcessSearch.end(Self.programs, withWord: directory, within: limit)
    }
}

/// The kernel's table of file locks.
public enum FileLocks {
    /// How many ranges are locked by fcntl(2), NFS of any version among it, on files of the file system that is mounted
    /// at `path`; those of one file left out.
    public static func count(at path: String, without other: String) throws(SystemError) -> Int {
        var mounted = stat()
        guard stat(path, &mounted) == 0 else {
            throw SystemError(operation: "stat", subject: path, code: errno)
        }
        var left = stat()
        let inode = stat(other, &left) == 0 ? UInt64(left.st_ino) : nil
        let table = String(decoding: try KernelFiles.read("/proc/locks"), as: UTF8.self)
        return count(in: table, device: UInt64(mounted.st_dev), without: inode)
    }

    /// Lines such as `1: POSIX  ADVISORY  WRITE 1234 07:00:12 0 EOF`; one that waits has `->` behind its number.
    static func count(in table: String, device: UInt64, without inode: UInt64?) -> Int {
        // glibc's dev_t, both parts below 2^20 and 2^12 of its lower half.
        let (major, minor) = (device >> 8 & 0xFFF, device & 0xFF | device >> 12 & 0xFFF00)
        return table.split(separator: "\n").count { line in
            let words = line.split(separator: " ")
            guard words.count >= 6, words[1] == "POSIX" else { return false }
            let place = words[5].split(separator: ":")
            guard place.count == 3, UInt64(place[0], radix: 16) == major,
                UInt64(place[1], radix: 16) == minor
            else { return false }
            return inode == nil || UInt64(place[2]) != inode
        }
    }
}
