import Basics
import DiskFormat
import Quorum
import Replication
import Testing
import WireFormat

@Suite("What two nodes conclude when they meet")
struct HandshakeTests {
    static func hello(
        _ node: NodeIndex, _ current: UInt64, bitmap: UInt64 = 0, history: [UInt64] = [], epoch: UInt64 = 1,
        copies: NodeSet = .both, holder: NodeIndex = .first, condition: CopyCondition = .consistent,
        isPrimary: Bool = false, isRestarted: Bool = false, dirty: UInt64 = 0, unflushed: UInt64 = 0,
        size: UInt64 = 1 << 20, mark: UInt64 = 1
    ) -> Hello {
        Hello(
            node: node, size: size,
            record: ArbiterRecord(
                epoch: epoch, grant: Mark(high: epoch, low: mark), holder: holder, copies: copies),
            current: Generation(rawValue: current), bitmap: Generation(rawValue: bitmap),
            history: history.map(Generation.init(rawValue:)), condition: condition.rawValue,
            isPrimary: isPrimary,
            isRestarted: isRestarted, dirtyBlocks: dirty, unflushedBlocks: unflushed)
    }

    struct Row: CustomStringConvertible, Sendable {
        var description: String
        var first: Hello
        var second: Hello
        var hasArbiter = true
        var row: HandshakeRow
        var outcome: HandshakeOutcome
    }

    static let rows: [Row] = [
        Row(
            description: "two grants of one epoch are a split brain", first: hello(.first, 5, mark: 1),
            second: hello(.second, 5, mark: 2), row: .twoGrantsOfOneEpoch, outcome: .splitBrain),
        Row(
            description: "the record names the source of a known ancestor",
            first: hello(.first, 6, bitmap: 5, epoch: 2, copies: NodeSet(.first)), second: hello(.second, 5),
            row: .recordDecides, outcome: .resync(source: .first, full: false)),
        Row(
            description: "the record names the source of a stranger: everything",
            first: hello(.first, 6, bitmap: 5, epoch: 2, copies: NodeSet(.first)), second: hello(.second, 9),
            row: .recordDecidesFull, outcome: .resync(source: .first, full: true)),
        Row(
            description: "a sole copy that is not whole can give nothing",
            first: hello(.first, 6, epoch: 2, copies: NodeSet(.first), condition: .inconsistent),
            second: hello(.second, 5), row: .recordDecides, outcome: .noSource),
        Row(
            description: "a holder whose disk has failed goes through the only copy, whatever its marks say",
            first: hello(
                .first, 5, epoch: 2, copies: NodeSet(.second), condition: .failed, isPrimary: true, dirty: 3),
            second: hello(.second, 5, isRestarted: true, dirty: 256), row: .holderWithoutDisk,
            outcome: .throughPeer(holder: .first)),
        Row(
            description: "the same without an arbiter",
            first: hello(.first, 5, holder: .second),
            second: hello(
                .second, 5, epoch: 2, copies: NodeSet(.first), holder: .second, condition: .failed,
                isPrimary: true),
            hasArbiter: false, row: .holderWithoutDisk, outcome: .throughPeer(holder: .second)),
        Row(
            description: "one that is no Primary any more gets everything",
            first: hello(.first, 5, epoch: 2, copies: NodeSet(.second), condition: .failed),
            second: hello(.second, 5), row: .recordDecidesFull,
            outcome: .resync(source: .second, full: true)),
        Row(
            description: "a failed holder whose record still names both goes through nobody",
            first: hello(.first, 5, condition: .failed, isPrimary: true), second: hello(.second, 5),
            row: .sameOneInconsistent, outcome: .resync(source: .second, full: true)),
        Row(
            description: "without an arbiter, both restarted: the only copy that the newer record names",
            first: hello(.first, 5, epoch: 2, copies: NodeSet(.second), isRestarted: true, dirty: 2),
            second: hello(.second, 5, isRestarted: true), hasArbiter: false, row: .sameHolderDecides,
            outcome: .resync(source: .second, full: false)),
        Row(
            description: "both just created", first: hello(.first, 0, condition: .inconsistent),
            second: hello(.second, 0, condition: .inconsistent), row: .bothJustCreated, outcome: .noSource),
        Row(
            description: "one just created takes all", first: hello(.first, 0, condition: .inconsistent),
            second: hello(.second, 5), row: .oneJustCreated, outcome: .resync(source: .second, full: true)),
        Row(
            description: "one in the middle of a resync is the target", first: hello(.first, 5),
            second: hello(.second, 5, condition: .inconsistent), row: .sameOneInconsistent,
            outcome: .resync(source: .first, full: false)),
        Row(
            description: "nothing differs", first: hello(.first, 5), second: hello(.second, 5),
            row: .sameNothingDiffers, outcome: .inSync),
        Row(
            description: "who has restarted is the target",
            first: hello(.first, 5, isRestarted: true, dirty: 1),
            second: hello(.second, 5), row: .sameOneRestarted, outcome: .resync(source: .second, full: false)),
        Row(
            description: "what a restarted peer may have lost is a difference",
            first: hello(.first, 5, unflushed: 3),
            second: hello(.second, 5, isRestarted: true), row: .sameOneRestarted,
            outcome: .resync(source: .first, full: false)),
        Row(
            description: "both restarted: the holder is the source",
            first: hello(.first, 5, holder: .second, isRestarted: true, dirty: 2),
            second: hello(.second, 5, holder: .second, isRestarted: true), row: .sameHolderDecides,
            outcome: .resync(source: .second, full: false)),
        Row(
            description: "one is the other's base: delta", first: hello(.first, 5),
            second: hello(.second, 6, bitmap: 5, epoch: 2), hasArbiter: false, row: .bitmapBase,
            outcome: .resync(source: .second, full: false)),
        Row(
            description: "a Primary is never overwritten", first: hello(.first, 5, isPrimary: true),
            second: hello(.second, 6, bitmap: 5, epoch: 2), hasArbiter: false, row: .bitmapBase,
            outcome: .splitBrain),
        Row(
            description: "one is in the other's history: everything", first: hello(.first, 4),
            second: hello(.second, 6, history: [5, 4]), hasArbiter: false, row: .inHistory,
            outcome: .resync(source: .second, full: true)),
        Row(
            description: "both left one base", first: hello(.first, 6, bitmap: 5),
            second: hello(.second, 7, bitmap: 5), hasArbiter: false, row: .splitBrainCommonBase,
            outcome: .splitBrain),
        Row(
            description: "some older state in common", first: hello(.first, 6, history: [4]),
            second: hello(.second, 7, history: [3, 4]), hasArbiter: false, row: .splitBrainHistory,
            outcome: .splitBrain),
        Row(
            description: "nothing in common", first: hello(.first, 6), second: hello(.second, 7),
            hasArbiter: false,
            row: .unrelated, outcome: .unrelated),
        Row(
            description: "different sizes", first: hello(.first, 5), second: hello(.second, 5, size: 1 << 21),
            row: .unrelated, outcome: .sizeMismatch),
    ]

    @Test("one row of the table each, the same from both sides", arguments: rows)
    func row(_ row: Row) {
        let (found, outcome) = Handshake.decide(row.first, row.second, hasArbiter: row.hasArbiter)
        #expect(found == row.row)
        #expect(outcome == row.outcome)
        let (other, mirrored) = Handshake.decide(row.second, row.first, hasArbiter: row.hasArbiter)
        #expect(other == found)
        #expect(mirrored == outcome)
    }

    @Test("every row has its test")
    func complete() {
        #expect(Set(Self.rows.map(\.row)) == Set(HandshakeRow.allCases))
    }

    /// The same greeting as the other node would send it.
    static func mirrored(_ hello: Hello) -> Hello {
        var other = hello
        other.node = hello.node.peer
        if let record = hello.record {
            let copies: NodeSet =
                record.copies == .both
                ? .both : record.copies == NodeSet(.first) ? NodeSet(.second) : NodeSet(.first)
            other.record = ArbiterRecord(
                epoch: record.epoch, grant: record.grant, holder: record.holder.peer, copies: copies)
        }
        return other
    }

    static func random(_ node: NodeIndex, _ random: inout SeededGenerator) -> Hello {
        func generation(_ bound: Int) -> UInt64 { UInt64(random.below(bound)) }
        let conditions = CopyCondition.allCases
        let copies = [NodeSet.both, .both, NodeSet(.first), NodeSet(.second)][random.below(4)]
        let holder: NodeIndex = random.chance(in: 2) ? .second : .first
        return hello(
            node, generation(6), bitmap: generation(6), history: [generation(6), generation(6)],
            epoch: UInt64(1 + random.below(2)), copies: copies, holder: holder,
            condition: conditions[random.below(conditions.count)], isPrimary: random.chance(in: 3),
            isRestarted: random.chance(in: 2), dirty: generation(2), unflushed: generation(2),
            mark: UInt64(1 + random.below(2)))
    }

    @Test(
        "both sides conclude the same, and with a dirty bit never that nothing differs",
        arguments: [true, false])
    func symmetric(_ hasArbiter: Bool) {
        var random = SeededGenerator(seed: 7)
        for _ in 0..<20000 {
            let first = Self.random(.first, &random)
            let second = Self.random(.second, &random)
            let here = Handshake.decide(first, second, hasArbiter: hasArbiter)
            let there = Handshake.decide(second, first, hasArbiter: hasArbiter)
            #expect(here == there)
            if here.outcome == .inSync { #expect(first.dirtyBlocks + second.dirtyBlocks == 0) }
            if case .resync(let source, _) = here.outcome {
                let giver = source == .first ? first : second
                #expect(
                    giver.condition == CopyCondition.consistent.rawValue || !hasArbiter
                        || giver.current != .none)
            }
        }
    }

    @Test("swapping the nodes swaps the answer")
    func swapped() {
        var random = SeededGenerator(seed: 8)
        for _ in 0..<20000 {
            let first = Self.random(.first, &random)
            var second = Self.random(.second, &random)
            // One record for both: a tie of two is broken by place.
            second.record = first.record
            let here = Handshake.decide(first, second, hasArbiter: true)
            let there = Handshake.decide(Self.mirrored(second), Self.mirrored(first), hasArbiter: true)
            #expect(here.row == there.row)
            switch (here.outcome, there.outcome) {
            case (.resync(let source, let full), .resync(let other, let alsoFull)):
                #expect(source == other.peer && full == alsoFull)
            case (.throughPeer(let holder), .throughPeer(let other)):
                #expect(holder == other.peer)
            default:
                #expect(here.outcome == there.outcome)
            }
        }
    }
}
