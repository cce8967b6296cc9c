public import Basics

/// Why a packet of protocol 112 was not taken as an advertisement, in the order of the checks.
public enum AdvertisementRejection: UInt8, Error, Sendable, Hashable, CaseIterable {
    /// The IPv4 header is damaged, or the protocol is another one.
    case notIPv4 = 0
    /// Our own advertisement, heard back.
    case own = 1
    /// The packet came through a router: its TTL is not 255.
    case timeToLive = 2
    /// Not version 3: a keepalived left at its default sends version 2, ucarp's CARP looks like version 2 as
    /// well.
    case version = 3
    /// Not type 1.
    case type = 4
    /// Longer or shorter than 8 + 4 bytes for each address.
    case length = 5
    /// Right neither with the pseudo-header nor without.
    case checksum = 6
    /// A virtual router that is not configured here.
    case virtualRouter = 7
    /// No address (erratum 8299).
    case noAddress = 8
    /// An interval of 0 (erratum 8301).
    case interval = 9
    /// Multicast where unicast is configured, or the other way round.
    case casting = 10
    /// A sender that is not among the configured peers.
    case source = 11
}

/// How advertisements travel.
public enum AdvertisementCasting: Sendable, Hashable {
    /// To the group 224.0.0.18.
    case multicast
    /// To and from these addresses alone.
    case unicast(peers: [IPv4Address])
}

/// A valid advertisement, with what else its packet told.
public struct HeardAdvertisement: Sendable, Hashable {
    public var advertisement: VRRPAdvertisement
    public var source: IPv4Address
    public var checksum: VRRPChecksum
    /// Whether the address list equals ours. A difference is told, not refused (RFC 9568 §7.1).
    public var sameAddresses: Bool
}

/// Decides which packets are advertisements for this virtual router, and counts every reason to refuse one.
///
/// The order of the checks is fixed, so that a packet with several faults is always counted under the first.
/// RFC 9568 §7.1 with its verified errata; the checksum is accepted in both forms.
public struct AdvertisementReceiver: Sendable {
    public let virtualRouter: UInt8
    public let ownAddress: IPv4Address
    public let casting: AdvertisementCasting
    public let addresses: [IPv4Address]

    /// How many advertisements were accepted.
    public private(set) var accepted: UInt64 = 0
    /// How many were accepted with each form of checksum, indexed by its raw value.
    public private(set) var checksumForms = [UInt64](repeating: 0, count: VRRPChecksum.allCases.count)
    /// How many accepted ones had another address list.
    public private(set) var otherAddresses: UInt64 = 0
    private var rejected = [UInt64](repeating: 0, count: AdvertisementRejection.allCases.count)

    public init(
        virtualRouter: UInt8, ownAddress: IPv4Address, casting: AdvertisementCasting, addresses: [IPv4Address]
    ) {
        self.virtualRouter = virtualRouter
        self.ownAddress = ownAddress
        self.casting = casting
        self.addresses = addresses
    }

    /// How many packets were refused for this reason.
    public func count(of reason: AdvertisementRejection) -> UInt64 { rejected[Int(reason.rawValue)] }

    /// Judges one packet, given from its IPv4 header on, and counts the outcome.
    public mutating func receive(_ packet: some Collection<UInt8>) throws(AdvertisementRejection)
        -> HeardAdvertisement
    {
        do {
            let heard = try judge(packet)
            accepted += 1
            checksumForms[Int(heard.checksum.rawValue)] += 1
            if !heard.sameAddresses { otherAddresses += 1 }
            return heard
        } catch {
            rejected[Int(error.rawValue)] += 1
            throw error
        }
    }

    private func judge(_ bytes: some Collection<UInt8>) throws(AdvertisementRejection) -> HeardAdvertisement {
        guard let packet = IPv4Packet(parsing: bytes),
            packet.protocolNumber == VRRPAdvertisement.protocolNumber
        else { throw .notIPv4 }
        if packet.source == ownAddress { throw .own }
        guard packet.timeToLive == 255 else { throw .timeToLive }
        let message = packet.payload
        guard let first = message.first else { throw .length }
        guard first >> 4 == 3 else { throw .version }
        guard first & 15 == 1 else { throw .type }
        guard message.count >= 8, message.count == 8 + 4 * Int(message[3]) else { throw .length }
        let checksum = try Self.checksumForm(of: message, in: packet)
        guard message[1] == virtualRouter, virtualRouter != 0 else { throw .virtualRouter }
        guard message[3] > 0 else { throw .noAddress }
        let interval = UInt16(message[4] & 15) << 8 | UInt16(message[5])
        guard interval > 0 else { throw .interval }
        switch casting {
        case .multicast:
            guard packet.destination == .vrrpGroup else { throw .casting }
        case .unicast(let peers):
            guard !packet.destination.isMulticast else { throw .casting }
            guard peers.contains(packet.source) else { throw .source }
        }
        let heard = stride(from: 8, to: message.count, by: 4).compactMap {
            IPv4Address(bytes: message[$0..<$0 + 4])
        }
        return HeardAdvertisement(
            advertisement: VRRPAdvertisement(
                virtualRouter: message[1], priority: message[2], interval: interval, addresses: heard),
            source: packet.source, checksum: checksum, sameAddresses: heard.sorted() == addresses.sorted())
    }

    private static func checksumForm(of message: [UInt8], in packet: IPv4Packet)
        throws(AdvertisementRejection) -> VRRPChecksum
    {
        for form in VRRPChecksum.allCases {
            let sum = VRRPAdvertisement.sum(
                of: message, from: packet.source, to: packet.destination, checksum: form)
            if InternetChecksum.value(of: sum) == 0 { return form }
        }
        throw .checksum
    }
}
