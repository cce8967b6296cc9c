public import Basics
import Glibc
public import LinuxSystem

/// One TCP connection of a local address.
public struct TCPConnection: Sendable, Hashable {
    public var local: IPv4Address
    public var localPort: UInt16
    public var remote: IPv4Address
    public var remotePort: UInt16

    public init(local: IPv4Address, localPort: UInt16, remote: IPv4Address, remotePort: UInt16) {
        self.local = local
        self.localPort = localPort
        self.remote = remote
        self.remotePort = remotePort
    }
}

/// The kernel's TCP connections, by sock_diag: what `ss` and `ss -K` do, without a process.
///
/// Connections that a server on an IPv6 socket accepted over IPv4 are listed too. Listening sockets are not:
/// they belong to their server.
public enum TCPConnections {
    private static let byFamily: UInt16 = 20
    private static let destroy: UInt16 = 21
    /// All states but LISTEN (10) and TIME_WAIT (6), which answers nothing.
    private static let states: UInt32 = 0xFFF & ~(1 << 10) & ~(1 << 6)
    private static let mapped: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]

    private struct Entry {
        var connection: TCPConnection
        var family: UInt8
        /// The kernel's struct inet_diag_sockid, sent back as it came.
        var identity: [UInt8]
    }

    /// The connections of a local address.
    public static func of(_ local: IPv4Address) throws(SystemError) -> [TCPConnection] {
        try entries(of: local).map(\.connection)
    }

    /// Destroys the connections of a local address; their owners read ECONNABORTED. Returns how many there
    /// were. Throws EOPNOTSUPP where the kernel was built without CONFIG_INET_DIAG_DESTROY. Needs
    /// CAP_NET_ADMIN.
    ///
    /// Once the address is gone the peer is not told; while it is there it gets a reset.
    public static func destroy(of local: IPv4Address) throws(SystemError) -> Int {
        var count = 0
        var socket = try NetlinkSocket(.diagnostics)
        for entry in try entries(of: local) {
            let number = socket.nextSequence()
            let message = request(
                destroy, flags: NetlinkSocket.acknowledge, number, family: entry.family,
                identity: entry.identity)
            do {
                try socket.transact(message, from: number, to: number, "destroy connections", "\(local)")
                count += 1
            } catch  where error.code == ENOENT {
                // It ended by itself meanwhile.
            }
        }
        return count
    }

    private static func request(
        _ type: UInt16, flags: UInt16, _ number: UInt32, family: UInt8, identity: [UInt8]
    ) -> [UInt8] {
        var message = NetlinkMessage(type: type, flags: NetlinkSocket.request | flags, sequence: number)
        message.append([family, UInt8(IPPROTO_TCP), 0, 0])
        message.append(states)
        message.append(identity)
        return message.finished
    }

    private static func entries(of local: IPv4Address) throws(SystemError) -> [Entry] {
        var socket = try NetlinkSocket(.diagnostics)
        var entries: [Entry] = []
        for family in [UInt8(AF_INET), UInt8(AF_INET6)] {
            let replies = try socket.dump("list connections") { number in
                request(
                    byFamily, flags: NetlinkSocket.dump, number, family: family,
                    identity: [UInt8](repeating: 0, count: 48))
            }
            entries += replies.compactMap { entry($0, local) }
        }
        return entries
    }

    private static func entry(_ reply: NetlinkReply, _ local: IPv4Address) -> Entry? {
        // struct inet_diag_msg: family, state, timer, retransmits, then 48 bytes of identity.
        guard reply.body.count >= 52 else { return nil }
        let family = reply.body[0]
        let identity = Array(reply.body[4..<52])
        func address(_ offset: Int) -> IPv4Address? {
            let bytes = identity[offset..<offset + 16]
            if family == UInt8(AF_INET) { return IPv4Address(bytes: bytes.prefix(4)) }
            return bytes.prefix(12).elementsEqual(mapped) ? IPv4Address(bytes: bytes.suffix(4)) : nil
        }
        guard let source = address(4), source == local, let remote = address(20) else { return nil }
        func port(_ offset: Int) -> UInt16 { UInt16(identity[offset]) << 8 | UInt16(identity[offset + 1]) }
        return Entry(
            connection: TCPConnection(local: source, localPort: port(0), remote: remote, remotePort: port(2)),
            family: family, identity: identity)
    }
}
