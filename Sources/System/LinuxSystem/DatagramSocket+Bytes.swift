import CLinux
import Glibc

/// A datagram socket: what is sent arrives whole or not at all. Never blocks.
public struct DatagramSocket: ~Copyable, Sendable {
    /// The socket itself, for poll.
    public let descriptor: Descriptor
    private let subject: String

    private init(adopting descriptor: consuming Descriptor, subject: String) {
        self.descriptor = descriptor
        self.subject = subject
    }

    private static func opened(_ family: Int32, _ subject: String) throws(SystemError) -> DatagramSocket {
        let number = clinux_datagram_socket(family)
        guard number >= 0 else { throw SystemError(operation: "socket for", subject: subject, code: errno) }
        return DatagramSocket(adopting: Descriptor(adopting: number), subject: subject)
    }

    /// Sends to the UDP port at `address`. Whether anybody is there shows later, if at all.
    public static func sending(to address: SocketAddress) throws(SystemError) -> DatagramSocket {
        let socket = try opened(address.family, "\(address)")
        guard address.withKernelForm({ connect(socket.descriptor.raw, $0, $1) }) == 0 else {
            throw SystemError(operation: "connect to", subject: "\(address)", code: errno)
        }
        return socket
    }

    /// Sends to the Unix socket at `path`, such as /dev/log. ENOENT, ECONNREFUSED: nobody is there.
    public static func sending(toUnixPath path: String) throws(SystemError) -> DatagramSocket {
        let socket = try opened(AF_UNIX, path)
        let status = UnixPath.withKernelForm(path) { connect(socket.descriptor.raw, $0, $1) }
        guard let status else {
            throw SystemError(operation: "connect to", subject: path, code: ENAMETOOLONG)
        }
        guard status == 0 else { throw SystemError(operation: "connect to", subject: path, code: errno) }
        return socket
    }

    /// Receives at the UDP port of `address`; 0 asks the kernel for a free one.
    public static func receiving(at address: SocketAddress) throws(SystemError) -> DatagramSocket {
        let socket = try opened(address.family, "\(address)")
        guard address.withKernelForm({ bind(socket.descriptor.raw, $0, $1) }) == 0 else {
            throw SystemError(operation: "bind to", subject: "\(address)", code: errno)
        }
        return socket
    }

    /// Receives at a Unix socket that is made at `path`; whoever asked for it removes it.
    public static func receiving(atUnixPath path: String) throws(SystemError) -> DatagramSocket {
        let socket = try opened(AF_UNIX, path)
        let code = UnixPath.bind(socket.descriptor.raw, path)
        guard code == 0 else { throw SystemError(operation: "bind to", subject: path, code: code) }
        return socket
    }

    /// Where a UDP socket receives.
    public var localAddress: SocketAddress? { SocketAddress.ask(getsockname, descriptor.raw) }

    /// One datagram. EAGAIN, ENOBUFS: no room now. ECONNREFUSED over UDP: an earlier one met nobody, and this one was
    /// not sent.
    public func send(_ bytes: [UInt8]) throws(SystemError) {
        while clinux_send(descriptor.raw, bytes, bytes.count) < 0 {
            if errno != EINTR { throw SystemError(operation: "send to", subject: subject, code: errno) }
        }
    }

    /// One datagram of at most `limit` bytes; nil when none is there.
    public func receive(limit: Int) throws(SystemError) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: limit)
        while true {
            let count = bytes.withUnsafeMutableBytes { recv(descriptor.raw, $0.baseAddress, $0.count, 0) }
            if count >= 0 { return Array(bytes[..<count]) }
            if errno == EAGAIN { return nil }
            if errno != EINTR { throw SystemError(operation: "receive at", subject: subject, code: errno) }
        }
    }
}
