import Basics
import Quorum
import Testing

@Suite("The witness grants by compare-and-set and remembers")
struct WitnessTests {
    static let first = ArbiterRecord(epoch: 4, grant: Mark(high: 4, low: 4), holder: .first, copies: .both)
    let start = Instant(nanoseconds: 1_000_000_000)
    /// Past the promise that the witness may have given before it started.
    var later: Instant { start + .seconds(2) }

    func witness(_ record: ArbiterRecord? = first, breaks: QuorumBreaks = []) -> Witness {
        Witness(
            record: record, granted: .none, configuration: WitnessConfiguration(promise: .milliseconds(1100)),
            at: start, breaks: breaks)
    }

    func request(
        _ purpose: ArbiterPurpose, by asker: NodeIndex, holder: NodeIndex? = nil, copies: NodeSet = .both,
        epoch: UInt64 = 4, grant: Mark = first.grant, restarted: Bool = false, identifier: UInt64 = 1
    ) -> ArbiterRequest {
        ArbiterRequest(
            identifier: Mark(high: identifier, low: 7), purpose: purpose, asker: asker, expectedEpoch: epoch,
            expectedGrant: grant, holder: holder ?? asker, copies: copies, restarted: restarted)
    }

    func decide(_ machine: inout Witness, _ request: ArbiterRequest, at now: Instant? = nil) -> ArbiterAnswer
    {
        machine.decide(request, mark: Mark(high: 9, low: request.identifier.high), at: now ?? later)
    }

    func refusal(_ answer: ArbiterAnswer) -> ArbiterRefusal? {
        if case .refused(let reason, _) = answer { reason } else { nil }
    }

    @Test("the holder narrows to itself: the next epoch names it alone")
    func narrow() {
        var machine = witness()
        let answer = decide(&machine, request(.narrow, by: .first, copies: NodeSet(.first)))
        guard case .granted(let record) = answer else {
            Issue.record("refused: \(answer)")
            return
        }
        #expect(record.epoch == 5)
        #expect(record.holder == .first)
        #expect(record.copies == NodeSet(.first))
        #expect(machine.record == record)
    }

    @Test("a repeated request gets its first answer, a grant and a refusal alike")
    func repeated() {
        var machine = witness()
        let narrow = request(.narrow, by: .first, copies: NodeSet(.first))
        let granted = decide(&machine, narrow)
        #expect(decide(&machine, narrow) == granted)
        let late = request(.takeOver, by: .second, copies: NodeSet(.second), identifier: 2)
        let refused = decide(&machine, late)
        #expect(refusal(refused) == .recordChanged)
        #expect(decide(&machine, late, at: later + .seconds(60)) == refused)
    }

    @Test("a grant is found again by its identifier after the witness has restarted")
    func repeatedAfterRestart() {
        var machine = witness()
        let narrow = request(.narrow, by: .first, copies: NodeSet(.first))
        let granted = decide(&machine, narrow)
        var again = Witness(
            record: machine.record, granted: machine.granted,
            configuration: WitnessConfiguration(promise: .seconds(1)), at: later)
        #expect(decide(&again, narrow) == granted)
    }

    @Test("an epoch or a grant that is not the present one is refused")
    func recordChanged() {
        var machine = witness()
        #expect(refusal(decide(&machine, request(.narrow, by: .first, epoch: 3))) == .recordChanged)
        let other = request(.narrow, by: .first, grant: Mark(high: 1, low: 1), identifier: 2)
        #expect(refusal(decide(&machine, other)) == .recordChanged)
    }

    @Test("who is not a copy becomes neither holder nor leaves")
    func notACopy() {
        let alone = ArbiterRecord(epoch: 4, grant: Self.first.grant, holder: .first, copies: NodeSet(.first))
        var machine = witness(alone)
        #expect(refusal(decide(&machine, request(.takeOver, by: .second))) == .notACopy)
        #expect(refusal(decide(&machine, request(.leave, by: .second, identifier: 2))) == .notACopy)
    }

    @Test(
        "only the holder narrows, widens, hands over and is promoted with both",
        arguments: [
            ArbiterPurpose.narrow, .widen, .handOver, .promote,
        ])
    func notTheHolder(_ purpose: ArbiterPurpose) {
        var machine = witness()
        #expect(refusal(decide(&machine, request(purpose, by: .second))) == .notTheHolder)
    }

    @Test("empty copies, and a hand-over to one that is no copy, are malformed")
    func malformed() {
        var machine = witness()
        #expect(refusal(decide(&machine, request(.narrow, by: .first, copies: []))) == .malformed)
        let away = request(.handOver, by: .first, holder: .second, copies: NodeSet(.first), identifier: 2)
        #expect(refusal(decide(&machine, away)) == .malformed)
    }

    @Test("a witness that has just started has heard nobody: a restarted member waits for the other a while")
    func justStarted() {
        var machine = witness()
        let ask = request(.takeOver, by: .first, copies: NodeSet(.first), restarted: true)
        let again = request(.takeOver, by: .first, copies: NodeSet(.first), restarted: true, identifier: 2)
        #expect(refusal(decide(&machine, ask, at: start + .milliseconds(1099))) == .otherMemberIntact)
        #expect(refusal(decide(&machine, again, at: start + .milliseconds(1101))) == nil)
    }

    @Test("who was granted has its promise before it renews for the first time")
    func grantIsAPromise() {
        var machine = witness()
        let taken = decide(&machine, request(.takeOver, by: .second, copies: .both))
        guard case .granted(let record) = taken else {
            Issue.record("refused: \(taken)")
            return
        }
        let back = request(
            .takeOver, by: .first, copies: .both, epoch: record.epoch, grant: record.grant, identifier: 2)
        var late = machine
        #expect(refusal(decide(&machine, back, at: later + .milliseconds(1099))) == .leaseAlive)
        #expect(refusal(decide(&late, back, at: later + .milliseconds(1101))) == nil)
    }

    @Test(
        "while the holder is heard under its epoch nobody takes over; when it is silent for the promise, somebody may"
    )
    func leaseAlive() {
        var machine = witness()
        machine.heard(.first, isRestarted: false, holding: 4, at: later)
        let ask = request(.takeOver, by: .second, copies: NodeSet(.second))
        #expect(refusal(decide(&machine, ask, at: later + .milliseconds(1099))) == .leaseAlive)
        let again = request(.takeOver, by: .second, copies: NodeSet(.second), identifier: 2)
        #expect(refusal(decide(&machine, again, at: later + .milliseconds(1100))) == nil)
    }

    @Test("a holder that serves through the only copy keeps its promise, also against that copy")
    func leaseWithoutCopy() {
        let record = ArbiterRecord(
            epoch: 4, grant: Self.first.grant, holder: .first, copies: NodeSet(.second))
        var machine = witness(record)
        machine.heard(.first, isRestarted: false, holding: 4, at: later)
        let ask = request(.takeOver, by: .second, copies: NodeSet(.second))
        #expect(refusal(decide(&machine, ask, at: later + .milliseconds(1099))) == .leaseAlive)
        let again = request(.takeOver, by: .second, copies: NodeSet(.second), restarted: true, identifier: 2)
        #expect(refusal(decide(&machine, again, at: later + .milliseconds(1100))) == nil)
    }

    @Test("a holder that gives its promise back can be followed at once")
    func released() {
        var machine = witness()
        machine.heard(.first, isRestarted: false, holding: 4, at: later)
        machine.released(by: .first)
        #expect(refusal(decide(&machine, request(.takeOver, by: .second, copies: NodeSet(.second)))) == nil)
    }

    @Test("after its own restart the witness keeps the promise that it may have given before")
    func promiseAfterRestart() {
        var machine = witness()
        let ask = request(.takeOver, by: .second, copies: NodeSet(.second))
        #expect(refusal(decide(&machine, ask, at: start + .milliseconds(1099))) == .leaseAlive)
        let again = request(.takeOver, by: .second, copies: NodeSet(.second), identifier: 2)
        #expect(refusal(decide(&machine, again, at: start + .milliseconds(1100))) == nil)
    }

    @Test("a restarted member is not granted solo while the other is heard and has not restarted")
    func otherMemberIntact() {
        var machine = witness()
        machine.heard(.first, isRestarted: false, holding: 0, at: later)
        let ask = request(.takeOver, by: .second, copies: NodeSet(.second), restarted: true)
        #expect(refusal(decide(&machine, ask)) == .otherMemberIntact)
        machine.heard(.first, isRestarted: true, holding: 0, at: later)
        let both = request(.takeOver, by: .second, copies: NodeSet(.second), restarted: true, identifier: 2)
        #expect(refusal(decide(&machine, both)) == nil)
        var broken = witness(breaks: .soloGrantWhileOtherIntact)
        broken.heard(.first, isRestarted: false, holding: 0, at: later)
        #expect(refusal(decide(&broken, ask)) == nil)
    }

    @Test("without a record nothing is granted, and what a node tells creates none")
    func noRecord() {
        var machine = witness(nil)
        #expect(refusal(decide(&machine, request(.narrow, by: .first))) == .noRecord)
        machine.told(Self.first)
        #expect(machine.record == nil)
        #expect(machine.isRolledBack)
        var broken = witness(nil, breaks: .emptiedWitnessCreatesRecord)
        broken.told(Self.first)
        #expect(broken.record == Self.first)
    }

    @Test(
        "told of a newer record, or of another grant of the same epoch, it grants nothing until it is reseeded"
    )
    func rolledBack() {
        for known in [
            ArbiterRecord(epoch: 5, grant: Mark(high: 5, low: 5), holder: .second, copies: .both),
            ArbiterRecord(epoch: 4, grant: Mark(high: 5, low: 5), holder: .second, copies: .both),
        ] {
            var machine = witness()
            machine.told(known)
            #expect(
                refusal(decide(&machine, request(.narrow, by: .first, copies: NodeSet(.first))))
                    == .rolledBack)
            machine.reseed(known)
            #expect(!machine.isRolledBack)
            let ask = request(
                .narrow, by: .second, copies: NodeSet(.second), epoch: known.epoch, grant: known.grant,
                identifier: 2)
            #expect(refusal(decide(&machine, ask)) == nil)
        }
    }

    @Test("a request that expects a newer epoch shows that this disk went back")
    func askedFromNewer() {
        var machine = witness()
        #expect(refusal(decide(&machine, request(.narrow, by: .first, epoch: 6))) == .rolledBack)
        #expect(machine.isRolledBack)
    }

    @Test("an older record, told by a node that has not heard yet, changes nothing")
    func toldOlder() {
        var machine = witness()
        machine.told(ArbiterRecord(epoch: 3, grant: Mark(high: 3, low: 3), holder: .second, copies: .both))
        #expect(!machine.isRolledBack)
        #expect(machine.record == Self.first)
    }

    @Test("a record is created once; the second gets the one that stands")
    func create() {
        var machine = witness(nil)
        let created = machine.create(Self.first)
        #expect(created == Self.first)
        let other = ArbiterRecord(epoch: 1, grant: Mark(high: 1, low: 1), holder: .second, copies: .both)
        let standing = machine.create(other)
        #expect(standing == Self.first)
    }

    @Test("refusals are remembered up to their maximum, the oldest goes first")
    func refusalMaximum() {
        var machine = witness()
        for identifier in 1...UInt64(Witness.refusalMaximum) + 1 {
            _ = decide(&machine, request(.narrow, by: .second, identifier: identifier))
        }
        // The first was forgotten: now it is decided anew, from the record as it is.
        #expect(
            refusal(decide(&machine, request(.narrow, by: .first, copies: NodeSet(.first), identifier: 1)))
                == nil)
        let second = request(.narrow, by: .second, identifier: 2)
        #expect(refusal(decide(&machine, second)) == .notTheHolder)
    }
}
