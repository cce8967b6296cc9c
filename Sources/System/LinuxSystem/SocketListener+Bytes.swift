import CLinux
import Glibc

/// A listening TCP or Unix stream socket. Never blocks. A Unix socket's file is removed when this owner ends.
public struct SocketListener: ~Copyable, Sendable {
    /// The socket itself, for poll or a ring.
    public let descriptor: Descriptor
    /// The file of a Unix socket; nil for TCP.
    public let path: String?

    /// Listens for TCP connections on `address`; port 0 lets the kernel choose (`localAddress` tells).
    ///
    /// EADDRINUSE names the address and port that another process holds; EADDRNOTAVAIL one that this machine
    /// lacks.
    public init(
        tcp address: SocketAddress, backlog: Int32 = 64, options: SocketOptions = SocketOptions()
    ) throws(SystemError) {
        let socket = try Self.opened(address.family, "\(address)")
        try Self.bind(socket.raw, to: address, options)
        try Self.listen(socket.raw, backlog, "\(address)")
        self.init(socket, path: nil)
    }

    private init(_ descriptor: consuming Descriptor, path: String?) {
        self.descriptor = descriptor
        self.path = path
    }

    private static func bind(
        _ socket: Int32, to address: SocketAddress, _ options: SocketOptions
    ) throws(SystemError) {
        // A restarted process may bind while connections of its predecessor are still in TIME_WAIT.
        try SocketOptions.set(socket, SOL_SOCKET, SO_REUSEADDR, 1, "set SO_REUSEADDR of", "\(address)")
        if address.family == AF_INET6 {
            try SocketOptions.set(
                socket, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 1, "set IPV6_V6ONLY of", "\(address)")
        }
        try options.apply(to: socket, subject: "\(address)")
        guard address.withKernelForm({ Glibc.bind(socket, $0, $1) }) == 0 else {
            throw SystemError(operation: "listen on", subject: "\(address)", code: errno)
        }
    }

    /// Listens on a Unix stream socket at `path`, its file of mode 0600 from its first moment.
    ///
    /// A file left by a dead process is replaced; EADDRINUSE when a living one listens there, or when the file
    /// there is no socket.
    public init(unixPath path: String, backlog: Int32 = 16) throws(SystemError) {
        let socket = try Self.opened(AF_UNIX, path)
        // Linux gives the file of bind(2) the mode of the socket's own inode, less the umask.
        guard clinux_socket_mode(socket.raw, 0o600) == 0 else {
            throw SystemError(operation: "set the mode of", subject: path, code: errno)
        }
        var code = UnixPath.bind(socket.raw, path)
        if code == EADDRINUSE && UnixPath.isAbandonedSocket(path) {
            unlink(path)
            code = UnixPath.bind(socket.raw, path)
        }
        guard code == 0 else { throw SystemError(operation: "listen on", subject: path, code: code) }
        try Self.listen(socket.raw, backlog, path)
        self.init(socket, path: path)
    }

    private static func opened(_ family: Int32, _ subject: String) throws(SystemError) -> Descriptor {
        let number = clinux_stream_socket(family)
        guard number >= 0 else { throw SystemError(operation: "socket for", subject: subject, code: errno) }
        return Descriptor(adopting: number)
    }

    private static func listen(_ socket: Int32, _ backlog: Int32, _ subject: String) throws(SystemError) {
        guard Glibc.listen(socket, backlog) == 0 else {
            throw SystemError(operation: "listen on", subject: subject, code: errno)
        }
    }

    /// The next connection that waits, nil when none does. A connection that died while it waited is passed over.
    public func accept(options: SocketOptions = SocketOptions()) throws(SystemError) -> SocketStream? {
        while true {
            let number = clinux_accept(descriptor.raw)
            if number >= 0 {
                let stream = SocketStream(adopting: Descriptor(adopting: number))
                if path == nil { try options.apply(to: number, subject: "an accepted connection") }
                return stream
            }
            switch errno {
            case EAGAIN: return nil
            case EINTR, ECONNABORTED, EPROTO: continue
            default: throw SystemError(operation: "accept on", subject: subject, code: errno)
            }
        }
    }

    /// Where a TCP socket listens, with the port that the kernel chose.
    public var localAddress: SocketAddress? { SocketAddress.ask(getsockname, descriptor.raw) }

    private var subject: String { path ?? localAddress.map { "\($0)" } ?? "a socket" }

    deinit {
        // Before the descriptor closes: as long as it is open no successor takes the file for abandoned.
        if let path { unlink(path) }
    }
}

/// Paths of Unix sockets in the kernel's form.
enum UnixPath {
    /// Calls `body` with the kernel's form of `path`; nil when it is too long (107 bytes) or empty.
    static func withKernelForm<Result>(
        _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result? {
        var form = sockaddr_un()
        form.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard !bytes.isEmpty, bytes.count < MemoryLayout.size(ofValue: form.sun_path) else { return nil }
        withUnsafeMutableBytes(of: &form.sun_path) { $0.copyBytes(from: bytes) }
        return withUnsafePointer(to: &form) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }

    /// bind(2): 0 or an errno.
    static func bind(_ socket: Int32, _ path: String) -> Int32 {
        withKernelForm(path) { Glibc.bind(socket, $0, $1) == 0 ? 0 : errno } ?? ENAMETOOLONG
    }

    /// Whether `path` is a socket on which nobody listens any more.
    static func isAbandonedSocket(_ path: String) -> Bool {
        var status = stat()
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK else { return false }
        do {
            _ = try SocketStream.connected(toUnixPath: path)
            return false
        } catch {
            return error.code == ECONNREFUSED
        }
    }
}
