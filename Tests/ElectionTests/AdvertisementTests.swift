import Basics
import Election
import Testing

/// Whole Ethernet frames captured from keepalived 2.2.7, and what they say.
struct CapturedFrame: Sendable {
    var name: String
    var bytes: [UInt8]
    var advertisement: VRRPAdvertisement
    var source: IPv4Address
    var destination: IPv4Address
    /// The checksum field as RFC 9568 would have it, without the pseudo-header; nil where it was not
    /// recorded.
    var plainChecksum: UInt16?

    var packet: [UInt8] { Array(bytes[14...]) }
    var message: [UInt8] { Array(bytes[34...]) }

    static let node = IPv4Address(10, 77, 0, 1)
    static let shared = IPv4Address(10, 77, 0, 200)

    static let all: [CapturedFrame] = [
        CapturedFrame(
            name: "V4, priority 150, 1 s",
            bytes: hex(
                "01005e000012020000000001080045c0 002000010000ff70d04c0a4d0001e000 "
                    + "0012314d96010064425b0a4d00c8"
            ),
            advertisement: VRRPAdvertisement(
                virtualRouter: 77, priority: 150, interval: 100, addresses: [shared]),
            source: node, destination: .vrrpGroup, plainChecksum: 0x2D38),
        CapturedFrame(
            name: "V5, the resignation",
            bytes: hex(
                "01005e000012020000000001080045c0 002000080000ff70d0450a4d0001e000 "
                    + "0012314d00010064d85b0a4d00c8"
            ),
            advertisement: VRRPAdvertisement(
                virtualRouter: 77, priority: 0, interval: 100, addresses: [shared]),
            source: node, destination: .vrrpGroup, plainChecksum: 0xC338),
        CapturedFrame(
            name: "V6, 0.1 s, two addresses",
            bytes: hex(
                "01005e000012020000000001080045c0 002400010000ff70d0480a4d0001e000 "
                    + "0012314d9602000a379a0a4d00c80a4d 00c9"),
            advertisement: VRRPAdvertisement(
                virtualRouter: 77, priority: 150, interval: 10,
                addresses: [shared, IPv4Address(10, 77, 0, 201)]),
            source: node, destination: .vrrpGroup, plainChecksum: 0x227B),
        CapturedFrame(
            name: "V7, unicast",
            bytes: hex(
                "020000000002020000000001080045c0 002000010000ff70a6100a4d00010a4d "
                    + "0002314d96010064181f0a4d00c8"
            ),
            advertisement: VRRPAdvertisement(
                virtualRouter: 77, priority: 150, interval: 100, addresses: [shared]),
            source: node, destination: IPv4Address(10, 77, 0, 2), plainChecksum: 0x2D38),
    ]
}

/// The bytes of hexadecimal text; spaces are ignored.
func hex(_ text: String) -> [UInt8] {
    let digits = text.filter { $0 != " " }.compactMap(\.hexDigitValue)
    return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}

/// A receiver that expects what the frame is.
func receiver(for frame: CapturedFrame, router: UInt8 = 77) -> AdvertisementReceiver {
    AdvertisementReceiver(
        virtualRouter: router, ownAddress: IPv4Address(10, 77, 0, 2),
        casting: frame.destination.isMulticast ? .multicast : .unicast(peers: [CapturedFrame.node]),
        addresses: frame.advertisement.addresses)
}

@Suite("VRRP version 3 advertisements")
struct AdvertisementTests {
    @Test("a captured advertisement is made byte for byte", arguments: CapturedFrame.all)
    func encode(frame: CapturedFrame) {
        #expect(frame.advertisement.encoded(from: frame.source, to: frame.destination) == frame.message)
        var plain = frame.message
        if let value = frame.plainChecksum { (plain[6], plain[7]) = (UInt8(value >> 8), UInt8(value & 255)) }
        let made = frame.advertisement.encoded(from: frame.source, to: frame.destination, checksum: .plain)
        #expect(made == plain)
    }

    @Test("a captured advertisement is read, with either checksum", arguments: CapturedFrame.all)
    func decode(frame: CapturedFrame) throws {
        var receiver = receiver(for: frame)
        let heard = try receiver.receive(frame.packet)
        #expect(heard.advertisement == frame.advertisement)
        #expect(heard.source == frame.source)
        #expect(heard.checksum == .pseudoHeader)
        #expect(heard.sameAddresses)
        var plain = frame.packet
        if let value = frame.plainChecksum {
            (plain[26], plain[27]) = (UInt8(value >> 8), UInt8(value & 255))
        }
        #expect(try receiver.receive(plain).checksum == .plain)
        #expect(receiver.accepted == 2)
        #expect(receiver.checksumForms == [1, 1])
    }

    /// One field changed, the checksum mended where the fault lies elsewhere.
    static let mutations: [(String, AdvertisementRejection, @Sendable (inout [UInt8]) -> Void)] = [
        ("IP version 6", .notIPv4, { $0[0] = 0x65 }),
        ("protocol 111", .notIPv4, { $0[9] = 111 }),
        ("our own address as source", .own, { $0[15] = 2 }),
        ("TTL 254", .timeToLive, { $0[8] = 254 }),
        (
            "version 2", .version,
            {
                $0[20] = 0x21; mend(&$0)
            }
        ),
        (
            "type 2", .type,
            {
                $0[20] = 0x32; mend(&$0)
            }
        ),
        (
            "one byte more", .length,
            {
                $0.append(0); $0[3] += 1; mend(&$0)
            }
        ),
        (
            "four bytes less", .length,
            {
                $0.removeLast(4); $0[3] -= 4; mend(&$0)
            }
        ),
        (
            "one address less than counted", .length,
            {
                $0[23] = 2; mend(&$0)
            }
        ),
        ("a priority changed on the way", .checksum, { $0[22] ^= 1 }),
        ("a source changed on the way", .checksum, { $0[15] = 9 }),
        (
            "router 78", .virtualRouter,
            {
                $0[21] = 78; mend(&$0)
            }
        ),
        (
            "no address", .noAddress,
            {
                $0.removeLast(4); $0[3] -= 4; $0[23] = 0; mend(&$0)
            }
        ),
        (
            "interval 0", .interval,
            {
                $0[24] = 0; $0[25] = 0; mend(&$0)
            }
        ),
        (
            "unicast where multicast is configured", .casting,
            {
                $0[16...19] = [10, 77, 0, 2]; mend(&$0)
            }
        ),
    ]

    /// Puts the right checksum (with pseudo-header) into a packet.
    static func mend(_ packet: inout [UInt8]) {
        (packet[26], packet[27]) = (0, 0)
        let length = packet.count - 20
        var words =
            Array(packet[12..<20]) + [0, 112, UInt8(length >> 8), UInt8(length & 255)] + packet[20...]
        if !words.count.isMultiple(of: 2) { words.append(0) }
        var sum = 0
        for index in stride(from: 0, to: words.count, by: 2) {
            sum += Int(words[index]) << 8 | Int(words[index + 1])
        }
        while sum > 0xFFFF { sum = (sum & 0xFFFF) + (sum >> 16) }
        (packet[26], packet[27]) = (UInt8(~sum >> 8 & 255), UInt8(~sum & 255))
    }

    @Test("a changed field is refused and counted under its own reason", arguments: mutations.indices)
    func mutation(index: Int) {
        let (name, reason, change) = Self.mutations[index]
        var packet = CapturedFrame.all[0].packet
        change(&packet)
        var receiver = receiver(for: CapturedFrame.all[0])
        #expect(throws: reason, "\(name)") { try receiver.receive(packet) }
        for other in AdvertisementRejection.allCases {
            #expect(receiver.count(of: other) == (other == reason ? 1 : 0), "\(name): \(other)")
        }
        #expect(receiver.accepted == 0)
    }

    @Test("unicast is taken from a configured peer only")
    func unicastPeers() throws {
        let frame = CapturedFrame.all[3]
        var stranger = AdvertisementReceiver(
            virtualRouter: 77, ownAddress: IPv4Address(10, 77, 0, 2),
            casting: .unicast(peers: [IPv4Address(10, 77, 0, 3)]), addresses: [CapturedFrame.shared])
        #expect(throws: AdvertisementRejection.source) { try stranger.receive(frame.packet) }
        var unicast = receiver(for: frame)
        #expect(throws: AdvertisementRejection.casting) { try unicast.receive(CapturedFrame.all[0].packet) }
    }

    @Test("another address list is told, not refused")
    func otherAddresses() throws {
        var receiver = AdvertisementReceiver(
            virtualRouter: 77, ownAddress: IPv4Address(10, 77, 0, 2), casting: .multicast,
            addresses: [IPv4Address(10, 77, 0, 99)])
        #expect(try !receiver.receive(CapturedFrame.all[0].packet).sameAddresses)
        #expect(receiver.otherAddresses == 1)
    }

    @Test("reserved bits are ignored")
    func reserved() throws {
        var packet = CapturedFrame.all[0].packet
        packet[24] |= 0xF0
        Self.mend(&packet)
        var receiver = receiver(for: CapturedFrame.all[0])
        #expect(try receiver.receive(packet).advertisement.interval == 100)
    }

    @Test("no truncation and no random byte traps, and nothing cut short is accepted")
    func truncations() {
        var generator = SeededGenerator(seed: 5798)
        for frame in CapturedFrame.all {
            var receiver = receiver(for: frame)
            for length in 0..<frame.packet.count {
                #expect(throws: AdvertisementRejection.self) { try receiver.receive(frame.packet[..<length]) }
            }
            for _ in 0..<2000 {
                var packet = frame.packet
                for _ in 0...generator.below(4) {
                    packet[generator.below(packet.count)] = UInt8(generator.below(256))
                }
                _ = try? receiver.receive(packet)
            }
        }
    }

    @Test("what is encoded is decoded to the same")
    func roundTrip() throws {
        var generator = SeededGenerator(seed: 9568)
        for _ in 0..<500 {
            let addresses = (0...generator.below(20)).map { _ in
                IPv4Address(rawValue: UInt32(truncatingIfNeeded: generator.next()))
            }
            let advertisement = VRRPAdvertisement(
                virtualRouter: UInt8(1 + generator.below(255)), priority: UInt8(generator.below(256)),
                interval: UInt16(1 + generator.below(4095)), addresses: addresses)
            let source = IPv4Address(rawValue: 0x0A00_0000 + UInt32(generator.below(1 << 24)))
            let message = advertisement.encoded(
                from: source, to: .vrrpGroup, checksum: generator.chance(in: 2) ? .plain : .pseudoHeader)
            let length = 20 + message.count
            let header: [UInt8] =
                [0x45, 0xC0, UInt8(length >> 8), UInt8(length & 255), 0, 0, 0, 0, 255, 112, 0, 0]
                + source.bytes + IPv4Address.vrrpGroup.bytes
            var receiver = AdvertisementReceiver(
                virtualRouter: advertisement.virtualRouter, ownAddress: IPv4Address(11, 0, 0, 1),
                casting: .multicast, addresses: addresses)
            #expect(try receiver.receive(header + message).advertisement == advertisement)
        }
    }
}

@Suite("Gratuitous ARP")
struct GratuitousARPTests {
    @Test("the frame equals keepalived's, and its reply differs in the operation alone")
    func frame() throws {
        let captured = hex(
            "ffffffffffff02000000000108060001 080006040001020000000001 0a4d00c8 ffffffffffff 0a4d00c8")
        let card = try #require(MACAddress(bytes: captured[6..<12]))
        let request = GratuitousARP(.request, hardware: card, address: CapturedFrame.shared)
        #expect(request.frame == captured)
        var reply = captured
        reply[21] = 2
        #expect(GratuitousARP(.reply, hardware: card, address: CapturedFrame.shared).frame == reply)
        #expect(GratuitousARP(parsing: captured) == request)
    }

    @Test("ucarp's announcement, whose target hardware is the sender's, is read too")
    func ucarp() {
        let captured = hex(
            "ffffffffffff02000000000108060001 080006040001020000000001 0a4d00c8 020000000001 0a4d00c8")
        #expect(GratuitousARP(parsing: captured)?.address == CapturedFrame.shared)
        #expect(GratuitousARP(parsing: captured.dropLast(1)) == nil)
    }

    @Test("a round is 0, 20, 100, 500, 1000, 2000 ms, then every 10 s, request and reply in turn")
    func schedule() {
        var schedule = AnnouncementSchedule()
        let start = Instant(nanoseconds: 5_000_000_000)
        #expect(schedule.due(at: start) == nil)
        schedule.start(at: start)
        var times: [UInt64] = []
        var operations: [GratuitousARP.Operation] = []
        while times.count < 8, schedule.next != .never {
            let now = schedule.next
            if let operation = schedule.due(at: now) {
                times.append(now.since(start).wholeMilliseconds)
                operations.append(operation)
            }
            #expect(schedule.next > now)
        }
        #expect(times == [0, 20, 100, 500, 1000, 2000, 12000, 22000])
        #expect(operations == (0..<8).map { $0.isMultiple(of: 2) ? .request : .reply })
        schedule.stop()
        #expect(schedule.due(at: .never) == nil)
    }

    @Test("announcements that were slept through are one, not a burst")
    func late() {
        var schedule = AnnouncementSchedule()
        let start = Instant(nanoseconds: 0)
        schedule.start(at: start)
        #expect(schedule.due(at: start + .milliseconds(700)) != nil)
        #expect(schedule.due(at: start + .milliseconds(700)) == nil)
        #expect(schedule.next == start + .milliseconds(1000))
    }
}
