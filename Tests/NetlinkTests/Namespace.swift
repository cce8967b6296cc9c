import Basics
import CLinux
import Glibc
import HostServices
import LinuxSystem
import Netlink
import Synchronization
import Testing

/// A network namespace that only this object's descriptor keeps alive: nothing is left behind, whatever
/// happens.
final class Namespace: Sendable {
    let descriptor: Descriptor

    init() throws {
        let number = try Namespace.onThread {
            guard clinux_new_network() == 0 else {
                throw SystemError(operation: "unshare", subject: "network", code: errno)
            }
            let number = clinux_open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC, 0)
            guard number >= 0 else { throw SystemError(operation: "open", subject: "ns/net", code: errno) }
            return number
        }
        descriptor = Descriptor(adopting: number)
    }

    /// A path by which a command may name it while this object lives.
    var path: String { "/proc/\(getpid())/fd/\(descriptor.raw)" }

    /// Runs the body on a thread inside. Sockets that it opens stay inside for ever.
    func run<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) throws -> Result {
        let number = descriptor.raw
        return try Namespace.onThread {
            guard clinux_enter_network(number) == 0 else {
                throw SystemError(operation: "setns", subject: "", code: errno)
            }
            return try body()
        }
    }

    /// Runs commands inside, one a line; each must succeed.
    func shell(_ lines: String) throws {
        try run {
            for line in lines.split(separator: "\n") {
                let words = line.split(separator: " ").map(String.init)
                let result = try CommandRunner().run(words, deadline: .seconds(20))
                #expect(result.isSuccess, "\(line): \(result.summary)")
            }
        }
    }

    static func onThread<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) throws -> Result {
        let box = Box<Result>()
        let thread = try SystemThread(name: "namespace") { box.value.withLock { $0 = .init(catching: body) } }
        thread.join()
        return try #require(box.value.withLock { $0 }).get()
    }

    private final class Box<Result: Sendable>: Sendable {
        let value = Mutex<Swift.Result<Result, any Error>?>(nil)
    }
}

/// Two namespaces joined by a cable: "left" 10.77.0.1/24 and "right" 10.77.0.2/24.
struct Cable {
    static let shared = IPv4Prefix(IPv4Address(10, 77, 0, 200), length: 24)
    static let left = IPv4Address(10, 77, 0, 1)
    static let right = IPv4Address(10, 77, 0, 2)

    let left: Namespace
    let right: Namespace

    init() throws {
        left = try Namespace()
        right = try Namespace()
        try left.shell(
            """
            ip link add left type veth peer name right netns \(right.path)
            ip addr add 10.77.0.1/24 dev left
            ip link set left up
            ip link set lo up
            """)
        try right.shell(
            """
            ip addr add 10.77.0.2/24 dev right
            ip link set right up
            ip link set lo up
            """)
        // Until the kernel has told both ends of their carrier, packets are dropped.
        for (namespace, name) in [(left, "left"), (right, "right")] {
            try namespace.run {
                let watch = try InterfaceWatch()
                let limit = Instant.now() + .seconds(20)
                while try NetworkInterfaces.named(name)?.isRunning != true {
                    guard try waitReadable(watch.descriptor.raw, until: limit) else {
                        throw SystemError(operation: "wait for the carrier", subject: name, code: ETIMEDOUT)
                    }
                    _ = try watch.events()
                }
            }
        }
    }
}

/// What this machine lets a test do; the names and reasons are in Tests/skips.txt.
enum Can {
    static let makeNamespaces = (try? Namespace()) != nil
    static let holdLeases = makeNamespaces && tryLease()
    static let runKeepalived = makeNamespaces && CommandRunner.find("keepalived") != nil

    private static func tryLease() -> Bool {
        guard let namespace = try? Namespace() else { return false }
        let result = try? namespace.run {
            try CommandRunner().run(["nft", "add", "table", "inet", "probe"], deadline: .seconds(20))
                .isSuccess
        }
        return result ?? false
    }
}

/// Waits until a descriptor is readable; false at the deadline.
func waitReadable(_ descriptor: Int32, until deadline: Instant) throws -> Bool {
    var set = PollSet()
    set.add(descriptor, .readable)
    return try set.wait(until: deadline) > 0
}
