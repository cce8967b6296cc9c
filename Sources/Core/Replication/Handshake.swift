public import Basics
import DiskFormat
import Quorum
public import WireFormat

/// What two nodes conclude when they meet. Pure and symmetric: both compute it from the same two greetings.
public enum HandshakeOutcome: Sendable, Hashable {
    /// Nothing may differ.
    case inSync
    /// The blocks that either bitmap marks, or all of them, go from the source to the other.
    case resync(source: NodeIndex, full: Bool)
    /// The holder has no disk: nothing is copied, it reads and writes through the other.
    case throughPeer(holder: NodeIndex)
    /// Diverged: both stand alone until an operator decides.
    case splitBrain
    /// Nothing in common: both stand alone.
    case unrelated
    /// Different sizes: both stand alone.
    case sizeMismatch
    /// No source can be named now (both copies in the middle of a resync): disconnect and try again.
    case noSource
}

/// The table of `reference/replication.md` 2.3 for two nodes, after the arbiter's record (DESIGN 6).
public enum Handshake {
    /// Decides for the two nodes; `hasArbiter` is false for `arbiter: none`, where records prove nothing.
    public static func decide(
        _ mine: Hello, _ theirs: Hello, hasArbiter: Bool, grantsOfOneEpochEqual: Bool = false
    ) -> (row: HandshakeRow, outcome: HandshakeOutcome) {
        let first = mine.node == .first ? mine : theirs
        let second = mine.node == .first ? theirs : mine
        if first.size != second.size { return (.unrelated, .sizeMismatch) }
        if let left = first.record, let right = second.record, left.epoch == right.epoch,
            left.grant != right.grant, hasArbiter, !grantsOfOneEpochEqual
        {
            return (.twoGrantsOfOneEpoch, .splitBrain)
        }
        if let holder = holderWithoutDisk(first, second) ?? holderWithoutDisk(second, first) {
            return (.holderWithoutDisk, .throughPeer(holder: holder))
        }
        if hasArbiter, let record = newer(first.record, second.record), record.copies != .both {
            return bySoleCopy(record, first, second)
        }
        if first.current == .none || second.current == .none { return justCreated(first, second) }
        if first.current == second.current { return same(first, second, hasArbiter: hasArbiter) }
        return byAncestry(first, second)
    }

    /// Without an arbiter each granted itself: the record that both go on with when they meet and have not diverged.
    /// The newer one, if it is of the copy that counts; otherwise one above both, the same on both sides.
    static func reconciled(_ mine: Hello, _ theirs: Hello, _ outcome: HandshakeOutcome) -> ArbiterRecord? {
        let first = mine.node == .first ? mine : theirs
        let second = mine.node == .first ? theirs : mine
        guard let left = first.record, let right = second.record else { return nil }
        var common: ArbiterRecord
        switch outcome {
        case .inSync, .throughPeer: common = left.epoch >= right.epoch ? left : right
        case .resync(let source, _):
            common = source == .first ? left : right
            if !common.copies.contains(source) { common.copies = NodeSet(source) }
        case .splitBrain, .unrelated, .sizeMismatch, .noSource: return nil
        }
        if first.isPrimary != second.isPrimary { common.holder = first.isPrimary ? .first : .second }
        let other = common.epoch == left.epoch && common.grant == left.grant ? right : left
        let isEither = common == left || common == right
        if isEither, common == other || common.epoch > other.epoch { return common }
        common.epoch = max(left.epoch, right.epoch) + 1
        common.grant = Mark(high: left.grant.high ^ right.grant.high, low: left.grant.low ^ ~right.grant.low)
        return common
    }

    /// Whether `holder` is Primary, its disk has failed, and the newest record says that the other's copy, a whole one
    /// of the same state of the data, is the only one; or of the state that followed under that very record.
    private static func holderWithoutDisk(_ holder: Hello, _ copy: Hello) -> NodeIndex? {
        guard holder.isPrimary, !copy.isPrimary, holder.condition == CopyCondition.failed.rawValue,
            copy.condition == CopyCondition.consistent.rawValue, copy.current != .none,
            let record = newer(holder.record, copy.record),
            record.holder == holder.node, record.copies == NodeSet(copy.node),
            copy.current == holder.current || copy.bitmap == holder.current && copy.record == record
        else { return nil }
        return holder.node
    }

    private static func newer(_ left: ArbiterRecord?, _ right: ArbiterRecord?) -> ArbiterRecord? {
        guard let left else { return right }
        guard let right else { return left }
        return left.epoch >= right.epoch ? left : right
    }

    /// The record names one copy: it is the source, whatever the identifiers say, unless the other has data of its
    /// own that no record knows (G7).
    private static func bySoleCopy(
        _ record: ArbiterRecord, _ first: Hello, _ second: Hello
    ) -> (row: HandshakeRow, outcome: HandshakeOutcome) {
        let source = record.copies.contains(first.node) ? first : second
        let target = record.copies.contains(first.node) ? second : first
        guard source.condition == CopyCondition.consistent.rawValue, source.current != .none else {
            return (.recordDecides, .noSource)
        }
        let isAncestor = target.current == source.current || target.current == source.bitmap
        if !isAncestor, target.bitmap != .none, target.current != .none,
            target.bitmap == source.current || target.bitmap == source.bitmap
        {
            return (.splitBrainCommonBase, .splitBrain)
        }
        let full = !isAncestor || target.condition == CopyCondition.failed.rawValue
        return (full ? .recordDecidesFull : .recordDecides, .resync(source: source.node, full: full))
    }

    private static func justCreated(_ first: Hello, _ second: Hello) -> (
        row: HandshakeRow, outcome: HandshakeOutcome
    ) {
        if first.current == second.current { return (.bothJustCreated, .noSource) }
        let source = first.current == .none ? second : first
        return (.oneJustCreated, .resync(source: source.node, full: true))
    }

    private static func same(
        _ first: Hello, _ second: Hello, hasArbiter: Bool
    ) -> (row: HandshakeRow, outcome: HandshakeOutcome) {
        let whole = CopyCondition.consistent.rawValue
        let isFirstWhole = first.condition == whole
        if isFirstWhole != (second.condition == whole) {
            let source = isFirstWhole ? first : second
            let failed = CopyCondition.failed.rawValue
            let full = first.condition == failed || second.condition == failed
            return (.sameOneInconsistent, .resync(source: source.node, full: full))
        }
        guard isFirstWhole else { return (.sameOneInconsistent, .noSource) }
        var differing = first.dirtyBlocks + second.dirtyBlocks
        if second.isRestarted { differing += first.unflushedBlocks }
        if first.isRestarted { differing += second.unflushedBlocks }
        if differing == 0 {
            // Nothing differs, but the record names one copy: it takes the other in as after any resync.
            if !hasArbiter, let record = newer(first.record, second.record), record.copies != .both {
                return (
                    .sameNothingDiffers,
                    .resync(source: record.copies.contains(.first) ? .first : .second, full: false)
                )
            }
            return (.sameNothingDiffers, .inSync)
        }
        if first.isRestarted != second.isRestarted {
            return (
                .sameOneRestarted, .resync(source: first.isRestarted ? second.node : first.node, full: false)
            )
        }
        let record = newer(first.record, second.record)
        if first.isPrimary == second.isPrimary, let record, record.copies != .both {
            // Without an arbiter: the other's disk had failed and works again.
            return (
                .sameHolderDecides,
                .resync(source: record.copies.contains(.first) ? .first : .second, full: false)
            )
        }
        let holder =
            first.isPrimary == second.isPrimary
            ? record?.holder ?? .first : first.isPrimary ? .first : .second
        return (.sameHolderDecides, .resync(source: holder, full: false))
    }

    private static func byAncestry(_ first: Hello, _ second: Hello) -> (
        row: HandshakeRow, outcome: HandshakeOutcome
    ) {
        func towards(_ source: Hello, _ target: Hello, _ row: HandshakeRow, full: Bool)
            -> (row: HandshakeRow, outcome: HandshakeOutcome)
        {
            // A Primary is never overwritten without an order (rr-conflict: disconnect).
            if target.isPrimary { return (row, .splitBrain) }
            return (
                row,
                .resync(source: source.node, full: full || target.condition == CopyCondition.failed.rawValue)
            )
        }
        // Each the other's base: a contradiction, which no order of the rules may decide.
        if first.current == second.bitmap, second.current == first.bitmap {
            return (.splitBrainCommonBase, .splitBrain)
        }
        if first.current == second.bitmap { return towards(second, first, .bitmapBase, full: false) }
        if second.current == first.bitmap { return towards(first, second, .bitmapBase, full: false) }
        let firstInHistory = second.history.contains(first.current)
        let secondInHistory = first.history.contains(second.current)
        if firstInHistory != secondInHistory {
            return firstInHistory
                ? towards(second, first, .inHistory, full: true)
                : towards(first, second, .inHistory, full: true)
        }
        if first.bitmap == second.bitmap, first.bitmap != .none {
            return (.splitBrainCommonBase, .splitBrain)
        }
        let older = Set(([first.bitmap] + first.history).filter { $0 != .none })
        if ([second.bitmap] + second.history).contains(where: older.contains) {
            return (.splitBrainHistory, .splitBrain)
        }
        return (.unrelated, .unrelated)
    }
}
