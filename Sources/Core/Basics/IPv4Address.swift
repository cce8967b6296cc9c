/// An IPv4 address as one number, the first octet in the highest byte: what the elector compares and the
/// address step raises.
@frozen
public struct IPv4Address: Sendable, Hashable, Comparable {
    /// The address in host order, so that `<` is the unsigned comparison in network order of RFC 9568.
    public var rawValue: UInt32

    public init(rawValue: UInt32) { self.rawValue = rawValue }

    public init(_ first: UInt8, _ second: UInt8, _ third: UInt8, _ fourth: UInt8) {
        rawValue = UInt32(first) << 24 | UInt32(second) << 16 | UInt32(third) << 8 | UInt32(fourth)
    }

    /// The address of exactly 4 bytes in network order; nil for any other count.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 4 else { return nil }
        rawValue = bytes.reduce(0) { $0 << 8 | UInt32($1) }
    }

    /// Reads "10.0.0.1": four decimal numbers without leading zeros; nil for anything else.
    public init?(parsing text: some StringProtocol) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var value: UInt32 = 0
        for part in parts {
            let isPlain =
                part.utf8.allSatisfy { (48...57).contains($0) } && (part.count == 1 || part.first != "0")
            guard isPlain, let octet = UInt8(part) else { return nil }
            value = value << 8 | UInt32(octet)
        }
        rawValue = value
    }

    /// The four bytes in network order.
    public var bytes: [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: rawValue >> UInt32($0)) }
    }

    public static func < (left: IPv4Address, right: IPv4Address) -> Bool { left.rawValue < right.rawValue }

    /// Whether the address is a multicast group (224.0.0.0/4).
    public var isMulticast: Bool { rawValue >> 28 == 14 }

    /// The group that VRRP and CARP advertise to.
    public static let vrrpGroup = IPv4Address(224, 0, 0, 18)
}

extension IPv4Address: CustomStringConvertible {
    /// "10.0.0.1".
    public var description: String { bytes.map(String.init).joined(separator: ".") }
}

/// An IPv4 address with the length of its network's prefix, as an interface has it.
@frozen
public struct IPv4Prefix: Sendable, Hashable {
    public var address: IPv4Address
    /// 0...32.
    public var length: Int

    /// `length` is 0...32; anything else is a programmer's error.
    public init(_ address: IPv4Address, length: Int) {
        precondition((0...32).contains(length), "a prefix has 0...32 bits")
        self.address = address
        self.length = length
    }

    /// Reads "10.0.0.1/24"; an address alone is a /32.
    public init?(parsing text: some StringProtocol) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard let head = parts.first, let address = IPv4Address(parsing: head) else { return nil }
        guard parts.count > 1 else {
            self.init(address, length: 32)
            return
        }
        guard parts.count == 2, let length = Int(parts[1]), (0...32).contains(length) else { return nil }
        self.init(address, length: length)
    }

    /// The bits that name the network.
    public var mask: UInt32 { length == 0 ? 0 : ~0 << UInt32(32 - length) }

    /// Whether the address lies in this network.
    public func contains(_ other: IPv4Address) -> Bool { (address.rawValue ^ other.rawValue) & mask == 0 }
}

extension IPv4Prefix: CustomStringConvertible {
    /// "10.0.0.1/24".
    public var description: String { "\(address)/\(length)" }
}

/// An Ethernet address.
@frozen
public struct MACAddress: Sendable, Hashable {
    /// The six bytes, the first in bits 40 to 47.
    public var rawValue: UInt64

    public init(rawValue: UInt64) { self.rawValue = rawValue & 0xFFFF_FFFF_FFFF }

    /// The address of exactly 6 bytes; nil for any other count.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 6 else { return nil }
        rawValue = bytes.reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// The six bytes in the order of the wire.
    public var bytes: [UInt8] {
        [40, 32, 24, 16, 8, 0].map { UInt8(truncatingIfNeeded: rawValue >> UInt64($0)) }
    }

    /// ff:ff:ff:ff:ff:ff.
    public static let broadcast = MACAddress(rawValue: 0xFFFF_FFFF_FFFF)
}

extension MACAddress: CustomStringConvertible {
    /// "02:00:00:00:00:01".
    public var description: String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: ":")
    }
}
