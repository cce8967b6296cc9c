import Basics
import ControlPlane
import Glibc
public import LinuxSystem
import Synchronization
public import Telemetry

/// Keeps what the operator wants of servers in a file, on a thread of its own: a disk that is slow stops no request.
public final class ProxyAdminStore: Sendable {
    /// What is called when a version is on the disk, or could not be written.
    typealias Written = @Sendable (SystemError?) -> Void

    /// Bytes of the file: what is read of it, and room for a thousand servers.
    static let byteMaximum = 65536

    private struct Mailbox {
        var newest: ProxyAdmin?
        var waiting: [Written] = []
        var isStopping = false
    }

    /// The file; its directory is made when it is missing.
    public let path: String
    private let mailbox = Mutex(Mailbox())
    private let wake: EventCounter

    public init(path: String) throws(SystemError) {
        self.path = path
        wake = try EventCounter()
    }

    /// What is in the file. One that cannot be understood counts as none: the servers are ready, and the journal says so.
    public func load(journal: Journal) -> ProxyAdmin {
        do throws(SystemError) {
            let text = try SmallFile.read(path)
            do throws(ProxyAdminError) {
                return try ProxyAdmin(text: text)
            } catch {
                journal.record(
                    "admin-state-unreadable", level: .warning,
                    ["file": path, "reason": error.reason, "effect": "all servers are ready; drain anew"])
            }
        } catch {
            if error.code != ENOENT {
                journal.record(
                    "admin-state-unreadable", level: .warning,
                    ["file": path, "reason": error, "effect": "all servers are ready; drain anew"])
            }
        }
        return ProxyAdmin()
    }

    /// Writes it soon, this version or one after it; then `written` is called, on the store's thread.
    func save(_ admin: ProxyAdmin, then written: @escaping Written) {
        mailbox.withLock { box in
            box.newest = admin
            box.waiting.append(written)
        }
        wake.signal()
    }

    /// Writes what is to be written until `stop`: the body of the thread.
    public func run() {
        var poll = PollSet()
        poll.add(wake.descriptor.raw, .readable)
        while true {
            wake.drain()
            let box = mailbox.withLock { box in
                defer { (box.newest, box.waiting) = (nil, []) }
                return box
            }
            if let newest = box.newest {
                let failure = write(newest)
                for written in box.waiting { written(failure) }
            }
            if box.isStopping { return }
            do throws(SystemError) { try poll.wait(until: .never) } catch { usleep(200_000) }
        }
    }

    /// Ends `run`, after what is to be written is.
    public func stop() {
        mailbox.withLock { $0.isStopping = true }
        wake.signal()
    }

    private func write(_ admin: ProxyAdmin) -> SystemError? {
        do throws(SystemError) {
            let bytes = Array(admin.text.utf8)
            guard bytes.count < Self.byteMaximum else {
                throw SystemError(operation: "write", subject: path, code: EFBIG)
            }
            if let slash = path.lastIndex(of: "/"), slash != path.startIndex {
                try FileTree.makeDirectory(String(path[..<slash]), mode: 0o700)
            }
            try FileTree.replace(path, with: bytes)
            return nil
        } catch {
            return error
        }
    }
}
