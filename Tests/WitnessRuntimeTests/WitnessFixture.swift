import Basics
import Glibc
import LinuxSystem
import Quorum
import SecureChannel
import Settings
import Synchronization
import Telemetry
import WireFormat

@testable import WitnessRuntime

/// Where tests make their directories; short enough for a Unix socket's path.
private let temporary = getenv("TMPDIR").map { String(cString: $0) } ?? P_tmpdir

/// A cluster's directory with secret and settings, and a witness that can be started and ended in it.
final class WitnessFixture {
    let directory: String
    let settings: Settings
    let secret: ClusterSecret
    let journal = Journal(logger: nil)
    private var remote: WitnessRemote?
    private var thread: Thread?

    /// A dictionary, an optional or a class cannot hold a thread's owner otherwise.
    private final class Thread {
        let thread: SystemThread
        init(_ thread: consuming SystemThread) { self.thread = thread }
    }

    init(name: String, more: String = "") throws {
        directory = "\(temporary)/tandem-\(name)-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
        guard mkdir(directory, 0o700) == 0 else {
            throw SystemError(operation: "mkdir", subject: directory, code: errno)
        }
        let any = try SocketListener(tcp: SocketAddress(host: "127.0.0.3", port: 0).orTrap)
        let port = any.localAddress?.port ?? 0
        let text = """
            cluster: test
            secret: \(directory)/secret
            nodes:
              node1: { address: 127.0.0.1 }
              node2: { address: 127.0.0.2 }
            witness: { address: 127.0.0.3, port: \(port)\(more) }
            state-directory: \(directory)/state
            run-directory: \(directory)/run
            groups:
              files:
                volume: { size: 1MiB, backing: \(directory)/files.img }
            """
        settings = try Settings.parse(text: text, file: "test.yaml")
        try SecretFile.create(settings.secretPath)
        secret = try SecretFile.load(settings.secretPath)
    }

    /// Starts a witness and returns when it listens.
    func start(disk: WitnessDisk = WitnessDisk()) throws {
        let remote = try WitnessRemote()
        let (settings, journal) = (settings, journal)
        let box = try Outcome()
        let thread = try SystemThread(name: "witness") {
            do {
                let daemon = try WitnessDaemon(
                    settings: settings, journal: journal, remote: remote, disk: disk)
                box.set("")
                try daemon.run()
            } catch {
                box.set("\(error)")
            }
        }
        self.remote = remote
        self.thread = Thread(thread)
        let problem = try box.wait()
        guard problem.isEmpty else { throw WitnessError.unopened(problem) }
    }

    /// Ends the witness; all it had in memory is lost.
    func stop() {
        remote?.stop()
        thread = nil
        remote = nil
    }

    deinit {
        stop()
        for path in ["state/witness/files.record", "state/witness/lock", "secret"] {
            unlink("\(directory)/\(path)")
        }
        for path in ["state/witness", "state", "run", ""] { rmdir("\(directory)/\(path)") }
    }

    var deadline: Instant { .now() + .seconds(10) }

    /// A session of a node.
    func client(_ node: NodeIndex) throws -> WitnessClient {
        try WitnessClient(settings: settings, node: node, secret: secret, deadline: deadline)
    }

    /// The bytes of the group's file; nil when there is none.
    var recordFile: WitnessRecordFile? {
        get throws {
            let store = try WitnessStoreReader.read("\(directory)/state/witness/files.record")
            return try store.map { try WitnessRecordFile.decode($0) }
        }
    }
}

/// What a thread says once, waited for by another.
final class Outcome: Sendable {
    private let text = Mutex<String?>(nil)
    private let wake: EventCounter

    init() throws(SystemError) { wake = try EventCounter() }

    func set(_ value: String) {
        text.withLock { if $0 == nil { $0 = value } }
        wake.signal()
    }

    func wait() throws(SystemError) -> String {
        var poll = PollSet()
        poll.add(wake.descriptor.raw, .readable)
        try poll.wait(until: .now() + .seconds(10))
        return text.withLock { $0 } ?? "it does not start"
    }
}

enum WitnessStoreReader {
    static func read(_ path: String) throws -> [UInt8]? {
        let number = open(path, O_RDONLY | O_CLOEXEC)
        guard number >= 0 else { return nil }
        let file = Descriptor(adopting: number)
        var bytes = [UInt8](repeating: 0, count: 1000)
        let count = Glibc.read(file.raw, &bytes, bytes.count)
        return Array(bytes[..<max(0, count)])
    }
}

extension Optional {
    /// The value; a test's fixture is wrong without it.
    var orTrap: Wrapped {
        guard let self else { preconditionFailure("a fixture's value is missing") }
        return self
    }
}

extension WitnessClient {
    /// Asks for a change of the record.
    func change(_ request: ArbiterRequest) throws -> ArbiterAnswer {
        guard case .answer(_, let identifier, let answer) = try ask(.change(group: "files", request)),
            identifier == request.identifier
        else { throw WitnessError.unexpectedAnswer }
        return answer
    }

    /// Gives a sign of life.
    func renew(_ record: ArbiterRecord?, isRestarted: Bool = false) throws -> Bool {
        let renewal = LeaseRenewal(
            sequence: 1, epoch: record?.epoch ?? 0, grant: record?.grant ?? .none, heardPeer: true,
            isRestarted: isRestarted)
        guard case .renewed(_, 1, let confirmed, _) = try ask(.renew(group: "files", renewal)) else {
            throw WitnessError.unexpectedAnswer
        }
        return confirmed
    }
}

/// A client handed to one other thread, which alone uses it from then on.
final class Carried: @unchecked Sendable {
    let client: WitnessClient
    init(_ client: WitnessClient) { self.client = client }
}

/// An answer that another thread got.
final class AnswerBox: Sendable {
    private let stored = Mutex<ArbiterAnswer?>(nil)
    func set(_ answer: ArbiterAnswer) { stored.withLock { $0 = answer } }
    var value: ArbiterAnswer? { stored.withLock { $0 } }
}

extension ArbiterAnswer {
    /// The record that was granted; a refusal is the test's failure.
    var record: ArbiterRecord {
        get throws {
            switch self {
            case .granted(let record): return record
            case .refused(let reason, _): throw RefusedAnswer(reason: reason)
            }
        }
    }
}

/// A refusal where a grant was expected.
struct RefusedAnswer: Error {
    let reason: ArbiterRefusal
}
