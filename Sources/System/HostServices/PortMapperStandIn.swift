import Basics
import CLinux
import Glibc
import LinuxSystem

/// Answers the kernel in the place of rpcbind(8), for as long as it lives, where rpcbind does not run.
///
/// When its NFS server starts and ends, the kernel asks rpcbind to forget it, also one that rpcbind was never told of. It
/// asks several times, and a connection that is refused and not yet cleared away when it asks again makes it wait for 3 s:
/// 5 of 220 ends of a server took that much longer (Docs/Decisions/0016). It looks for rpcbind's socket under the root
/// directory of the thread that starts or ends the server; `directory` is to be that root.
///
/// Calls, replies and their marks: RFC 5531, sections 9 and 11; the procedures: RFC 1833.
struct PortMapperStandIn: ~Copyable {
    /// Where rpcbind listens, under the machine's root or ours.
    private static let path = "/var/run/rpcbind.sock"

    /// The root of the thread that speaks with the kernel.
    private let directory: String
    private let served: Served
    private let thread: SystemThread

    private final class Served: Sendable {
        let listener: SocketListener
        let end: EventCounter

        init(_ path: String) throws(SystemError) {
            end = try EventCounter()
            listener = try SocketListener(unixPath: path)
        }
    }

    /// Whether neither rpcbind nor systemd for it listens.
    static var isNeeded: Bool { (try? SocketStream.connected(toUnixPath: path)) == nil }

    /// Makes `directory` and the socket in it, and answers from a thread of its own.
    init(in directory: String) throws(SystemError) {
        for part in ["", "/var", "/var/run"] where mkdir(directory + part, 0o700) != 0 && errno != EEXIST {
            throw SystemError(operation: "make the directory", subject: directory + part, code: errno)
        }
        let served = try Served(directory + Self.path)
        let thread = try SystemThread(name: "port-mapper") {
            // The kernel has one connection, and speaks on with another after a failure.
            while Self.wait(for: served.listener.descriptor.raw, served.end) {
                guard let stream = try? served.listener.accept() else { continue }
                try? Self.converse(stream, served.end)
            }
        }
        self.directory = directory
        self.served = served
        self.thread = thread
    }

    /// `clinux_write_apart` with this in rpcbind's place.
    func write(_ text: String, to file: String, as host: String?) -> Int32 {
        clinux_write_apart(file, text, host, directory)
    }

    deinit { served.end.signal() }

    /// Whether something came before the end did.
    private static func wait(for descriptor: Int32, _ end: borrowing EventCounter) -> Bool {
        var poll = PollSet()
        poll.add(descriptor, .readable)
        let ending = poll.add(end.descriptor.raw, .readable)
        guard (try? poll.wait(until: .never)) != nil else { return false }
        return poll.ready(at: ending) == []
    }

    private static func converse(
        _ stream: borrowing SocketStream, _ end: borrowing EventCounter
    ) throws(SystemError) {
        var bytes: [UInt8] = []
        while wait(for: stream.descriptor.raw, end) {
            switch try stream.read(appendingTo: &bytes, limit: 4096) {
            case .moved: break
            case .wouldBlock: continue
            case .ended: return
            }
            // A socket takes these few bytes whole.
            while let reply = reply(to: &bytes) { _ = try stream.write(reply[...]) }
            guard bytes.count < 65536 else { return }
        }
    }

    /// Takes the first whole call from `bytes` and gives its reply: done, whatever it asks for; nil when there is none.
    static func reply(to bytes: inout [UInt8]) -> [UInt8]? {
        var mark = ByteReader(bytes)
        let length = Int(mark.readUInt32() & 0x7FFF_FFFF)
        guard mark.isValid, bytes.count >= 4 + length else { return nil }
        var call = ByteReader(Array(bytes[4..<4 + length]))
        bytes.removeFirst(4 + length)
        let number = call.readUInt32()
        // Its kind, the version of RPC, the program and its version.
        for _ in 0..<4 { _ = call.readUInt32() }
        let hasResult = call.readUInt32() != 0
        // Less is no call; without a reply the kernel gives up by itself.
        guard call.isValid else { return reply(to: &bytes) }
        var writer = ByteWriter(capacity: 32)
        writer.write(0x8000_0000 | UInt32(hasResult ? 28 : 24))
        writer.write(number)
        // A reply, accepted, verified by nothing of no length, successful; and true.
        for value: UInt32 in [1, 0, 0, 0, 0] { writer.write(value) }
        if hasResult { writer.write(UInt32(1)) }
        return writer.bytes
    }
}
