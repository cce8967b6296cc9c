public import Basics
import CLinux
import Glibc
public import LinuxSystem

/// What the kernel told of its interfaces.
public enum InterfaceEvent: Sendable, Hashable {
    case link(index: UInt32, isRunning: Bool)
    case addressRemoved(IPv4Address, index: UInt32)
    case addressAdded(IPv4Address, index: UInt32)
    /// Events were lost: look at everything anew.
    case lost
}

/// Hears carrier changes and addresses that come and go, within milliseconds.
public struct InterfaceWatch: ~Copyable, Sendable {
    /// Readable when events wait; non-blocking.
    public let descriptor: Descriptor

    /// Opens in the calling thread's network namespace.
    public init() throws(SystemError) {
        // RTMGRP_LINK and RTMGRP_IPV4_IFADDR.
        let number = clinux_netlink_socket(NetlinkSocket.Family.route.rawValue, 0x1 | 0x10, 0)
        guard number >= 0 else { throw SystemError(operation: "netlink socket", subject: "", code: errno) }
        descriptor = Descriptor(adopting: number)
    }

    /// The events that wait; none when none does.
    public func events() throws(SystemError) -> [InterfaceEvent] {
        var buffer = [UInt8](repeating: 0, count: 32768)
        var events: [InterfaceEvent] = []
        while true {
            let count = recv(descriptor.raw, &buffer, buffer.count, 0)
            if count < 0 && errno == EINTR { continue }
            if count < 0 && errno == ENOBUFS {
                events.append(.lost)
                continue
            }
            if count < 0 && errno == EAGAIN { return events }
            guard count > 0 else { throw SystemError(operation: "netlink receive", subject: "", code: errno) }
            events += NetlinkReply.all(in: Array(buffer[..<count])).compactMap(Self.event)
        }
    }

    private static func event(_ reply: NetlinkReply) -> InterfaceEvent? {
        switch reply.type {
        case 16:
            let flags = NetlinkReply.word(reply.body, 8)
            return .link(
                index: NetlinkReply.word(reply.body, 4), isRunning: flags & 1 != 0 && flags & 0x40 != 0)
        case 17: return .link(index: NetlinkReply.word(reply.body, 4), isRunning: false)
        case 20, 21:
            let attributes = reply.attributes(after: 8)
            guard let address = attributes[2].flatMap({ IPv4Address(bytes: $0) }) else { return nil }
            let index = NetlinkReply.word(reply.body, 4)
            return reply.type == 20
                ? .addressAdded(address, index: index) : .addressRemoved(address, index: index)
        default: return nil
        }
    }
}
