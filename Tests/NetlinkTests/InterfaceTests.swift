import Basics
import Glibc
import HostServices
import LinuxSystem
import Netlink
import Testing

@Suite(
    "Addresses and links", .serialized,
    .enabled(if: Can.makeNamespaces, "namespaces: needs network namespaces of its own"))
struct InterfaceTests {
    @Test("the interface that serves an address is found by its network")
    func serving() throws {
        let cable = try Cable()
        try cable.left.run {
            let found = try #require(try NetworkInterfaces.serving(Cable.shared.address))
            #expect(found.interface.name == "left")
            #expect(found.interface.isRunning)
            #expect(found.interface.hardware != nil)
            #expect(found.own == IPv4Prefix(Cable.left, length: 24))
            #expect(try NetworkInterfaces.serving(IPv4Address(192, 168, 99, 1)) == nil)
            // A network known only by an address that we raised ourselves is nobody's to send from.
            let link = found.interface.index
            try NetworkInterfaces.raise(IPv4Prefix(IPv4Address(10, 99, 0, 5), length: 24), on: link)
            #expect(try NetworkInterfaces.serving(IPv4Address(10, 99, 0, 9)) == nil)
            #expect(try NetworkInterfaces.named("lo")?.hardware == nil)
            #expect(try NetworkInterfaces.named("nothing") == nil)
        }
    }

    @Test("an address is raised with its mark and lifetime, renewed, and lowered for certain")
    func raises() throws {
        let cable = try Cable()
        try cable.left.run {
            let link = try #require(try NetworkInterfaces.named("left")).index
            func entry() throws -> InterfaceAddress? {
                try NetworkInterfaces.addresses().first { $0.prefix == Cable.shared }
            }
            #expect(try entry() == nil)
            try NetworkInterfaces.raise(Cable.shared, on: link)
            #expect(try entry()?.validSeconds == nil)
            #expect(try entry()?.isOurs == true)
            #expect(try entry()?.isSecondary == true)
            #expect(try NetworkInterfaces.serving(Cable.shared.address)?.own.address == Cable.left)
            try NetworkInterfaces.raise(Cable.shared, on: link, lifetime: .seconds(3))
            let left = try #require(try entry()?.validSeconds)
            #expect((2...3).contains(left))
            try NetworkInterfaces.raise(Cable.shared, on: link, lifetime: .seconds(30))
            #expect(try #require(try entry()?.validSeconds) > 20)
            try NetworkInterfaces.lower(Cable.shared, on: link)
            #expect(try entry() == nil)
            #expect(try !NetworkInterfaces.isPresent(Cable.shared.address))
            try NetworkInterfaces.lower(Cable.shared, on: link)
            #expect(throws: SystemError.self) { try NetworkInterfaces.raise(Cable.shared, on: 9999) }
        }
    }

    @Test("an address that is on another interface is not gone, and lowering says so")
    func elsewhere() throws {
        let cable = try Cable()
        try cable.left.shell("ip addr add 10.77.0.200/32 dev lo")
        try cable.left.run {
            let link = try #require(try NetworkInterfaces.named("left")).index
            try NetworkInterfaces.raise(Cable.shared, on: link)
            #expect(throws: SystemError.self) { try NetworkInterfaces.lower(Cable.shared, on: link) }
        }
    }

    @Test("a host route's address makes no network")
    func host() throws {
        let cable = try Cable()
        try cable.left.run {
            let prefix = IPv4Prefix(Cable.shared.address, length: 32)
            let link = try #require(try NetworkInterfaces.named("left")).index
            try NetworkInterfaces.raise(prefix, on: link)
            #expect(try NetworkInterfaces.isPresent(prefix.address))
            try NetworkInterfaces.lower(prefix, on: link)
        }
    }

    @Test("the kernel removes an address that nobody renews, and the watch hears it")
    func expires() throws {
        let cable = try Cable()
        let milliseconds = try cable.left.run {
            let watch = try InterfaceWatch()
            let link = try #require(try NetworkInterfaces.named("left")).index
            try NetworkInterfaces.raise(Cable.shared, on: link, lifetime: .seconds(1))
            let raised = Instant.now()
            var events: [InterfaceEvent] = []
            while !events.contains(.addressRemoved(Cable.shared.address, index: link)) {
                guard try waitReadable(watch.descriptor.raw, until: raised + .seconds(10)) else { break }
                events += try watch.events()
            }
            #expect(events.contains(.addressAdded(Cable.shared.address, index: link)))
            #expect(events.contains(.addressRemoved(Cable.shared.address, index: link)))
            #expect(try !NetworkInterfaces.isPresent(Cable.shared.address))
            return Instant.now().since(raised).wholeMilliseconds
        }
        print("measured: an address of lifetime 1 s was removed by the kernel after \(milliseconds) ms")
        #expect(milliseconds >= 900)
    }

    @Test("a carrier that goes and comes is heard")
    func carrier() throws {
        let cable = try Cable()
        let watch = try cable.left.run { Box(try InterfaceWatch()) }
        let link = try cable.left.run { try #require(try NetworkInterfaces.named("left")).index }
        try cable.right.shell("ip link set right down")
        try expect(.link(index: link, isRunning: false), on: watch)
        try cable.right.shell("ip link set right up")
        try expect(.link(index: link, isRunning: true), on: watch)
    }

    private final class Box: Sendable {
        let watch: InterfaceWatch
        init(_ watch: consuming InterfaceWatch) { self.watch = watch }
    }

    private func expect(_ event: InterfaceEvent, on box: Box) throws {
        let limit = Instant.now() + .seconds(10)
        while try waitReadable(box.watch.descriptor.raw, until: limit) {
            if try box.watch.events().contains(event) { return }
        }
        Issue.record("not heard: \(event)")
    }
}
