public import Basics
import Glibc
public import LinuxSystem

/// A network interface as the kernel lists it.
public struct NetworkInterface: Sendable, Hashable {
    /// The kernel's number for it.
    public var index: UInt32
    public var name: String
    /// nil for an interface without an Ethernet address (lo, tunnels).
    public var hardware: MACAddress?
    /// Whether it is switched on and has a carrier.
    public var isRunning: Bool
}

/// An IPv4 address on an interface.
public struct InterfaceAddress: Sendable, Hashable {
    public var prefix: IPv4Prefix
    public var interface: UInt32
    /// Seconds until the kernel removes it by itself; nil when it stays.
    public var validSeconds: UInt32?
    /// Whether this program raised it (`NetworkInterfaces.protocolMark`); false on kernels before 5.18, which
    /// do not store the mark.
    public var isOurs: Bool
    /// Whether it shares its network with an older address of the interface, and goes with it.
    public var isSecondary: Bool
}

/// The kernel's interfaces and addresses, by rtnetlink: no process is started.
///
/// Each call opens a socket of its own, so that it may be used from any thread; changes need CAP_NET_ADMIN.
public enum NetworkInterfaces {
    /// The mark (IFA_PROTO) of addresses raised by this program: what a dead predecessor left is found by it.
    public static let protocolMark: UInt8 = 0x54

    private static let newAddress: UInt16 = 20
    private static let deleteAddress: UInt16 = 21
    private static let getAddress: UInt16 = 22
    private static let getLink: UInt16 = 18
    private static let noDuplicateDetection: UInt32 = 0x02
    private static let secondary: UInt32 = 0x01
    private static let noPrefixRoute: UInt32 = 0x200

    /// All interfaces.
    public static func all() throws(SystemError) -> [NetworkInterface] {
        var socket = try NetlinkSocket(.route)
        return try socket.dump("list interfaces") { number in
            var message = NetlinkMessage(
                type: getLink, flags: NetlinkSocket.request | NetlinkSocket.dump, sequence: number)
            message.append([UInt8](repeating: 0, count: 16))
            return message.finished
        }.compactMap(interface)
    }

    /// The interface of this name.
    public static func named(_ name: String) throws(SystemError) -> NetworkInterface? {
        try all().first { $0.name == name }
    }

    /// All IPv4 addresses.
    public static func addresses() throws(SystemError) -> [InterfaceAddress] {
        var socket = try NetlinkSocket(.route)
        return try socket.dump("list addresses") { number in
            var message = NetlinkMessage(
                type: getAddress, flags: NetlinkSocket.request | NetlinkSocket.dump, sequence: number)
            message.append([UInt8(AF_INET), 0, 0, 0, 0, 0, 0, 0])
            return message.finished
        }.compactMap(address)
    }

    /// The interface on whose network the address lies, and the address that the interface has there: what
    /// adverts for it are sent from. Of several the longest prefix; addresses raised by this program do not
    /// count.
    public static func serving(_ address: IPv4Address) throws(SystemError)
        -> (interface: NetworkInterface, own: IPv4Prefix)?
    {
        let candidates = try addresses().filter {
            !$0.isOurs && $0.prefix.address != address && $0.prefix.contains(address)
        }
        // A secondary address may be another cluster's; the interface's own comes first.
        let best = candidates.max {
            ($0.prefix.length, $0.isSecondary ? 0 : 1) < ($1.prefix.length, $1.isSecondary ? 0 : 1)
        }
        guard let best, let interface = try all().first(where: { $0.index == best.interface }) else {
            return nil
        }
        return (interface, best.prefix)
    }

    /// Adds the address, or renews its lifetime when it is there. After `lifetime` (whole seconds, at least
    /// 1) without a renewal the kernel removes it by itself, whatever has become of this process; nil keeps
    /// it.
    public static func raise(_ prefix: IPv4Prefix, on interface: UInt32, lifetime: Interval? = nil)
        throws(SystemError)
    {
        let seconds = lifetime.map { UInt32(clamping: max(1, $0.nanoseconds / 1_000_000_000)) } ?? .max
        try change(
            newAddress, flags: NetlinkSocket.create | NetlinkSocket.replace, prefix, on: interface,
            operation: "raise the address"
        ) { message in
            let host = prefix.address.rawValue | ~prefix.mask
            if prefix.length < 31 { message.attribute(4, network: host) }
            let route = prefix.length == 32 ? noPrefixRoute : 0
            message.attribute(8, noDuplicateDetection | route)
            message.beginNested(6, flag: 0)
            for value in [seconds, seconds, 0, 0] { message.append(value) }
            message.endNested()
            message.beginNested(11, flag: 0)
            message.append(protocolMark)
            message.endNested()
        }
    }

    /// Removes the address and returns when a dump no longer shows it. An address that is not there is a
    /// success.
    public static func lower(_ prefix: IPv4Prefix, on interface: UInt32) throws(SystemError) {
        do {
            try change(deleteAddress, flags: 0, prefix, on: interface, operation: "lower the address") { _ in
            }
        } catch  where error.code == EADDRNOTAVAIL || error.code == ENODEV {
            // Gone already, as far as this interface is concerned; the dump decides.
        }
        guard try !isPresent(prefix.address) else {
            throw SystemError(
                operation: "lower the address, it is still there", subject: "\(prefix)", code: EEXIST)
        }
    }

    /// Whether any interface has the address.
    public static func isPresent(_ address: IPv4Address) throws(SystemError) -> Bool {
        try addresses().contains { $0.prefix.address == address }
    }

    private static func change(
        _ type: UInt16, flags: UInt16, _ prefix: IPv4Prefix, on interface: UInt32, operation: String,
        attributes: (inout NetlinkMessage) -> Void
    ) throws(SystemError) {
        var socket = try NetlinkSocket(.route)
        let number = socket.nextSequence()
        var message = NetlinkMessage(
            type: type, flags: NetlinkSocket.request | NetlinkSocket.acknowledge | flags, sequence: number)
        message.append([UInt8(AF_INET), UInt8(prefix.length), 0, 0])
        message.append(interface)
        message.attribute(1, network: prefix.address.rawValue)
        message.attribute(2, network: prefix.address.rawValue)
        attributes(&message)
        try socket.transact(message.finished, from: number, to: number, operation, "\(prefix)")
    }

    private static func interface(_ reply: NetlinkReply) -> NetworkInterface? {
        guard reply.body.count >= 16 else { return nil }
        let attributes = reply.attributes(after: 16)
        let flags = NetlinkReply.word(reply.body, 8)
        return NetworkInterface(
            index: NetlinkReply.word(reply.body, 4), name: NetlinkReply.text(attributes[3]),
            hardware: attributes[1].flatMap { MACAddress(bytes: $0) }.flatMap { $0.rawValue == 0 ? nil : $0 },
            isRunning: flags & 1 != 0 && flags & 0x40 != 0)
    }

    private static func address(_ reply: NetlinkReply) -> InterfaceAddress? {
        guard reply.body.count >= 8, reply.body[0] == UInt8(AF_INET), reply.body[1] <= 32 else { return nil }
        let attributes = reply.attributes(after: 8)
        guard let local = attributes[2] ?? attributes[1], let address = IPv4Address(bytes: local) else {
            return nil
        }
        let valid = attributes[6].map { NetlinkReply.word($0, 4) } ?? .max
        let flags = attributes[8].map { NetlinkReply.word($0, 0) } ?? UInt32(reply.body[2])
        return InterfaceAddress(
            prefix: IPv4Prefix(address, length: Int(reply.body[1])),
            interface: NetlinkReply.word(reply.body, 4),
            validSeconds: valid == .max ? nil : valid, isOurs: attributes[11] == [protocolMark],
            isSecondary: flags & secondary != 0)
    }
}
