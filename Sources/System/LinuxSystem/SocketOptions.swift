public import Basics
import Glibc

/// What a TCP socket of ours is set to. TCP_NODELAY is always on: frames are gathered by us, not by the kernel.
public struct SocketOptions: Sendable {
    /// TCP_USER_TIMEOUT: how long sent data may stay unacknowledged before the connection fails. Nil: the
    /// kernel's own 15 minutes and more.
    public var userTimeout: Interval?
    /// IP_FREEBIND: bind to an address that this machine does not have yet.
    public var bindsAbsentAddress = false
    /// SO_SNDBUF in bytes; nil leaves the kernel to grow it.
    public var sendBuffer: Int32?
    /// SO_RCVBUF in bytes; nil leaves the kernel to grow it.
    public var receiveBuffer: Int32?

    public init(userTimeout: Interval? = nil) { self.userTimeout = userTimeout }

    /// Sets them on a socket that is not bound yet.
    func apply(to socket: Int32, subject: String) throws(SystemError) {
        try Self.set(socket, Int32(IPPROTO_TCP), TCP_NODELAY, 1, "set TCP_NODELAY of", subject)
        if let userTimeout {
            let milliseconds = Int32(clamping: max(1, userTimeout.wholeMilliseconds))
            try Self.set(
                socket, Int32(IPPROTO_TCP), TCP_USER_TIMEOUT, milliseconds, "set TCP_USER_TIMEOUT of", subject
            )
        }
        if bindsAbsentAddress {
            // The option of IPv4 works on IPv6 sockets as well.
            try Self.set(socket, Int32(IPPROTO_IP), IP_FREEBIND, 1, "set IP_FREEBIND of", subject)
        }
        if let sendBuffer {
            try Self.set(socket, SOL_SOCKET, SO_SNDBUF, sendBuffer, "set SO_SNDBUF of", subject)
        }
        if let receiveBuffer {
            try Self.set(socket, SOL_SOCKET, SO_RCVBUF, receiveBuffer, "set SO_RCVBUF of", subject)
        }
    }

    /// setsockopt(2) of one integer.
    static func set(
        _ socket: Int32, _ level: Int32, _ name: Int32, _ value: Int32, _ operation: String, _ subject: String
    ) throws(SystemError) {
        var value = value
        guard setsockopt(socket, level, name, &value, socklen_t(MemoryLayout<Int32>.size)) == 0 else {
            throw SystemError(operation: operation, subject: subject, code: errno)
        }
    }
}
