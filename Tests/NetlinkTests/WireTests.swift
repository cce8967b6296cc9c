import Basics
import Election
import Glibc
import HostServices
import LinuxSystem
import Netlink
import Testing

/// Both ends of a cable with their sockets, made inside and used from anywhere.
final class WireEnds: Sendable {
    let cable: Cable
    let left: AdvertisementSocket
    let right: AdvertisementSocket

    init(cable: Cable, joins: Bool) throws {
        self.cable = cable
        left = try Self.open(cable.left, "left", Cable.left, joins).take()
        right = try Self.open(cable.right, "right", Cable.right, joins).take()
    }

    /// Carries a socket out of the thread that made it, once.
    private final class Parcel: @unchecked Sendable {
        // Filled by the thread that is joined before the only read.
        var socket: AdvertisementSocket?
        init(_ socket: consuming AdvertisementSocket) { self.socket = consume socket }

        func take() throws -> AdvertisementSocket {
            guard let socket = socket.take() else {
                throw SystemError(operation: "take", subject: "parcel", code: ENOENT)
            }
            return socket
        }
    }

    private static func open(_ namespace: Namespace, _ name: String, _ source: IPv4Address, _ joins: Bool)
        throws -> Parcel
    {
        try namespace.run {
            let interface = try #require(try NetworkInterfaces.named(name))
            return Parcel(try AdvertisementSocket(on: interface, from: source, joinsGroup: joins))
        }
    }
}

@Suite(
    "Advertisements and announcements on the wire", .serialized,
    .enabled(if: Can.makeNamespaces, "namespaces: needs network namespaces of its own"))
struct WireTests {
    static let advertisement = VRRPAdvertisement(
        virtualRouter: 77, priority: 150, interval: 100, addresses: [Cable.shared.address])

    /// The next packet that is an advertisement of ours; nil at the deadline.
    private func hear(_ socket: borrowing AdvertisementSocket, within time: Interval = .seconds(10)) throws
        -> [UInt8]?
    {
        let limit = Instant.now() + time
        while try waitReadable(socket.descriptor.raw, until: limit) {
            if let packet = try socket.receive() { return packet }
        }
        return nil
    }

    @Test("a multicast advertisement is heard on the other side, as keepalived's would be, and not on ours")
    func multicast() throws {
        let ends = try WireEnds(cable: try Cable(), joins: true)
        let message = Self.advertisement.encoded(from: Cable.left, to: .vrrpGroup)
        try ends.left.send(message, to: .vrrpGroup)
        let packet = try #require(try hear(ends.right))
        #expect(packet[1] == 0xC0, "TOS")
        #expect(packet[6] & 0x40 == 0, "DF")
        #expect(packet[8] == 255, "TTL")
        var receiver = AdvertisementReceiver(
            virtualRouter: 77, ownAddress: Cable.right, casting: .multicast, addresses: [Cable.shared.address]
        )
        let heard = try receiver.receive(packet)
        #expect(heard.advertisement == Self.advertisement)
        #expect(heard.source == Cable.left)
        #expect(try ends.left.receive() == nil)
    }

    @Test("a unicast advertisement is heard, with its own checksum")
    func unicast() throws {
        let ends = try WireEnds(cable: try Cable(), joins: false)
        try ends.right.send(Self.advertisement.encoded(from: Cable.right, to: Cable.left), to: Cable.left)
        let packet = try #require(try hear(ends.left))
        var receiver = AdvertisementReceiver(
            virtualRouter: 77, ownAddress: Cable.left, casting: .unicast(peers: [Cable.right]),
            addresses: [Cable.shared.address])
        #expect(try receiver.receive(packet).source == Cable.right)
        #expect(packet[8] == 255)
    }

    @Test("advertisements come from the node's own address also while the shared one is raised")
    func source() throws {
        let ends = try WireEnds(cable: try Cable(), joins: true)
        try ends.cable.left.run {
            let link = try #require(try NetworkInterfaces.named("left")).index
            try NetworkInterfaces.raise(Cable.shared, on: link)
        }
        try ends.left.send(Self.advertisement.encoded(from: Cable.left, to: .vrrpGroup), to: .vrrpGroup)
        let packet = try #require(try hear(ends.right))
        #expect(IPv4Packet(parsing: packet)?.source == Cable.left)
    }

    @Test("a gratuitous ARP is captured on the other side and moves its neighbour entry")
    func announcement() throws {
        let cable = try Cable()
        // An entry that says otherwise, as left by the old holder.
        try cable.right.shell("ip neigh add 10.77.0.200 lladdr 02:00:00:00:00:99 dev right nud reachable")
        let hardware = try cable.left.run { try #require(try NetworkInterfaces.named("left")?.hardware) }
        try cable.right.run {
            let interface = try #require(try NetworkInterfaces.named("right"))
            let ear = try ARPSocket(on: interface, hears: true)
            for operation in GratuitousARP.Operation.allCases {
                let announced = GratuitousARP(operation, hardware: hardware, address: Cable.shared.address)
                try cable.left.run {
                    let interface = try #require(try NetworkInterfaces.named("left"))
                    try ARPSocket(on: interface, hears: false).send(announced.frame)
                }
                let limit = Instant.now() + .seconds(10)
                var heard: GratuitousARP?
                while heard != announced, try waitReadable(ear.descriptor.raw, until: limit) {
                    heard = try ear.receive().flatMap { GratuitousARP(parsing: $0) }
                }
                #expect(heard == announced)
            }
            let neighbours = try CommandRunner().run(
                ["ip", "neigh", "show", "10.77.0.200"], deadline: .seconds(10))
            #expect(neighbours.output.contains("lladdr \(hardware)"), "\(neighbours.output)")
        }
    }
}
