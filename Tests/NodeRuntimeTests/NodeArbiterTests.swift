import Basics
import Glibc
import HostServices
import LinuxSystem
import Quorum
import SecureChannel
import Settings
import Telemetry
import Testing
import WireFormat
import WitnessRuntime

@testable import NodeRuntime

/// A witness in this process, with a directory of its own that goes with it.
private final class RunningWitness {
    let folder: String
    let cluster: NodeCluster
    private var remote: WitnessRemote?
    private var thread: NodeThread?

    init() throws {
        folder = "/dev/shm/tandem-test-\(NodeStart.random())"
        try #require(mkdir(folder, 0o700) == 0)
        try SecretFile.create("\(folder)/secret")
        cluster = try NodeCluster(
            folder: folder, port: NodeCluster.port(), secret: try SecretFile.load("\(folder)/secret"))
        try start()
    }

    func start() throws {
        let remote = try WitnessRemote()
        let settings = cluster.settings
        self.remote = remote
        thread = try NodeThread(name: "witness") {
            do {
                try WitnessDaemon(settings: settings, journal: Journal(logger: nil), remote: remote).run()
            } catch {
                Issue.record("the witness: \(error)")
            }
        }
    }

    func stop() {
        remote?.stop()
        thread?.join()
        remote = nil
        thread = nil
    }

    deinit {
        stop()
        do { _ = try CommandRunner().run(["rm", "-r", folder], deadline: .seconds(10)) } catch {
            Issue.record("\(error)")
        }
    }
}

@Suite("the session with a real witness", .serialized)
struct NodeArbiterTests {
    private struct Said: Sendable {
        var group: String?
        var news: ArbiterNews
    }

    private func client(_ witness: RunningWitness, _ node: NodeIndex, _ news: News<Said>) throws
        -> ArbiterClient
    {
        let settings = try #require(witness.cluster.settings.witness)
        return try ArbiterClient(
            witness.cluster.context(node, journal: Journal(logger: nil)), witness: settings
        ) { news.take(Said(group: $0, news: $1)) }
    }

    private func isUp(_ said: Said) -> Bool? { if case .up = said.news { true } else { nil } }
    private func isLost(_ said: Said) -> Bool? { if case .lost = said.news { true } else { nil } }
    private func record(_ said: Said) -> ArbiterRecord? {
        if case .record(let record) = said.news { record } else { nil }
    }

    private let first = ArbiterRecord(epoch: 1, grant: Mark(high: 9, low: 9), holder: .first, copies: .both)

    @Test("a record is created, read, changed, and each answer goes to its group")
    func asks() throws {
        let witness = try RunningWitness()
        let news = try News<Said>()
        let client = try client(witness, .first, news)
        defer { client.stop() }
        _ = try news.first("the session", isUp)
        client.send(.create(group: "files", first))
        let made = try news.first("the record", record)
        #expect(made.epoch == 1)
        let request = ArbiterRequest(
            identifier: Mark(high: 1, low: 1), purpose: .promote, asker: .first, expectedEpoch: made.epoch,
            expectedGrant: made.grant, holder: .first, copies: .both, restarted: false)
        client.send(.change(group: "files", request))
        let answer = try news.first("the answer") { said -> ArbiterAnswer? in
            guard case .answer(let identifier, let answer) = said.news, identifier == request.identifier,
                said.group == "files"
            else { return nil }
            return answer
        }
        guard case .granted(let granted) = answer else {
            Issue.record("\(answer)")
            return
        }
        #expect(granted.epoch == 2)
        let renewal = LeaseRenewal(
            sequence: 77, epoch: 2, grant: granted.grant, heardPeer: false, isRestarted: false)
        client.send(.renew(group: "files", renewal))
        let isConfirmed = try news.first("the renewal") { said -> Bool? in
            if case .renewed(77, let isConfirmed) = said.news { isConfirmed } else { nil }
        }
        #expect(isConfirmed)
    }

    @Test("a witness that ends is missed, and found again when it is back")
    func returns() throws {
        let witness = try RunningWitness()
        let news = try News<Said>()
        let client = try client(witness, .second, news)
        defer { client.stop() }
        _ = try news.first("the session", isUp)
        witness.stop()
        _ = try news.first("the loss", isLost)
        try witness.start()
        _ = try news.first("the session again", isUp)
    }
}
