import Basics
import ControlPlane
import Glibc
import LinuxSystem
import Quorum
import SecureChannel
import Settings
import Telemetry
import Testing
import WireFormat

@testable import WitnessRuntime

@Suite("The witness's daemon", .serialized)
struct WitnessDaemonTests {
    private let first = ArbiterRecord(
        epoch: 1, grant: Mark(high: 1, low: 2), holder: .first, copies: NodeSet(.first))

    private func request(
        _ purpose: ArbiterPurpose, _ asker: NodeIndex, on record: ArbiterRecord, holder: NodeIndex,
        copies: NodeSet, identifier: UInt64, restarted: Bool = false
    ) -> ArbiterRequest {
        ArbiterRequest(
            identifier: Mark(high: 9, low: identifier), purpose: purpose, asker: asker,
            expectedEpoch: record.epoch, expectedGrant: record.grant, holder: holder, copies: copies,
            restarted: restarted)
    }

    @Test("without a record nothing is granted, and asking makes none")
    func noRecord() throws {
        let fixture = try WitnessFixture(name: "none")
        try fixture.start()
        let node = try fixture.client(.first)
        #expect(try node.read("files") == nil)
        let asked = request(
            .takeOver, .first, on: first, holder: .first, copies: NodeSet(.first), identifier: 1)
        #expect(try node.change(asked) == .refused(.noRecord, nil))
        #expect(try fixture.recordFile == nil)
    }

    @Test("the first create stands, for both nodes; a grant is on disk when it is told")
    func createAndDecide() throws {
        let fixture = try WitnessFixture(name: "create")
        try fixture.start()
        let (one, two) = (try fixture.client(.first), try fixture.client(.second))
        #expect(try one.create("files", first) == first)
        var other = first
        other.holder = .second
        other.copies = NodeSet(.second)
        #expect(try two.create("files", other) == first)
        #expect(try fixture.recordFile?.record == first)

        let widen = request(.widen, .first, on: first, holder: .first, copies: .both, identifier: 1)
        let second = try one.change(widen).record
        #expect(second.epoch == 2)
        #expect(second.copies == .both)
        let stored = try fixture.recordFile
        #expect(stored?.record == second)
        #expect(stored?.granted == widen.identifier)
        #expect(stored?.asker == .first)
        #expect(try one.change(widen) == .granted(second))
        let late = request(.narrow, .first, on: first, holder: .first, copies: NodeSet(.first), identifier: 2)
        #expect(try one.change(late) == .refused(.recordChanged, second))
    }

    @Test(
        "a record and the identifier that made it survive the witness; promises are kept as long as they may be"
    )
    func restart() throws {
        let fixture = try WitnessFixture(name: "restart")
        try fixture.start()
        var one = try fixture.client(.first)
        _ = try one.create("files", first)
        let widen = request(.widen, .first, on: first, holder: .first, copies: .both, identifier: 1)
        let record = try one.change(widen).record
        fixture.stop()
        try fixture.start()
        one = try fixture.client(.first)
        let two = try fixture.client(.second)
        #expect(try two.read("files") == record)
        // What it had promised to the holder is unknown now: nobody else is granted at once.
        let over = request(
            .takeOver, .second, on: record, holder: .second, copies: NodeSet(.second), identifier: 5)
        #expect(try two.change(over) == .refused(.leaseAlive, record))
        #expect(try one.renew(record))
        #expect(try one.change(widen) == .granted(record))
    }

    @Test("a lease is confirmed for the holder of the record alone, and keeps the other one out")
    func leases() throws {
        let fixture = try WitnessFixture(name: "lease")
        try fixture.start()
        let (one, two) = (try fixture.client(.first), try fixture.client(.second))
        let both = ArbiterRecord(epoch: 3, grant: Mark(high: 4, low: 4), holder: .first, copies: .both)
        _ = try one.create("files", both)
        #expect(try one.renew(both))
        #expect(try !one.renew(first))
        #expect(try !two.renew(both))
        #expect(try !two.renew(nil))
        #expect(try one.renew(both))
        var over = request(
            .takeOver, .second, on: both, holder: .second, copies: NodeSet(.second), identifier: 5)
        #expect(try two.change(over) == .refused(.leaseAlive, both))
        // Given back, and no sign of life since: as soon as the witness's own quiet time is over.
        let released = try one.ask(.release(group: "files", epoch: 3, grant: both.grant))
        #expect(released == .record(group: "files", both))
        let until = Instant.now() + .seconds(5)
        var answer = ArbiterAnswer.refused(.leaseAlive, both)
        var identifier: UInt64 = 6
        while answer == .refused(.leaseAlive, both), Instant.now() < until {
            identifier += 1
            over.identifier = Mark(high: 9, low: identifier)
            answer = try two.change(over)
        }
        let next = try answer.record
        #expect(next.holder == .second)
        #expect(try !one.renew(both))
    }

    @Test("a request whose session has ended with it is dropped, and nothing is granted")
    func droppedSession() throws {
        let fixture = try WitnessFixture(name: "dropped", more: ", after-restart: both")
        try fixture.start()
        let one = try fixture.client(.first)
        _ = try one.create("files", first)
        // It waits until both nodes were heard. Its session ends before that.
        let port = try #require(fixture.settings.witness?.port)
        let address = try #require(SocketAddress(host: "127.0.0.3", port: port))
        let gone = try SecureConnection.connect(
            to: address, key: WitnessAgreement.key(fixture.secret, cluster: "test", node: "node1"),
            deadline: fixture.deadline)
        let hello = WitnessHello(
            cluster: fixture.settings.clusterMark, node: .first, life: Mark(high: 3, low: 3))
        try gone.send(
            WitnessAgreement.message(WitnessRequest.hello(hello).encoded()), deadline: fixture.deadline)
        _ = try gone.receive(deadline: fixture.deadline)
        let asked = request(.widen, .first, on: first, holder: .first, copies: .both, identifier: 1)
        try gone.send(
            WitnessAgreement.message(WitnessRequest.change(group: "files", asked).encoded()),
            deadline: fixture.deadline)
        // Answered in order: when this answer is here, the request is at the witness and waits.
        try gone.send(
            WitnessAgreement.message(WitnessRequest.read(group: "files").encoded()),
            deadline: fixture.deadline)
        _ = try gone.receive(deadline: fixture.deadline)
        gone.close()
        let ended = fixture.deadline
        while !fixture.journal.events().contains(where: { $0.name == "session-ended" }), Instant.now() < ended
        {
            _ = try one.read("files")
        }
        _ = try one.renew(first)
        _ = try fixture.client(.second).renew(nil)
        #expect(try one.read("files") == first)
        // Asked again, it is granted: now both nodes were heard.
        #expect(try one.change(asked).record.epoch == 2)
    }

    @Test("with after-restart both, a request waits for the other node's sign of life and is then answered")
    func afterRestartBoth() throws {
        let fixture = try WitnessFixture(name: "both", more: ", after-restart: both")
        try fixture.start()
        let (one, two) = (try fixture.client(.first), try fixture.client(.second))
        _ = try one.create("files", first)
        _ = try two.renew(nil)
        let asked = request(.widen, .first, on: first, holder: .first, copies: .both, identifier: 1)
        let answer = AnswerBox()
        let waiter = try fixture.client(.first)
        let asker = try SystemThread(name: "asker") { [box = Carried(waiter)] in
            do { answer.set(try box.client.change(asked)) } catch { Issue.record("\(error)") }
        }
        // Nothing is decided before node1 itself was heard.
        #expect(try two.read("files") == first)
        _ = try one.renew(first)
        asker.join()
        let record = try #require(answer.value).record
        #expect(record.copies == .both)
    }

    @Test("told of a newer record it grants nothing, also after its restart")
    func rolledBack() throws {
        let fixture = try WitnessFixture(name: "rolled")
        try fixture.start()
        var one = try fixture.client(.first)
        _ = try one.create("files", first)
        let newer = ArbiterRecord(
            epoch: 4, grant: Mark(high: 7, low: 7), holder: .first, copies: NodeSet(.first))
        _ = try one.ask(.told(group: "files", newer))
        let widen = request(.widen, .first, on: first, holder: .first, copies: .both, identifier: 1)
        #expect(try one.change(widen) == .refused(.rolledBack, first))
        fixture.stop()
        try fixture.start()
        one = try fixture.client(.first)
        let again = request(.widen, .first, on: first, holder: .first, copies: .both, identifier: 2)
        #expect(try one.change(again) == .refused(.rolledBack, first))
    }

    @Test("a node cannot speak in the other one's name")
    func impersonation() throws {
        let fixture = try WitnessFixture(name: "other")
        try fixture.start()
        let one = try fixture.client(.first)
        _ = try one.create("files", first)
        let forged = request(
            .takeOver, .second, on: first, holder: .second, copies: NodeSet(.second), identifier: 1)
        #expect(throws: WitnessError.self) { _ = try one.change(forged) }
        #expect(try fixture.recordFile?.record == first)
    }

    @Test("a node that says hello as the other one is refused: the key says who it is")
    func falseHello() throws {
        let fixture = try WitnessFixture(name: "hello")
        try fixture.start()
        let port = try #require(fixture.settings.witness?.port)
        let address = try #require(SocketAddress(host: "127.0.0.3", port: port))
        let session = try SecureConnection.connect(
            to: address, key: WitnessAgreement.key(fixture.secret, cluster: "test", node: "node1"),
            deadline: fixture.deadline)
        let hello = WitnessHello(
            cluster: fixture.settings.clusterMark, node: .second, life: Mark(high: 3, low: 3))
        try session.send(
            WitnessAgreement.message(WitnessRequest.hello(hello).encoded()), deadline: fixture.deadline)
        let answer = try WitnessAnswer.decode(try session.receive(deadline: fixture.deadline))
        guard case .refusal(.unexpected, _, _) = answer else {
            Issue.record("\(answer)")
            return
        }
        #expect(throws: SecureConnectionError.self) { _ = try session.receive(deadline: fixture.deadline) }
    }

    @Test("when the disk refuses, nothing is granted; asked again under the same identifier, it is")
    func storageFails() throws {
        let fixture = try WitnessFixture(name: "disk")
        try fixture.start()
        let one = try fixture.client(.first)
        _ = try one.create("files", first)
        let obstacle = "\(fixture.directory)/state/witness/files.record.new"
        #expect(mkdir(obstacle, 0o700) == 0)
        let widen = request(.widen, .first, on: first, holder: .first, copies: .both, identifier: 1)
        #expect(throws: WitnessError.self) { _ = try one.change(widen) }
        #expect(try one.read("files") == first)
        #expect(try fixture.recordFile?.record == first)
        #expect(rmdir(obstacle) == 0)
        #expect(try one.change(widen).record.epoch == 2)
        #expect(try fixture.recordFile?.record.epoch == 2)
    }

    @Test("another secret is refused with a sentence about the secret")
    func wrongSecret() throws {
        let fixture = try WitnessFixture(name: "secret")
        try fixture.start()
        do {
            _ = try WitnessClient(
                settings: fixture.settings, node: .first, secret: .generate(), deadline: fixture.deadline)
            Issue.record("it was let in")
        } catch {
            #expect("\(error)".contains("secret"))
        }
    }

    @Test("a second witness is told that the port is in use")
    func portInUse() throws {
        let fixture = try WitnessFixture(name: "port")
        try fixture.start()
        let port = try #require(fixture.settings.witness?.port)
        do {
            _ = try WitnessDaemon(
                settings: fixture.settings, journal: fixture.journal, remote: try WitnessRemote())
            Issue.record("it started")
        } catch {
            #expect("\(error)".contains("127.0.0.3:\(port) is in use"))
        }
    }

    @Test("a damaged record is an error at the start, never a missing record")
    func damaged() throws {
        let fixture = try WitnessFixture(name: "damaged")
        try fixture.start()
        _ = try fixture.client(.first).create("files", first)
        fixture.stop()
        let path = "\(fixture.directory)/state/witness/files.record"
        let number = open(path, O_WRONLY | O_CLOEXEC)
        let file = Descriptor(adopting: number)
        #expect(pwrite(file.raw, [0xFF as UInt8], 1, 40) == 1)
        #expect(throws: WitnessError.self, performing: { try fixture.start() })
    }

    @Test("a secret that others can read is refused, and one that exists is not overwritten")
    func secretFile() throws {
        let fixture = try WitnessFixture(name: "mode")
        let path = fixture.settings.secretPath
        #expect(throws: SecretFileError.exists(path: path)) { try SecretFile.create(path) }
        #expect(chmod(path, 0o640) == 0)
        #expect(throws: SecretFileError.notPrivate(path: path, mode: 0o640)) { try SecretFile.load(path) }
    }

    @Test("the operator's reseed takes the higher of both nodes' records, and needs both unless forced")
    func reseed() throws {
        let fixture = try WitnessFixture(name: "reseed")
        let daemon = try WitnessDaemon(
            settings: fixture.settings, journal: fixture.journal, remote: try WitnessRemote())
        let newer = ArbiterRecord(
            epoch: 4, grant: Mark(high: 7, low: 7), holder: .first, copies: NodeSet(.first))
        daemon.groups["files"]?.told[.first] = newer
        let request = ControlRequest(verb: "reseed", group: "files")
        #expect(!daemon.answer(request).isOK)
        #expect(daemon.groups["files"]?.machine.record == nil)
        daemon.groups["files"]?.told[.second] = first
        #expect(daemon.answer(request).isOK)
        #expect(daemon.groups["files"]?.machine.record == newer)
        var split = newer
        split.grant = Mark(high: 8, low: 8)
        daemon.groups["files"]?.told[.second] = split
        #expect(!daemon.answer(request).isOK)
        let forced = ControlRequest(verb: "reseed", group: "files", arguments: ["node2"])
        #expect(daemon.answer(forced).isOK)
        #expect(try fixture.recordFile?.record == split)
    }
}
