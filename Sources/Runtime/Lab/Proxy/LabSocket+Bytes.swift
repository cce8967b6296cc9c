import Basics
import CLinux
import Glibc

/// One TCP socket on loopback that never blocks: what clients and origins of the proxy's proofs speak through.
final class LabSocket: Sendable {
    /// What a read gave.
    enum Received: Equatable {
        case bytes([UInt8])
        /// Nothing is there now.
        case nothing
        /// The other side has ended its sending.
        case ended
        /// The connection is broken: reset, or never made.
        case failed
    }

    let descriptor: Int32

    private init(_ descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    private static func address(_ port: Int) -> sockaddr_in {
        var form = sockaddr_in()
        form.sin_family = sa_family_t(AF_INET)
        form.sin_port = UInt16(truncatingIfNeeded: port).bigEndian
        form.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return form
    }

    private static func call(
        _ port: Int, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        var form = address(port)
        return withUnsafePointer(to: &form) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    /// Begins a connection to a port of 127.0.0.1; what becomes of it, the first read or write tells.
    static func connect(to port: Int) throws(LabError) -> LabSocket {
        let number = clinux_stream_socket(AF_INET)
        guard number >= 0 else { throw LabError("socket", code: errno) }
        let socket = LabSocket(number)
        let status = call(port) { Glibc.connect(number, $0, $1) }
        guard status == 0 || errno == EINPROGRESS || errno == ECONNREFUSED else {
            throw LabError("connect to port \(port)", code: errno)
        }
        return socket
    }

    /// Listens on a port of 127.0.0.1; 0 lets the kernel choose.
    static func listen(on port: Int) throws(LabError) -> LabSocket {
        let number = clinux_stream_socket(AF_INET)
        guard number >= 0 else { throw LabError("socket", code: errno) }
        let socket = LabSocket(number)
        var on: Int32 = 1
        setsockopt(number, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        guard call(port, { bind(number, $0, $1) }) == 0, Glibc.listen(number, 1024) == 0 else {
            throw LabError("listen on port \(port)", code: errno)
        }
        return socket
    }

    /// The port of this end.
    var port: Int {
        var form = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        _ = withUnsafeMutablePointer(to: &form) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                getsockname(descriptor, $0, &length)
            }
        }
        return Int(UInt16(bigEndian: form.sin_port))
    }

    /// The next connection that waits; nil when none does.
    func accept() -> LabSocket? {
        let number = clinux_accept(descriptor)
        return number >= 0 ? LabSocket(number) : nil
    }

    func read() -> Received {
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            if count > 0 { return .bytes(Array(buffer[..<count])) }
            if count == 0 { return .ended }
            switch errno {
            case EINTR: continue
            case EAGAIN: return .nothing
            default: return .failed
            }
        }
    }

    /// How many of the bytes the connection took; nil when it is broken.
    func write(_ bytes: ArraySlice<UInt8>) -> Int? {
        while true {
            let count = bytes.withUnsafeBytes { raw in
                raw.baseAddress.map { send(descriptor, $0, raw.count, Int32(MSG_NOSIGNAL)) } ?? 0
            }
            if count >= 0 { return count }
            switch errno {
            case EINTR: continue
            case EAGAIN: return 0
            default: return nil
            }
        }
    }

    /// Ends our sending side.
    func endSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Makes the close a reset.
    func resetOnClose() {
        var form = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &form, socklen_t(MemoryLayout<linger>.size))
    }

    /// Waits until one of the sockets can be read, or written where asked, or until the time has passed.
    static func wait(_ sockets: [(socket: LabSocket, writes: Bool)], _ limit: Interval) {
        var entries = sockets.map {
            pollfd(
                fd: $0.socket.descriptor, events: Int16(POLLIN) | ($0.writes ? Int16(POLLOUT) : 0), revents: 0
            )
        }
        poll(&entries, nfds_t(entries.count), Int32(clamping: limit.wholeMilliseconds))
    }
}
