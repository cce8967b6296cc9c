public import Basics

/// How the checksum of an IPv4 advertisement is computed. Receivers accept both.
public enum VRRPChecksum: UInt8, Sendable, Hashable, CaseIterable {
    /// Over the pseudo-header `source, destination, 0, 112, length` and the message: keepalived, FRR, the
    /// default here.
    case pseudoHeader = 0
    /// Over the message alone: RFC 9568 §5.2.8, Cisco.
    case plain = 1
}

/// A VRRP version 3 advertisement for IPv4 (RFC 9568 §5). The byte table is in Docs/Formats/vrrp.md.
public struct VRRPAdvertisement: Sendable, Hashable {
    /// The protocol number of VRRP.
    public static let protocolNumber: UInt8 = 112
    /// The longest interval that the 12-bit field carries, in centiseconds.
    public static let intervalMaximum: UInt16 = 4095
    /// The most addresses that the count field carries.
    public static let addressesMaximum = 255

    /// The virtual router's number, 1...255.
    public var virtualRouter: UInt8
    /// 1...254, 255 for the address's owner, 0 for "I resign".
    public var priority: UInt8
    /// Centiseconds, 1...4095.
    public var interval: UInt16
    /// The addresses that the router holds, 1...255 of them.
    public var addresses: [IPv4Address]

    /// Values outside their ranges are a programmer's error; what came from the network is read by `decode`.
    public init(virtualRouter: UInt8, priority: UInt8, interval: UInt16, addresses: [IPv4Address]) {
        precondition(virtualRouter >= 1, "a virtual router's number is 1...255")
        precondition((1...Self.intervalMaximum).contains(interval), "an interval is 1...4095 centiseconds")
        precondition((1...Self.addressesMaximum).contains(addresses.count), "1...255 addresses")
        self.virtualRouter = virtualRouter
        self.priority = priority
        self.interval = interval
        self.addresses = addresses
    }

    /// The message as it follows the IPv4 header of a packet between these two addresses.
    public func encoded(
        from source: IPv4Address, to destination: IPv4Address, checksum: VRRPChecksum = .pseudoHeader
    ) -> [UInt8] {
        var message: [UInt8] = [
            0x31, virtualRouter, priority, UInt8(addresses.count),
            UInt8(truncatingIfNeeded: interval >> 8), UInt8(truncatingIfNeeded: interval), 0, 0,
        ]
        for address in addresses { message += address.bytes }
        let value = InternetChecksum.value(
            of: Self.sum(of: message, from: source, to: destination, checksum: checksum))
        message[6] = UInt8(truncatingIfNeeded: value >> 8)
        message[7] = UInt8(truncatingIfNeeded: value)
        return message
    }

    /// The checksum's sum over the message as it is, with or without the pseudo-header.
    static func sum(
        of message: [UInt8], from source: IPv4Address, to destination: IPv4Address, checksum: VRRPChecksum
    ) -> UInt32 {
        switch checksum {
        case .plain: return InternetChecksum.sum(message)
        case .pseudoHeader:
            let length = UInt16(message.count)
            let pseudoHeader =
                source.bytes + destination.bytes
                + [0, protocolNumber, UInt8(length >> 8), UInt8(truncatingIfNeeded: length)]
            return InternetChecksum.sum(message, continuing: InternetChecksum.sum(pseudoHeader))
        }
    }
}
