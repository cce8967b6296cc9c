public import Basics
import CLinux
import Glibc
public import LinuxSystem

/// The kernel's NFS server (nfsd), by its files in /proc/fs/nfsd. There is one for each network namespace.
///
/// NFS over TCP, port 2049. Needs root and the module `nfsd`.
public enum FileServer {
    /// Where its files are.
    static let directory = "/proc/fs/nfsd"

    /// Threads that serve clients.
    public static let threadCount = 8
    /// How long a client's state lives without a word from it, and how long a new server waits for clients of the old
    /// one: the kernel's usual 90 s. It ends the wait by itself when every recorded client, all of 4.1 or later, has
    /// said that it has reclaimed what it had.
    public static let lease = Interval.seconds(90)
    /// The same where versions are served whose clients do not say so: new locks may have to wait for all of it.
    public static let shortLease = Interval.seconds(10)

    /// Mounts the server's files if they are not mounted. Throws ENODEV without the module.
    public static func openFiles() throws(SystemError) {
        guard try MountTable.read().entry(at: directory) == nil else { return }
        guard clinux_mount("nfsd", directory, "nfsd", 0, "") == 0 || errno == EBUSY else {
            throw SystemError(operation: "mount nfsd", subject: directory, code: errno)
        }
    }

    /// What is wrong with a directory for what answers in rpcbind's place; nil when nothing is.
    public static func trouble(mapper: String) -> String? {
        guard PortMapperStandIn.isNeeded else { return nil }
        do throws(SystemError) { _ = try PortMapperStandIn(in: mapper) } catch {
            return "rpcbind does not run, and nothing can answer in its place: \(error)"
        }
        return nil
    }

    /// How many threads run; 0 where the server's files are not mounted.
    public static func threads() throws(SystemError) -> Int {
        let text: String
        do throws(SystemError) { text = try SmallFile.read("\(directory)/threads") } catch {
            if error.code == ENOENT { return 0 }
            throw error
        }
        return Int(text.prefix { $0.isNumber }) ?? 0
    }

    /// The words of nfsd's file for a set of versions ("3", "4.0", "4.1", "4.2").
    static func words(serving versions: Set<String>) -> String {
        func sign(_ version: String) -> String { versions.contains(version) ? "+" : "-" }
        let four = ["4.0", "4.1", "4.2"]
        guard !versions.isDisjoint(with: four) else { return "\(sign("3"))3 -4\n" }
        return "\(sign("3"))3 +4 \(four.map { sign($0) + $0 }.joined(separator: " "))\n"
    }

    /// Starts it for a scope, the name that clients know the server by (at most 64 bytes): the same on both nodes, or
    /// clients lose their locks. `versions`: "3", "4.0", "4.1", "4.2". `mapper` is a directory of ours, for what answers
    /// the kernel meanwhile where rpcbind does not run. Throws EALREADY while threads run.
    public static func start(
        scope: String, versions: Set<String> = ["4.1", "4.2"], lease: Interval = lease, mapper: String
    ) throws(SystemError) {
        guard try threads() == 0 else {
            throw SystemError(operation: "start nfsd", subject: "its threads run", code: EALREADY)
        }
        // A kernel that was built without version 2 does not know its name.
        _ = Result { () throws(SystemError) in try SmallFile.write("-2\n", to: "\(directory)/versions") }
        try SmallFile.write(words(serving: versions), to: "\(directory)/versions")
        let seconds = "\(lease.nanoseconds / 1_000_000_000)\n"
        try SmallFile.write(seconds, to: "\(directory)/nfsv4leasetime")
        try SmallFile.write(seconds, to: "\(directory)/nfsv4gracetime")
        if versions.contains("3") {
            try listenAnnounced()
        } else {
            try write("tcp 2049\n", to: "portlist", mapper)
        }
        // The kernel takes the scope from the host name of the thread that starts the server.
        try write("\(threadCount)\n", to: "threads", as: scope, mapper)
    }

    /// Gives the server sockets of ours: only those does the kernel tell rpcbind of, where clients of version 3 ask.
    private static func listenAnnounced() throws(SystemError) {
        for host in ["0.0.0.0", "::"] {
            guard let address = SocketAddress(host: host, port: 2049) else { continue }
            do throws(SystemError) {
                let socket = try SocketListener(tcp: address)
                // The server holds it from here on.
                try SmallFile.write("\(socket.descriptor.raw)\n", to: "\(directory)/portlist")
            } catch {
                // A machine without IPv6.
                guard error.code == EAFNOSUPPORT, host == "::" else { throw error }
            }
        }
    }

    /// Ends all threads, and with them every client's state, lock, open file and connection; returns when they have
    /// ended. Not running is a success. Hangs as long as a request of theirs does.
    public static func stop(mapper: String) throws(SystemError) {
        guard access("\(directory)/threads", F_OK) == 0 else { return }
        try write("0\n", to: "threads", mapper)
    }

    /// Writes what makes the kernel ask rpcbind for something. With nothing in its place that takes longer once in a while.
    private static func write(
        _ text: String, to name: String, as scope: String? = nil, _ mapper: String
    ) throws(SystemError) {
        let file = "\(directory)/\(name)"
        var code: Int32?
        if PortMapperStandIn.isNeeded {
            do throws(SystemError) {
                let standIn = try PortMapperStandIn(in: mapper)
                code = standIn.write(text, to: file, as: scope)
            } catch {
                // It costs time, once in a while, and not the step. What is wrong with the directory is said beforehand.
            }
        }
        let result = code ?? clinux_write_apart(file, text, scope, nil)
        guard result == 0 else { throw SystemError(operation: "write", subject: file, code: result) }
    }

    /// Where the grace periods of version 4 and of version 3's locks are told and ended.
    private static let graceFiles = ["\(directory)/v4_end_grace", "/proc/fs/lockd/nlm_end_grace"]

    /// Whether new locks still wait for clients of the old server: in either of the two periods, since each holds up the
    /// locks of both.
    public static func isInGrace() throws(SystemError) -> Bool {
        for file in graceFiles {
            do throws(SystemError) { if try SmallFile.read(file).hasPrefix("N") { return true } } catch {
                // Without its module, or its server, that period is none.
                guard error.code == ENOENT else { throw error }
            }
        }
        return false
    }

    /// Ends the grace periods now.
    public static func endGrace() throws(SystemError) {
        for file in graceFiles {
            do throws(SystemError) {
                guard try SmallFile.read(file).hasPrefix("N") else { continue }
                try SmallFile.write("Y\n", to: file)
            } catch {
                guard error.code == ENOENT else { throw error }
            }
        }
    }
}
