public import Basics
import CLinux
import Glibc
public import LinuxSystem

/// The kernel's NFS server (nfsd), by its files in /proc/fs/nfsd. There is one for each network namespace.
///
/// NFS 4.1 and 4.2 over TCP, port 2049. Needs root and the module `nfsd`.
public enum FileServer {
    /// Where its files are.
    static let directory = "/proc/fs/nfsd"

    /// Threads that serve clients.
    public static let threadCount = 8
    /// How long a client's state lives without a word from it, and how long a new server waits for clients of the old
    /// one: the kernel's usual 90 s. It ends the wait by itself when every recorded client has come back.
    public static let lease = Interval.seconds(90)

    /// Mounts the server's files if they are not mounted. Throws ENODEV without the module.
    public static func openFiles() throws(SystemError) {
        guard try MountTable.read().entry(at: directory) == nil else { return }
        guard clinux_mount("nfsd", directory, "nfsd", 0, "") == 0 || errno == EBUSY else {
            throw SystemError(operation: "mount nfsd", subject: directory, code: errno)
        }
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

    /// Starts it for a scope, the name that clients know the server by (at most 64 bytes): the same on both nodes, or
    /// clients lose their locks. Throws EALREADY while threads run.
    public static func start(scope: String) throws(SystemError) {
        guard try threads() == 0 else {
            throw SystemError(operation: "start nfsd", subject: "its threads run", code: EALREADY)
        }
        // A kernel that was built without version 2 does not know its name.
        _ = Result { () throws(SystemError) in try SmallFile.write("-2\n", to: "\(directory)/versions") }
        try SmallFile.write("-3 +4 -4.0 +4.1 +4.2\n", to: "\(directory)/versions")
        let seconds = "\(lease.nanoseconds / 1_000_000_000)\n"
        try SmallFile.write(seconds, to: "\(directory)/nfsv4leasetime")
        try SmallFile.write(seconds, to: "\(directory)/nfsv4gracetime")
        try SmallFile.write("tcp 2049\n", to: "\(directory)/portlist")
        // The kernel takes the scope from the host name of the thread that starts the server.
        let code = clinux_write_as_host("\(directory)/threads", "\(threadCount)\n", scope)
        guard code == 0 else {
            throw SystemError(
                operation: "start nfsd as \(scope)", subject: "\(directory)/threads", code: code)
        }
    }

    /// Ends all threads, and with them every client's state, lock, open file and connection; returns when they have
    /// ended. Not running is a success. Hangs as long as a request of theirs does.
    public static func stop() throws(SystemError) {
        do throws(SystemError) { try SmallFile.write("0\n", to: "\(directory)/threads") } catch {
            guard error.code == ENOENT else { throw error }
        }
    }

    /// Whether new locks still wait for clients of the old server.
    public static func isInGrace() throws(SystemError) -> Bool {
        try SmallFile.read("\(directory)/v4_end_grace").hasPrefix("N")
    }

    /// Ends the grace period now.
    public static func endGrace() throws(SystemError) {
        try SmallFile.write("Y\n", to: "\(directory)/v4_end_grace")
    }
}
