public import Basics

/// An IPv4 packet as a raw socket hands it over: the header's fields that the elector judges, and what it
/// carries.
public struct IPv4Packet: Sendable, Equatable {
    public var source: IPv4Address
    public var destination: IPv4Address
    public var timeToLive: UInt8
    /// The number of the protocol carried; 112 for VRRP and CARP.
    public var protocolNumber: UInt8
    /// What follows the header, up to the header's total length.
    public var payload: [UInt8]

    public init(
        source: IPv4Address, destination: IPv4Address, timeToLive: UInt8, protocolNumber: UInt8,
        payload: [UInt8]
    ) {
        self.source = source
        self.destination = destination
        self.timeToLive = timeToLive
        self.protocolNumber = protocolNumber
        self.payload = payload
    }

    /// Reads a packet from its IPv4 header on; nil when it is cut short or is no IPv4. The kernel has
    /// verified the header's checksum before a raw socket sees the packet.
    public init?(parsing bytes: some Collection<UInt8>) {
        let bytes = Array(bytes)
        guard bytes.count >= 20, bytes[0] >> 4 == 4 else { return nil }
        let headerLength = Int(bytes[0] & 15) * 4
        let totalLength = Int(bytes[2]) << 8 | Int(bytes[3])
        guard headerLength >= 20, totalLength >= headerLength, totalLength <= bytes.count,
            let source = IPv4Address(bytes: bytes[12..<16]),
            let destination = IPv4Address(bytes: bytes[16..<20])
        else { return nil }
        self.init(
            source: source, destination: destination, timeToLive: bytes[8], protocolNumber: bytes[9],
            payload: Array(bytes[headerLength..<totalLength]))
    }
}
