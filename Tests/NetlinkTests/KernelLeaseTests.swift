import Basics
import Election
import Glibc
import HostServices
import LinuxSystem
import Netlink
import Testing

@Suite(
    "The lease that the kernel holds", .serialized,
    .enabled(if: Can.makeNamespaces, "namespaces: needs network namespaces of its own"),
    .enabled(if: Can.holdLeases, "nftables: needs nft and its kernel part"))
struct KernelLeaseTests {
    private func raise(in cable: Cable) throws {
        try cable.left.run {
            let link = try #require(try NetworkInterfaces.named("left")).index
            try NetworkInterfaces.raise(Cable.shared, on: link)
        }
    }

    /// Whether the shared address answers ARP on the other side.
    private func answersARP(_ cable: Cable) throws -> Bool {
        try cable.right.run {
            try CommandRunner().run(
                ["arping", "-c", "1", "-w", "1", "-I", "right", "10.77.0.200"], deadline: .seconds(10)
            ).isSuccess
        }
    }

    @Test("without a lease the address is mute, with one it answers, and after its timeout it is mute again")
    func timeout() throws {
        let ends = try WireEnds(cable: try Cable(), joins: false)
        try raise(in: ends.cable)
        #expect(try answersARP(ends.cable))
        let (silence, renewals) = try ends.cable.left.run {
            var lease = try KernelLease.install(group: "files", addresses: [Cable.shared.address])
            try ends.drainLeft()
            #expect(try !ends.probeArrives(within: .milliseconds(300)))
            try lease.renew(for: .seconds(30))
            #expect(try ends.probeArrives(within: .seconds(10)))
            // Each renewal sets the time anew: the first would have ended long before the last probe.
            let began = Instant.now()
            var renewals = 0
            while Instant.now().since(began) < .milliseconds(900) {
                try lease.renew(for: .milliseconds(300))
                renewals += 1
                #expect(try ends.probeArrives(within: .seconds(5)))
            }
            let renewed = Instant.now()
            try lease.renew(for: .milliseconds(300))
            var last = renewed
            let limit = renewed + .seconds(10)
            while Instant.now() < limit, try ends.probeArrives(within: .milliseconds(200)) {
                last = Instant.now()
            }
            #expect(Instant.now() < limit, "the address still answers")
            return (last.since(renewed), renewals)
        }
        print(
            "measured: lease of 300 ms, last probe answered \(silence.wholeMilliseconds) ms after the renewal"
        )
        print("measured: \(renewals) renewals, each with a probe, in 900 ms")
        #expect(try !answersARP(ends.cable))
    }

    @Test("muting takes effect at once, and a renewal takes it back")
    func mutes() throws {
        let ends = try WireEnds(cable: try Cable(), joins: false)
        try raise(in: ends.cable)
        #expect(try answersARP(ends.cable))
        try ends.cable.left.run {
            var lease = try KernelLease.install(group: "files", addresses: [Cable.shared.address])
            try lease.renew(for: .seconds(60))
            #expect(try ends.probeArrives(within: .seconds(10)))
            try lease.mute()
            try ends.drainLeft()
            #expect(try !ends.probeArrives(within: .milliseconds(300)))
            try lease.renew(for: .milliseconds(0))
            #expect(try !ends.probeArrives(within: .milliseconds(300)))
            try lease.renew(for: .seconds(60))
            #expect(try ends.probeArrives(within: .seconds(10)))
        }
    }

    @Test("the node's own address is never muted, and what a predecessor left is replaced and removed")
    func removes() throws {
        let cable = try Cable()
        try raise(in: cable)
        try cable.left.run {
            func tables() throws -> String {
                try CommandRunner().run(["nft", "list", "tables"], deadline: .seconds(10)).output
            }
            _ = try KernelLease.install(group: "files", addresses: [Cable.shared.address])
            #expect(try tables().contains("table arp tandem_files"))
            let lease = try KernelLease.install(group: "files", addresses: [Cable.shared.address])
            let result = try cable.right.run {
                try CommandRunner().run(
                    ["arping", "-c", "1", "-w", "5", "-I", "right", "10.77.0.1"], deadline: .seconds(10))
            }
            #expect(result.isSuccess)
            try lease.remove()
            #expect(try tables().isEmpty)
            try KernelLease.remove(group: "files")
        }
        #expect(try answersARP(cable))
    }

    @Test("a renewal costs microseconds and no process")
    func cost() throws {
        let cable = try Cable()
        let each = try cable.left.run {
            var lease = try KernelLease.install(group: "files", addresses: [Cable.shared.address])
            var times: [UInt64] = []
            for _ in 0..<50 {
                let began = Instant.now()
                try lease.renew(for: .seconds(5))
                times.append(Instant.now().since(began).nanoseconds / 1000)
            }
            return times.sorted()
        }
        print("measured: a renewal takes \(each[25]) us (median of 50), at most \(each[49]) us")
    }

    @Test("a rule set that is gone is told by the next renewal")
    func gone() throws {
        let cable = try Cable()
        try cable.left.run {
            var lease = try KernelLease.install(group: "files", addresses: [Cable.shared.address])
            try KernelLease.remove(group: "files")
            #expect(
                throws: SystemError(
                    operation: "renew the kernel's lease", subject: "tandem_files", code: ENOENT)
            ) {
                try lease.renew(for: .seconds(1))
            }
        }
    }
}

extension WireEnds {
    /// Forgets what waits on the left side.
    func drainLeft() throws { while try left.receive() != nil {} }

    /// Sends packets to the shared address from the right side until one has arrived on the left side.
    func probeArrives(within time: Interval) throws -> Bool {
        let limit = Instant.now() + time
        while Instant.now() < limit {
            try right.send([0x31, 0, 0, 0], to: Cable.shared.address)
            if try waitReadable(left.descriptor.raw, until: Instant.now() + .milliseconds(3)) {
                if try left.receive() != nil { return true }
            }
        }
        return false
    }
}

@Suite(
    "TCP connections of an address", .serialized,
    .enabled(if: Can.makeNamespaces, "namespaces: needs network namespaces of its own"))
struct TCPConnectionTests {
    @Test("connections are listed, destroyed without the address, and their owner is told")
    func destroys() throws {
        let cable = try Cable()
        try cable.left.run {
            let link = try #require(try NetworkInterfaces.named("left")).index
            try NetworkInterfaces.raise(Cable.shared, on: link)
            let address = try #require(SocketAddress(host: "10.77.0.200", port: 2049))
            let listener = try SocketListener(tcp: address)
            let other = try SocketListener(tcp: try #require(SocketAddress(host: "10.77.0.1", port: 2049)))
            try cable.right.run {
                let client = try SocketStream.connecting(to: address)
                let bystander = try SocketStream.connecting(
                    to: try #require(SocketAddress(host: "10.77.0.1", port: 2049)))
                #expect(try waitReadable(listener.descriptor.raw, until: .now() + .seconds(10)))
                #expect(try waitReadable(other.descriptor.raw, until: .now() + .seconds(10)))
                _ = (client.descriptor.raw, bystander.descriptor.raw)
                try cable.left.run {
                    guard let server = try listener.accept(), let untouched = try other.accept() else {
                        Issue.record("nobody connected")
                        return
                    }
                    let found = try TCPConnections.of(Cable.shared.address)
                    #expect(found.map(\.remote) == [Cable.right])
                    #expect(found.map(\.localPort) == [2049])
                    try NetworkInterfaces.lower(Cable.shared, on: link)
                    #expect(try TCPConnections.destroy(of: Cable.shared.address) == 1)
                    #expect(try TCPConnections.of(Cable.shared.address).isEmpty)
                    var bytes: [UInt8] = []
                    #expect(throws: SystemError.self) { try server.read(appendingTo: &bytes, limit: 1) }
                    #expect(try untouched.read(appendingTo: &bytes, limit: 1) == .wouldBlock)
                }
                #expect(bystander.descriptor.raw != client.descriptor.raw)
            }
        }
    }
}
