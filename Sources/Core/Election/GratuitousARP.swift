public import Basics

/// The Ethernet frame that tells neighbours which network card answers for an address now.
public struct GratuitousARP: Sendable, Hashable {
    /// Some gateways believe only requests, others only replies: announcements alternate.
    public enum Operation: UInt8, Sendable, Hashable, CaseIterable {
        case request = 1
        case reply = 2
    }

    public var operation: Operation
    /// The card's address, which is the Ethernet source as well, so that switches learn it.
    public var hardware: MACAddress
    public var address: IPv4Address

    public init(_ operation: Operation, hardware: MACAddress, address: IPv4Address) {
        self.operation = operation
        self.hardware = hardware
        self.address = address
    }

    /// The 42 bytes of the frame, broadcast, sender and target address the announced one (RFC 5227 §3).
    public var frame: [UInt8] {
        let ethernet = MACAddress.broadcast.bytes + hardware.bytes + [0x08, 0x06]
        let head: [UInt8] = [0, 1, 8, 0, 6, 4, 0, operation.rawValue]
        return ethernet + head + hardware.bytes + address.bytes + MACAddress.broadcast.bytes + address.bytes
    }

    /// Reads an ARP frame from its Ethernet header on; nil unless it announces its sender's own address.
    public init?(parsing frame: some Collection<UInt8>) {
        let frame = Array(frame)
        guard frame.count >= 42, frame[12...19].elementsEqual([8, 6, 0, 1, 8, 0, 6, 4]), frame[20] == 0,
            let operation = Operation(rawValue: frame[21]),
            let hardware = MACAddress(bytes: frame[22..<28]),
            let address = IPv4Address(bytes: frame[28..<32]),
            frame[38..<42].elementsEqual(frame[28..<32])
        else { return nil }
        self.init(operation, hardware: hardware, address: address)
    }
}

/// When an address is announced: at once, then at 20, 100, 500, 1000 and 2000 ms, then every 10 s while it is
/// held.
///
/// The first few cover a lost frame and a neighbour that was told otherwise a moment ago; the refresh covers
/// a neighbour that nobody knows was told otherwise.
public struct AnnouncementSchedule: Sendable, Hashable {
    /// After the start of a round.
    public static let offsets: [Interval] = [0, 20, 100, 500, 1000, 2000].map { .milliseconds($0) }
    /// After the last announcement, for ever.
    public static let refresh: Interval = .seconds(10)

    /// When the next announcement is due; `never` while nothing is announced.
    public private(set) var next: Instant = .never
    /// When the round began.
    public private(set) var started: Instant?
    private var index = 0
    private var sent: UInt64 = 0

    /// A schedule that announces nothing.
    public init() {}

    /// Begins a round: the first announcement is due now.
    public mutating func start(at now: Instant) {
        started = now
        index = 0
        next = now
    }

    /// Announces nothing any more.
    public mutating func stop() {
        started = nil
        next = .never
    }

    /// The announcement that is due, if one is; sets when the next one is. Late calls skip nothing but the
    /// time: announcements that were missed are one.
    public mutating func due(at now: Instant) -> GratuitousARP.Operation? {
        guard let started, now >= next else { return nil }
        while index < Self.offsets.count, started + Self.offsets[index] <= now { index += 1 }
        next = index < Self.offsets.count ? started + Self.offsets[index] : now + Self.refresh
        defer { sent += 1 }
        return sent.isMultiple(of: 2) ? .request : .reply
    }
}
