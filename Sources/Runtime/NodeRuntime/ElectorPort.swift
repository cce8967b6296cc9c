import Basics
import Election
import Glibc
import HostServices
import LinuxSystem
import Netlink
import Settings
import Telemetry

/// A group's address and what the elector hears and says: the interface, its sockets, and the kernel's lease. Belongs
/// to the group's thread.
final class ElectorPort {
    /// What came on the sockets.
    enum News {
        case advertisement(VRRPAdvertisement, from: IPv4Address)
        case foreignClaim
        case link(isUp: Bool)
        case addressVanished
    }

    let prefix: IPv4Prefix
    let interface: NetworkInterface
    let own: IPv4Address
    private(set) var isRaised = false
    private let group: String
    private let number: UInt8
    private let advertisements: AdvertisementSocket
    private let arp: ARPSocket
    private let watch: InterfaceWatch
    private var receiver: AdvertisementReceiver
    private var lease: KernelLease?
    private var nextLifetime = Instant(nanoseconds: 0)
    /// Whether the kernel's lease was asked to let the address answer.
    private var isAudible = false

    /// The kernel removes the address by itself when nobody renews it for so long.
    private static let lifetime = Interval.seconds(3)

    init(
        _ context: NodeContext, _ group: Settings.Group, _ prefix: IPv4Prefix
    ) throws(SystemError) {
        let (interface, own) = try Self.place(context, group, prefix.address)
        self.prefix = prefix
        self.interface = interface
        self.own = own
        self.group = group.name
        number = group.virtualRouterID
        advertisements = try AdvertisementSocket(on: interface, from: own, joinsGroup: true)
        arp = try ARPSocket(on: interface, hears: true)
        watch = try InterfaceWatch()
        receiver = AdvertisementReceiver(
            virtualRouter: group.virtualRouterID, ownAddress: own, casting: .multicast,
            addresses: [prefix.address])
        do throws(SystemError) {
            lease = try KernelLease.install(group: group.name, addresses: [prefix.address])
        } catch {
            lease = nil
            context.journal.record(
                "kernel-lease-missing", level: .warning,
                [
                    "group": group.name, "reason": error,
                    "effect": "an address of a stopped process ends after 3 s instead of with its lease",
                ])
        }
    }

    /// The interface that the settings name, or the one on whose network the address lies.
    private static func place(
        _ context: NodeContext, _ group: Settings.Group, _ address: IPv4Address
    ) throws(SystemError) -> (NetworkInterface, IPv4Address) {
        let node = context.settings[context.node].address
        if let name = group.interface {
            guard let interface = try NetworkInterfaces.named(name) else {
                throw SystemError(operation: "find the interface", subject: name, code: ENODEV)
            }
            let own = try NetworkInterfaces.addresses().first {
                $0.interface == interface.index && !$0.isOurs
            }
            return (interface, own?.prefix.address ?? node.version4 ?? address)
        }
        if let found = try NetworkInterfaces.serving(address) { return (found.interface, found.own.address) }
        let own = try NetworkInterfaces.addresses().first { $0.prefix.address == node.version4 }
        guard let own, let interface = try NetworkInterfaces.all().first(where: { $0.index == own.interface })
        else {
            throw SystemError(
                operation: "find an interface on the network of", subject: "\(address)", code: ENODEV)
        }
        return (interface, own.prefix.address)
    }

    /// What to poll for.
    var descriptors: [Int32] {
        [advertisements.descriptor.raw, arp.descriptor.raw, watch.descriptor.raw]
    }

    /// What has come since the last call.
    func news() throws(SystemError) -> [News] {
        var news: [News] = []
        while let packet = try advertisements.receive() {
            // What is no advertisement for this group is counted by the receiver and no news.
            if case .success(let heard) = Result(catching: { () throws(AdvertisementRejection) in
                try receiver.receive(packet)
            }) {
                news.append(.advertisement(heard.advertisement, from: heard.source))
            }
        }
        while let frame = try arp.receive() {
            guard let claim = GratuitousARP(parsing: frame), claim.address == prefix.address,
                claim.hardware != interface.hardware
            else { continue }
            news.append(.foreignClaim)
        }
        for event in try watch.events() {
            switch event {
            case .link(let index, let isRunning) where index == interface.index:
                news.append(.link(isUp: isRunning))
            case .addressRemoved(let address, _) where address == prefix.address && isRaised:
                if try !NetworkInterfaces.isPresent(address) { news.append(.addressVanished) }
            default: break
            }
        }
        return news
    }

    func advertise(priority: UInt8, interval: UInt16) throws(SystemError) {
        let advertisement = VRRPAdvertisement(
            virtualRouter: number, priority: priority, interval: interval, addresses: [prefix.address])
        try advertisements.send(advertisement.encoded(from: own, to: .vrrpGroup), to: .vrrpGroup)
    }

    func announce(_ operation: GratuitousARP.Operation) throws(SystemError) {
        guard let hardware = interface.hardware else { return }
        try arp.send(GratuitousARP(operation, hardware: hardware, address: prefix.address).frame)
    }

    /// Puts the address on the interface; it answers for `remaining`, nil: as long as it is renewed.
    func raise(for remaining: Interval) throws(SystemError) {
        try NetworkInterfaces.raise(prefix, on: interface.index, lifetime: Self.lifetime)
        isRaised = true
        nextLifetime = .now() + .seconds(1)
        isAudible = true
        try lease?.renew(for: remaining)
    }

    /// Lets the raised address answer for that long from now on.
    func renew(for remaining: Interval, at now: Instant) throws(SystemError) {
        guard isRaised else { return }
        isAudible = true
        try lease?.renew(for: remaining)
        if now >= nextLifetime {
            nextLifetime = now + .seconds(1)
            try NetworkInterfaces.raise(prefix, on: interface.index, lifetime: Self.lifetime)
        }
    }

    /// Takes the address off, mute before anything else, and returns when it is gone.
    func lower() throws(SystemError) {
        isRaised = false
        if isAudible {
            isAudible = false
            // The address itself goes next: a kernel lease that cannot be ended at once ends by itself.
            _ = Result { () throws(SystemError) in try lease?.mute() }
        }
        try NetworkInterfaces.lower(prefix, on: interface.index)
    }

    /// Removes the rules. The address is off.
    func close() {
        guard lease != nil else { return }
        lease = nil
        _ = Result { () throws(SystemError) in try KernelLease.remove(group: group) }
    }
}
