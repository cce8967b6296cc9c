import CLinux
import Glibc

/// What one non-blocking read or write moved.
public enum SocketTransfer: Sendable, Equatable {
    /// So many bytes, at least one.
    case moved(Int)
    /// Nothing now: wait until poll says ready.
    case wouldBlock
    /// The peer has ended its sending side (reads only).
    case ended
}

/// A connected, or connecting, TCP or Unix stream socket. Never blocks.
public struct SocketStream: ~Copyable, Sendable {
    /// The socket itself, for poll or a ring.
    public let descriptor: Descriptor

    /// Takes over a non-blocking stream socket.
    public init(adopting descriptor: consuming Descriptor) { self.descriptor = descriptor }

    /// Begins a TCP connection to `address`, bound to `source` (its port may be 0) when given.
    ///
    /// The connection is in progress when this returns: wait until it is writable, then ask `finishConnecting`.
    public static func connecting(
        to address: SocketAddress, from source: SocketAddress? = nil, options: SocketOptions = SocketOptions()
    ) throws(SystemError) -> SocketStream {
        let number = clinux_stream_socket(address.family)
        guard number >= 0 else {
            throw SystemError(operation: "socket for", subject: "\(address)", code: errno)
        }
        let stream = SocketStream(adopting: Descriptor(adopting: number))
        try options.apply(to: number, subject: "the connection to \(address)")
        if let source {
            guard source.withKernelForm({ bind(number, $0, $1) }) == 0 else {
                throw SystemError(operation: "bind to", subject: "\(source)", code: errno)
            }
        }
        try stream.begin(address.withKernelForm { connect(number, $0, $1) }, subject: "\(address)")
        return stream
    }

    /// Connects to the Unix stream socket at `path`. ECONNREFUSED: nobody listens; EAGAIN: its queue is full.
    public static func connected(toUnixPath path: String) throws(SystemError) -> SocketStream {
        let number = clinux_stream_socket(AF_UNIX)
        guard number >= 0 else { throw SystemError(operation: "socket for", subject: path, code: errno) }
        let stream = SocketStream(adopting: Descriptor(adopting: number))
        guard let status = UnixPath.withKernelForm(path, { connect(number, $0, $1) }) else {
            throw SystemError(operation: "connect to", subject: path, code: ENAMETOOLONG)
        }
        guard status == 0 else { throw SystemError(operation: "connect to", subject: path, code: errno) }
        return stream
    }

    private func begin(_ status: Int32, subject: String) throws(SystemError) {
        guard status == 0 || errno == EINPROGRESS || errno == EINTR else {
            throw SystemError(operation: "connect to", subject: subject, code: errno)
        }
    }

    /// After the socket became writable: throws why the connection to `address` failed, if it did.
    public func finishConnecting(to address: SocketAddress) throws(SystemError) {
        var code: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        if getsockopt(descriptor.raw, SOL_SOCKET, SO_ERROR, &code, &length) != 0 { code = errno }
        guard code == 0 else { throw SystemError(operation: "connect to", subject: "\(address)", code: code) }
    }

    /// Our end; nil for a Unix socket.
    public var localAddress: SocketAddress? { SocketAddress.ask(getsockname, descriptor.raw) }

    /// The peer's end; nil for a Unix socket and before the connection stands.
    public var peerAddress: SocketAddress? { SocketAddress.ask(getpeername, descriptor.raw) }

    /// recv(2) into `region`, which is not empty.
    public func read(into region: UnsafeMutableRawBufferPointer) throws(SystemError) -> SocketTransfer {
        precondition(!region.isEmpty, "reading into no room would look like the end of the stream")
        while true {
            let count = recv(descriptor.raw, region.baseAddress, region.count, 0)
            if count > 0 { return .moved(count) }
            if count == 0 { return .ended }
            if errno == EAGAIN { return .wouldBlock }
            if errno != EINTR { throw failure("receive from", errno) }
        }
    }

    /// send(2) of `region`, which is not empty; may take less than all of it. No SIGPIPE: EPIPE instead.
    public func write(_ region: UnsafeRawBufferPointer) throws(SystemError) -> SocketTransfer {
        guard let base = region.baseAddress, !region.isEmpty else { preconditionFailure("writing nothing") }
        while true {
            let count = clinux_send(descriptor.raw, base, region.count)
            if count >= 0 { return .moved(count) }
            if errno == EAGAIN { return .wouldBlock }
            if errno != EINTR { throw failure("send to", errno) }
        }
    }

    /// recv(2) of at most `limit` bytes (1 or more), appended to `bytes`.
    public func read(appendingTo bytes: inout [UInt8], limit: Int) throws(SystemError) -> SocketTransfer {
        let start = bytes.count
        bytes.append(contentsOf: repeatElement(0, count: limit))
        var kept = 0
        defer { bytes.removeLast(limit - kept) }
        let transfer = try bytes.withUnsafeMutableBytes { raw in
            attempt { () throws(SystemError) in
                try read(into: UnsafeMutableRawBufferPointer(rebasing: raw[start...]))
            }
        }.get()
        if case .moved(let count) = transfer { kept = count }
        return transfer
    }

    /// send(2) of `bytes`, which is not empty; may take less than all of it.
    public func write(_ bytes: ArraySlice<UInt8>) throws(SystemError) -> SocketTransfer {
        try bytes.withUnsafeBytes { raw in attempt { () throws(SystemError) in try write(raw) } }.get()
    }

    /// Carries a typed error out of the standard library's closures, which would widen it.
    private func attempt(
        _ body: () throws(SystemError) -> SocketTransfer
    ) -> Result<SocketTransfer, SystemError> {
        do { return .success(try body()) } catch { return .failure(error) }
    }

    /// Ends our sending side; what was sent still arrives, then the peer reads the end.
    public func endSending() { _ = shutdown(descriptor.raw, Int32(SHUT_WR)) }

    /// The close of the connection will be a reset: for a peer that would take a plain end for the end of a message.
    public func resetOnClose() {
        var option = linger(l_onoff: 1, l_linger: 0)
        // Where it fails the connection is broken already.
        _ = setsockopt(descriptor.raw, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
    }

    /// Ends both sides at once; a peer or thread that waits on it wakes.
    public func endBoth() { _ = shutdown(descriptor.raw, Int32(SHUT_RDWR)) }

    private func failure(_ operation: String, _ code: Int32) -> SystemError {
        SystemError(operation: operation, subject: peerAddress.map { "\($0)" } ?? "the peer", code: code)
    }
}
