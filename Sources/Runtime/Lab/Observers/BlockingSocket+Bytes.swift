import CLinux
import Glibc

/// TCP over IPv4 for the lab's own small programs, which speak to machines and to nobody else.
enum BlockingSocket {
    /// An address such as 192.168.56.100 and a port, as the kernel takes them.
    private static func withAddress<Result>(
        _ address: String, _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) throws(LabError) -> Result {
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = port.bigEndian
        guard inet_pton(AF_INET, address, &name.sin_addr) == 1 else {
            throw LabError("'\(address)' is no address")
        }
        return withUnsafePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    /// A socket that listens.
    static func listen(_ address: String, _ port: UInt16) throws(LabError) -> Int32 {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard listener >= 0 else { throw LabError("a socket", code: errno) }
        var on: Int32 = 1
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        let bound = try withAddress(address, port) { bind(listener, $0, $1) }
        guard bound == 0, Glibc.listen(listener, 16) == 0 else {
            let code = errno
            close(listener)
            throw LabError("listen on \(address):\(port)", code: code)
        }
        return listener
    }

    /// Connects within a time; gives the connection, blocking, or why there is none (ETIMEDOUT, ECONNREFUSED).
    static func connect(_ address: String, _ port: UInt16, milliseconds: Int32) throws(LabError) -> (
        socket: Int32?, code: Int32
    ) {
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let connection = socket(AF_INET, kind, 0)
        guard connection >= 0 else { throw LabError("a socket", code: errno) }
        let begun = try withAddress(address, port) { Glibc.connect(connection, $0, $1) }
        var code: Int32 = begun == 0 ? 0 : errno
        if code == EINPROGRESS {
            var event = pollfd(fd: connection, events: Int16(POLLOUT), revents: 0)
            if poll(&event, 1, milliseconds) == 1 {
                var length = socklen_t(MemoryLayout<Int32>.size)
                getsockopt(connection, SOL_SOCKET, SO_ERROR, &code, &length)
            } else {
                code = ETIMEDOUT
            }
        }
        guard code == 0 else {
            close(connection)
            return (nil, code)
        }
        let flags = fcntl(connection, F_GETFL)
        _ = fcntl(connection, F_SETFL, flags & ~O_NONBLOCK)
        return (connection, 0)
    }

    /// Sends all of it; false when the other side is gone.
    static func send(_ bytes: ArraySlice<UInt8>, to socket: Int32) -> Bool {
        bytes.withUnsafeBytes { raw in
            var sent = 0
            while sent < raw.count, let base = raw.baseAddress {
                let count = Glibc.send(socket, base + sent, raw.count - sent, Int32(MSG_NOSIGNAL))
                if count < 0 && errno == EINTR { continue }
                guard count > 0 else { return false }
                sent += count
            }
            return true
        }
    }

    /// What has come; empty at the end, and when the other side is gone.
    static func receive(from socket: Int32) -> ArraySlice<UInt8> {
        var buffer = [UInt8](repeating: 0, count: 262_144)
        while true {
            let count = recv(socket, &buffer, buffer.count, 0)
            if count < 0 && errno == EINTR { continue }
            return buffer[..<max(0, count)]
        }
    }

    /// Which of these have something to read, within a time.
    static func readable(_ sockets: [Int32], milliseconds: Int32) -> Set<Int32> {
        var events = sockets.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        guard poll(&events, nfds_t(events.count), milliseconds) > 0 else { return [] }
        return Set(events.filter { $0.revents != 0 }.map(\.fd))
    }
}
