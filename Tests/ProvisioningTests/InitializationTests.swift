import Basics
import BlockStore
import ControlPlane
import DiskFormat
import Glibc
import LinuxSystem
import Quorum
import Settings
import Telemetry
import Testing
import WitnessRuntime

@testable import Provisioning

/// Where tests make their directories; short enough for a Unix socket's path.
private let temporary = getenv("TMPDIR").map { String(cString: $0) } ?? P_tmpdir

/// A cluster of two nodes on one machine, each with its own backing path, and a witness that can be started.
private final class Cluster {
    let directory: String
    private(set) var remote: WitnessRemote?
    private let port: UInt16
    private var thread: Box?

    private final class Box {
        let thread: SystemThread
        init(_ thread: consuming SystemThread) { self.thread = thread }
    }

    init(_ name: String) throws {
        directory = "\(temporary)/tandem-init-\(name)-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
        guard mkdir(directory, 0o700) == 0 else {
            throw SystemError(operation: "mkdir", subject: directory, code: errno)
        }
        let any = try SocketListener(tcp: try #require(SocketAddress(host: "127.0.0.3", port: 0)))
        port = any.localAddress?.port ?? 0
        try SecretFile.create(directory + "/secret")
    }

    /// Both machines' settings differ in nothing; here the backing path stands for the machine.
    func settings(_ node: String, arbiter: Bool = true, size: String = "1MiB", second: Bool = false) throws
        -> Settings
    {
        let more = second ? "\n  more:\n    volume: { size: 1MiB, backing: /proc/none/more.img }" : ""
        let witness = arbiter ? "witness: { address: 127.0.0.3, port: \(port) }" : "arbiter: none"
        return try Settings.parse(
            text: """
                cluster: test
                secret: \(directory)/secret
                nodes:
                  node1: { address: 127.0.0.1 }
                  node2: { address: 127.0.0.2 }
                \(witness)
                state-directory: \(directory)
                run-directory: \(directory)
                groups:
                  files:
                    prefer: node2
                    volume: { size: \(size), backing: \(directory)/\(node).img }\(more)
                """, file: "test.yaml")
    }

    func startWitness() throws {
        let remote = try WitnessRemote()
        let settings = try settings("node1")
        let ready = try Wake()
        self.remote = remote
        thread = Box(
            try SystemThread(name: "witness") {
                do {
                    let daemon = try WitnessDaemon(
                        settings: settings, journal: Journal(logger: nil), remote: remote)
                    ready.counter.signal()
                    try daemon.run()
                } catch {
                    Issue.record("the witness does not run: \(error)")
                    ready.counter.signal()
                }
            })
        var poll = PollSet()
        poll.add(ready.counter.descriptor.raw, .readable)
        #expect(try poll.wait(until: .now() + .seconds(10)) == 1)
    }

    func initialize(
        _ node: String, _ wish: InitializationPlan.Wish = .fresh, settings: Settings? = nil,
        group: String? = nil
    ) throws -> [CopyInitialization.Report] {
        let settings = try settings ?? self.settings(node)
        let index = try #require(settings.nodeIndex(named: node))
        return try CopyInitialization.run(
            settings: settings, node: index, group: group, wish: wish,
            deadline: .now() + .seconds(10))
    }

    /// What the node's metadata says.
    func superblock(_ node: String) throws -> Superblock {
        let bytes = try MetadataFile.open("\(directory)/\(node).img.tandem", size: nil).readAll()
        return try SuperblockSlots.newest(Array(bytes[..<4096]), Array(bytes[4096..<8192])).superblock
    }

    func exists(_ name: String) -> Bool { access("\(directory)/\(name)", F_OK) == 0 }

    func write(_ name: String, bytes: Int) throws {
        let path = "\(directory)/\(name)"
        let number = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        guard number >= 0 else { throw SystemError(operation: "open", subject: path, code: errno) }
        let file = Descriptor(adopting: number)
        #expect(Glibc.write(file.raw, [UInt8](repeating: 7, count: bytes), bytes) == bytes)
    }

    deinit {
        remote?.stop()
        thread = nil
        for name in [
            "node1.img", "node2.img", "node1.img.tandem", "node2.img.tandem", "witness/files.record",
            "witness/lock", "secret",
        ] {
            unlink("\(directory)/\(name)")
        }
        rmdir(directory + "/witness")
        rmdir(directory)
    }
}

private final class Wake: Sendable {
    let counter: EventCounter
    init() throws { counter = try EventCounter() }
}

@Suite("tandem init", .serialized)
struct InitializationTests {
    private func refusal(_ body: () throws -> Void) -> String {
        do {
            try body()
            return ""
        } catch {
            return "\(error)"
        }
    }

    @Test("the first node makes the record, the second joins it; both copies are zeroes of one generation")
    func twoNodes() throws {
        let cluster = try Cluster("two")
        try cluster.startWitness()
        #expect(try cluster.initialize("node1").count == 1)
        _ = try cluster.initialize("node2")
        let (one, two) = (try cluster.superblock("node1"), try cluster.superblock("node2"))
        #expect(one.record == two.record)
        #expect(one.record?.epoch == 1)
        #expect(one.record?.holder == .first)
        #expect(one.record?.copies == NodeSet(.first))
        #expect(one.generations.current == .zeroes)
        #expect(two.generations.current == .zeroes)
        #expect(two.condition == .consistent)
        #expect((one.node, two.node) == (.first, .second))
        #expect(one.ownership == Checksum.crc32c("test/files".utf8))
        #expect(one.size == 1 << 20)
        #expect(try BackingFile.open("\(cluster.directory)/node1.img", size: nil).size == 1 << 20)
    }

    @Test("a second init is refused and changes nothing")
    func again() throws {
        let cluster = try Cluster("again")
        try cluster.startWitness()
        _ = try cluster.initialize("node1")
        let before = try cluster.superblock("node1")
        #expect(
            refusal { _ = try cluster.initialize("node1") }.contains("is initialized on this node already"))
        #expect(refusal { _ = try cluster.initialize("node1", .adopt) }.contains("already"))
        #expect(try cluster.superblock("node1") == before)
        #expect(cluster.exists("node1.img"))
    }

    @Test("without a witness nothing is made, and the sentence names it")
    func noWitness() throws {
        let cluster = try Cluster("none")
        let text = refusal { _ = try cluster.initialize("node1") }
        #expect(text.contains("the witness cannot be asked"))
        #expect(text.contains("start `tandem witness`"))
        #expect(!cluster.exists("node1.img"))
        #expect(!cluster.exists("node1.img.tandem"))
    }

    @Test("with another secret than the witness's nothing is made, and the sentence is of the secret alone")
    func wrongSecret() throws {
        let cluster = try Cluster("secret")
        try cluster.startWitness()
        #expect(unlink(cluster.directory + "/secret") == 0)
        try SecretFile.create(cluster.directory + "/secret")
        let text = refusal { _ = try cluster.initialize("node1") }
        #expect(text.contains("secret differs from ours; copy the secret's file"))
        // It runs and it was reached: who is told to start it looks in the wrong place.
        #expect(!text.contains("start"))
        #expect(!cluster.exists("node1.img"))
        #expect(!cluster.exists("node1.img.tandem"))
    }

    @Test("when the second of two groups fails, the first one's files are removed, and the next init goes on")
    func undo() throws {
        let cluster = try Cluster("undo")
        try cluster.startWitness()
        let both = try cluster.settings("node1", second: true)
        #expect(
            refusal { _ = try cluster.initialize("node1", settings: both) }.contains("/proc/none/more.img"))
        #expect(!cluster.exists("node1.img"))
        #expect(!cluster.exists("node1.img.tandem"))
        // The witness has the first record of an init that did not end: it is taken up, not made anew.
        _ = try cluster.initialize("node1", settings: both, group: "files")
        #expect(try cluster.superblock("node1").record?.epoch == 1)
    }

    @Test("a backing file with data is refused, adopted at its exact size only, and joined by the other node")
    func adopt() throws {
        let cluster = try Cluster("adopt")
        try cluster.startWitness()
        try cluster.write("node1.img", bytes: 1 << 20)
        #expect(refusal { _ = try cluster.initialize("node1") }.contains("--adopt"))
        let larger = try cluster.settings("node1", size: "2MiB")
        #expect(refusal { _ = try cluster.initialize("node1", .adopt, settings: larger) }.contains("2097152"))
        let smaller = try cluster.settings("node1", size: "1028KiB")
        #expect(refusal { _ = try cluster.initialize("node1", .adopt, settings: smaller) }.contains("needs"))
        #expect(!cluster.exists("node1.img.tandem"))
        _ = try cluster.initialize("node1", .adopt)
        let one = try cluster.superblock("node1")
        #expect(one.generations.current != .zeroes && one.generations.current != .none)
        #expect(one.condition == .consistent)
        try cluster.write("node2.img", bytes: 1 << 20)
        #expect(refusal { _ = try cluster.initialize("node2", .adopt) }.contains("--join"))
        _ = try cluster.initialize("node2", .join)
        let two = try cluster.superblock("node2")
        #expect(two.generations.current == .none)
        #expect(two.condition == .inconsistent)
        #expect(two.record == one.record)
    }

    @Test("there is nothing to join before the first copy, and nothing to adopt where no file is")
    func nothingThere() throws {
        let cluster = try Cluster("nothing")
        try cluster.startWitness()
        #expect(refusal { _ = try cluster.initialize("node1", .join) }.contains("no copy to join"))
        #expect(refusal { _ = try cluster.initialize("node1", .adopt) }.contains("nothing to adopt"))
        #expect(!cluster.exists("node1.img"))
    }

    @Test("foreign metadata is refused and not touched")
    func foreign() throws {
        let cluster = try Cluster("foreign")
        try cluster.startWitness()
        try cluster.write("node1.img.tandem", bytes: 8192)
        #expect(refusal { _ = try cluster.initialize("node1") }.contains("is not Tandem's metadata"))
        #expect(!cluster.exists("node1.img"))
        #expect(cluster.exists("node1.img.tandem"))
    }

    @Test("a node that the record names as a copy, and that has none, is not given an empty one")
    func lostCopy() throws {
        let cluster = try Cluster("lost")
        try cluster.startWitness()
        let settings = try cluster.settings("node1")
        let client = try WitnessClient(
            settings: settings, node: .first, secret: try SecretFile.load(settings.secretPath),
            deadline: .now() + .seconds(10))
        let record = ArbiterRecord(epoch: 5, grant: Mark(high: 1, low: 1), holder: .second, copies: .both)
        _ = try client.create("files", record)
        #expect(refusal { _ = try cluster.initialize("node1") }.contains("this node holds current data"))
        #expect(!cluster.exists("node1.img"))
    }

    @Test("without an arbiter both nodes write down the same record")
    func withoutArbiter() throws {
        let cluster = try Cluster("alone")
        for node in ["node1", "node2"] {
            _ = try cluster.initialize(node, settings: try cluster.settings(node, arbiter: false))
        }
        let record = try cluster.superblock("node1").record
        #expect(
            record == ArbiterRecord(epoch: 1, grant: Mark(high: 0, low: 1), holder: .second, copies: .both))
        #expect(try cluster.superblock("node2").record == record)
    }

    @Test("a volume larger than the file system leaves nothing")
    func noSpace() throws {
        let cluster = try Cluster("space")
        try cluster.startWitness()
        let settings = try cluster.settings("node1", size: "16TiB")
        let text = refusal { _ = try cluster.initialize("node1", settings: settings) }
        #expect(text.contains("not enough free space"))
        #expect(!cluster.exists("node1.img"))
        #expect(!cluster.exists("node1.img.new"))
    }
}
