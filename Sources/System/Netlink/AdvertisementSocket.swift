public import Basics
import CLinux
import Glibc
public import LinuxSystem

/// A raw socket of protocol 112 on one interface: sends and hears VRRP advertisements.
///
/// It hears after the host's firewall has looked (a rule that drops protocol 112 silences it), every packet
/// of the protocol on that interface, and never its own. Sent with TTL 255, TOS 0xc0 and DF clear. Needs
/// CAP_NET_RAW.
public struct AdvertisementSocket: ~Copyable, Sendable {
    /// Readable when packets wait; non-blocking.
    public let descriptor: Descriptor
    private let interface: NetworkInterface
    private let source: IPv4Address

    /// `source` is the interface's own address, not the shared one. Joins 224.0.0.18 when `joinsGroup`.
    public init(on interface: NetworkInterface, from source: IPv4Address, joinsGroup: Bool)
        throws(SystemError)
    {
        let number = clinux_vrrp_socket(interface.name, interface.index, joinsGroup ? 1 : 0)
        guard number >= 0 else {
            throw SystemError(operation: "VRRP socket", subject: interface.name, code: errno)
        }
        descriptor = Descriptor(adopting: number)
        self.interface = interface
        self.source = source
    }

    /// Sends one message; the kernel puts the IPv4 header before it. ENOBUFS and ENETDOWN are what a dead
    /// link gives: the next advertisement is due soon anyway.
    public func send(_ message: [UInt8], to destination: IPv4Address) throws(SystemError) {
        let count = clinux_vrrp_send(
            descriptor.raw, interface.index, source.rawValue.bigEndian, destination.rawValue.bigEndian,
            message,
            message.count)
        guard count == message.count else {
            throw SystemError(operation: "send an advertisement", subject: "\(destination)", code: errno)
        }
    }

    /// The next packet from its IPv4 header on; nil when none waits.
    public func receive() throws(SystemError) -> [UInt8]? {
        try RawReceive.next(descriptor.raw, "receive an advertisement", interface.name)
    }
}

/// A packet socket for ARP frames on one interface: announces addresses and hears who else does.
///
/// Frames are whole, from the Ethernet header on. Needs CAP_NET_RAW.
public struct ARPSocket: ~Copyable, Sendable {
    /// Readable when frames wait; non-blocking.
    public let descriptor: Descriptor
    private let name: String

    /// A socket that hears nothing (`hears` false) never has to be read.
    public init(on interface: NetworkInterface, hears: Bool) throws(SystemError) {
        let number = clinux_packet_socket(interface.index, hears ? 0x0806 : 0)
        guard number >= 0 else {
            throw SystemError(operation: "ARP socket", subject: interface.name, code: errno)
        }
        descriptor = Descriptor(adopting: number)
        name = interface.name
    }

    /// Sends one frame.
    public func send(_ frame: [UInt8]) throws(SystemError) {
        guard Glibc.send(descriptor.raw, frame, frame.count, 0) == frame.count else {
            throw SystemError(operation: "announce", subject: name, code: errno)
        }
    }

    /// The next frame; nil when none waits.
    public func receive() throws(SystemError) -> [UInt8]? {
        try RawReceive.next(descriptor.raw, "receive an ARP frame", name)
    }
}

enum RawReceive {
    /// The longest packet of interest: an advertisement of 255 addresses and the longest IPv4 header.
    static let lengthMaximum = 60 + 8 + 4 * 255

    static func next(_ descriptor: Int32, _ operation: String, _ subject: String) throws(SystemError)
        -> [UInt8]?
    {
        var buffer = [UInt8](repeating: 0, count: lengthMaximum)
        while true {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            if count >= 0 { return Array(buffer[..<count]) }
            if errno == EAGAIN { return nil }
            // A link that goes down is told once by the socket, and by the watch.
            if errno == EINTR || errno == ENETDOWN { continue }
            throw SystemError(operation: operation, subject: subject, code: errno)
        }
    }
}
