import Basics
import CLinux
import Election
import Glibc
import HostServices
import LinuxSystem
import Netlink
import Synchronization
import Testing

/// A keepalived in the right namespace, until it is stopped.
final class Keepalived: Sendable {
    private final class Outcome: Sendable {
        let value = Mutex<CommandResult?>(nil)
    }

    private let outcome = Outcome()
    private let stopper: Descriptor
    private let ended: Descriptor
    private let directory: String
    /// Joined when this object goes.
    private let thread: SystemThread

    init(in namespace: Namespace) throws {
        var template = Array("/var/tmp/tandem-test-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw SystemError(operation: "mkdtemp", subject: "", code: errno)
        }
        let directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        self.directory = directory
        let configuration = """
            global_defs {
                script_user root
            }
            vrrp_instance test {
                interface right
                virtual_router_id 77
                version 3
                priority 100
                advert_int 0.1
                virtual_ipaddress {
                    10.77.0.200/24
                }
            }

            """
        let file = Descriptor(
            adopting: clinux_open("\(directory)/conf", O_WRONLY | O_CREAT | O_CLOEXEC, 0o600))
        let bytes = Array(configuration.utf8)
        guard write(file.raw, bytes, bytes.count) == bytes.count else {
            throw SystemError(operation: "write", subject: directory, code: errno)
        }
        let stop = try Self.pipe()
        let end = try Self.pipe()
        stopper = Descriptor(adopting: stop.writer)
        ended = Descriptor(adopting: end.reader)
        thread = try SystemThread(name: "keepalived") { [outcome] in
            let result = try? namespace.run {
                try CommandRunner(grace: .seconds(5)).run(
                    [
                        "keepalived", "-n", "-l", "-D", "-P", "-f", "\(directory)/conf", "-p",
                        "\(directory)/pid",
                        "-r", "\(directory)/vrrp",
                    ], deadline: .seconds(120), cancel: stop.reader)
            }
            outcome.value.withLock { $0 = result }
            _ = close(stop.reader)
            _ = close(end.writer)
        }
    }

    private static func pipe() throws -> (reader: Int32, writer: Int32) {
        var ends: [Int32] = [-1, -1]
        guard clinux_pipe(&ends) == 0 else { throw SystemError(operation: "pipe", subject: "", code: errno) }
        return (ends[0], ends[1])
    }

    /// SIGTERM, as a service manager sends it. What it logged.
    func stop() throws -> String {
        _ = write(stopper.raw, [1], 1)
        #expect(try waitReadable(ended.raw, until: .now() + .seconds(30)), "keepalived did not end")
        _ = try CommandRunner().run(["rm", "-rf", "--one-file-system", directory], deadline: .seconds(20))
        return outcome.value.withLock { ($0?.output ?? "") + ($0?.errors ?? "") }
    }
}

/// Our elector on the left end: the machine, its socket and its clock.
struct LiveRouter {
    var router: VirtualRouter
    var receiver = AdvertisementReceiver(
        virtualRouter: 77, ownAddress: Cable.left, casting: .multicast, addresses: [Cable.shared.address])
    let ends: WireEnds
    var actions: [VirtualRouterAction] = []
    var heard: [HeardAdvertisement] = []

    init(ends: WireEnds, priority: UInt8) {
        self.ends = ends
        router = VirtualRouter(
            configuration: VirtualRouterConfiguration(
                number: 77, priority: priority, interval: 10, ownAddress: Cable.left, isArbitrated: false))
    }

    mutating func tell(_ event: VirtualRouterEvent) throws {
        let new = router.handle(event, at: .now())
        actions += new
        for case .sendAdvertisement(let priority) in new {
            let advertisement = VRRPAdvertisement(
                virtualRouter: 77, priority: priority, interval: 10, addresses: [Cable.shared.address])
            try ends.left.send(advertisement.encoded(from: Cable.left, to: .vrrpGroup), to: .vrrpGroup)
        }
    }

    /// Runs until the condition holds; false when it does not within the time.
    mutating func run(for time: Interval, until condition: (LiveRouter) throws -> Bool) throws -> Bool {
        let limit = Instant.now() + time
        while Instant.now() < limit {
            if try condition(self) { return true }
            _ = try waitReadable(
                ends.left.descriptor.raw,
                until: min(limit, min(router.nextWakeup, .now() + .milliseconds(20))))
            try tell(.wake)
            while let packet = try ends.left.receive() {
                let advertisement = try receiver.receive(packet)
                heard.append(advertisement)
                try tell(.heard(advertisement.advertisement, from: advertisement.source))
            }
        }
        return false
    }
}

@Suite(
    "Beside keepalived", .serialized,
    .enabled(if: Can.runKeepalived, "keepalived: is not installed, or no namespaces"))
struct KeepalivedTests {
    @Test(
        "each yields to the other's priority, takes over on its resignation, and finds no fault with its packets"
    )
    func interoperates() throws {
        let ends = try WireEnds(cable: try Cable(), joins: true)
        func hasAddress() throws -> Bool {
            try ends.cable.right.run { try NetworkInterfaces.isPresent(Cable.shared.address) }
        }
        var ours = LiveRouter(ends: ends, priority: 200)
        try ours.tell(.started)
        try ours.tell(.granted)
        let keepalived = try Keepalived(in: ends.cable.right)
        // Its own start takes some tenths of a second; its down time at 0.1 s is 0.36 s.
        let wasTaken = try ours.run(for: .seconds(3)) { _ in try hasAddress() }
        #expect(!wasTaken, "keepalived took the address beside a better Active")
        #expect(ours.heard.isEmpty)

        try ours.tell(.stopped)
        let resigned = Instant.now()
        #expect(try ours.run(for: .seconds(10)) { !$0.heard.isEmpty })
        let taken = Instant.now().since(resigned)
        let first = try #require(ours.heard.first)
        #expect(first.advertisement.priority == 100)
        #expect(first.advertisement.interval == 10)
        #expect(first.checksum == .pseudoHeader)
        #expect(first.sameAddresses)
        #expect(try ours.run(for: .seconds(10)) { _ in try hasAddress() })

        var backup = LiveRouter(ends: ends, priority: 200)
        try backup.tell(.eligible(true))
        try backup.tell(.started)
        #expect(try !backup.run(for: .seconds(2)) { $0.router.state != .backup }, "\(backup.actions)")
        let log = try keepalived.stop()
        #expect(try backup.run(for: .seconds(10)) { $0.router.state == .candidate })
        #expect(backup.actions.contains(.startPromotion(.resignation)), "\(backup.actions)")
        #expect(backup.receiver.count(of: .checksum) == 0)
        for word in ["nvalid", "ogus", "hecksum", "mismatch"] {
            #expect(!log.contains(word), "\(log)")
        }
        #expect(log.contains("MASTER"), "the log was not captured: \(log)")
        print(
            "measured: keepalived advertised \(taken.wholeMilliseconds) ms after our resignation (skew 61 ms)"
        )
    }
}
