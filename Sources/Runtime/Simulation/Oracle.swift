import Basics

/// A broken promise: which invariant of `reference/reliability.md` 5.1, in which guarantee's words, and what was seen.
public struct Violation: Error, Sendable, Hashable {
    public var invariant: String
    public var text: String

    public init(_ invariant: String, _ text: String) {
        self.invariant = invariant
        self.text = text
    }
}

/// Remembers what clients were told and judges what a holder serves. Knows nothing of the machines it judges, nor
/// which deliberate break is on.
struct Oracle {
    /// Every write in the order of its issue; a write's number is its index.
    private(set) var writes: [Write] = [Write(node: .first, cells: 0..<0)]
    private var cells: [Cell]

    struct Write {
        var node: NodeIndex
        var cells: Range<Int>
        var isCompleted = false
        /// On whose disk it has been.
        var storedBy: NodeSet = []
        /// Who crashed after storing it and before it was answered.
        var crashedBefore: NodeSet = []
    }

    private struct Cell {
        /// The oldest write that may still be seen: everything before it was overwritten and flushed.
        var floor: UInt32 = 0
        /// The newest completed write.
        var acknowledged: UInt32 = 0
        /// Who crashed, and who was cut off from the arbiter, since that completion.
        var crashed: NodeSet = []
        var cutOff: NodeSet = []
        /// Whether both copies had it when it was completed.
        var onBoth = false
    }

    init(cells count: Int) { cells = [Cell](repeating: Cell(), count: count) }

    mutating func issue(on node: NodeIndex, _ cells: Range<Int>) -> UInt32 {
        writes.append(Write(node: node, cells: cells))
        return UInt32(writes.count - 1)
    }

    mutating func stored(_ write: UInt32, by node: NodeIndex) {
        writes[Int(write)].storedBy.insert(NodeSet(node))
    }

    /// I2, I3: from now on the write must be seen, or be missing for a stated reason. `bothNamed`: the record named
    /// both copies; `died`: whose disk is dead; `cutOff`: whom the arbiter does not hear now.
    mutating func completed(
        _ write: UInt32, bothNamed: Bool, died: NodeSet, cutOff: NodeSet = [], lacking: Set<Int> = []
    ) {
        guard write > 0, !writes[Int(write)].isCompleted else { return }
        writes[Int(write)].isCompleted = true
        for cell in writes[Int(write)].cells where cells[cell].acknowledged < write && !lacking.contains(cell)
        {
            cells[cell].acknowledged = write
            cells[cell].crashed = died
            cells[cell].cutOff = cutOff
            cells[cell].onBoth =
                bothNamed && writes[Int(write)].storedBy == .both && writes[Int(write)].crashedBefore.isEmpty
        }
    }

    /// I3 for an answer that comes when the next epoch has begun: the successor has the write, or has itself crashed
    /// since it stored it (then the cells are returned, which its epoch began without).
    func judgeLate(_ write: UInt32, _ disk: SimDisk, of successor: NodeIndex) throws(Violation) -> Set<Int> {
        var lacking: Set<Int> = []
        for cell in writes[Int(write)].cells where disk.current[cell] < write {
            guard disk.tainted[cell] else {
                throw Violation(
                    "I3", "write \(write) was completed late, \(successor) began its epoch without it")
            }
            lacking.insert(cell)
        }
        return lacking
    }

    /// The newest completed write of each of those cells, taken when a read begins.
    func newestCompleted(_ range: Range<Int>) -> [UInt32] { cells[range].map(\.acknowledged) }

    /// The newest completed write of each cell, taken when a flush begins.
    func flushBegins() -> [UInt32] { cells.map(\.acknowledged) }

    /// The flush was answered: what it covered can never be missing again.
    mutating func flushEnds(_ covered: [UInt32]) {
        for cell in cells.indices where cells[cell].floor < covered[cell] {
            cells[cell].floor = covered[cell]
        }
    }

    mutating func crashed(_ node: NodeIndex) {
        for cell in cells.indices { cells[cell].crashed.insert(NodeSet(node)) }
        for write in writes.indices where !writes[write].isCompleted {
            writes[write].crashedBefore.insert(NodeSet(node))
        }
    }

    mutating func cutOffFromArbiter(_ node: NodeIndex) {
        for cell in cells.indices { cells[cell].cutOff.insert(NodeSet(node)) }
    }

    /// I1, I2, I3: what a holder serves.
    func judge(_ disk: SimDisk, of node: NodeIndex) throws(Violation) {
        for cell in cells.indices {
            let value = disk.current[cell]
            let state = cells[cell]
            if value < state.floor {
                throw Violation(
                    "I1",
                    "\(node) serves cell \(cell) = write \(value); write \(state.floor) was flushed (G2)")
            }
            guard value < state.acknowledged else { continue }
            if !disk.tainted[cell] {
                throw Violation(
                    "I3",
                    "\(node) serves cell \(cell) = write \(value); write \(state.acknowledged) was completed and no crash took it (G3)"
                )
            }
            if state.onBoth, state.crashed.count == 1, !state.cutOff.contains(survivor(of: state.crashed)) {
                throw Violation(
                    "I2",
                    "\(node) serves cell \(cell) = write \(value); write \(state.acknowledged) was completed on both and one never died (G1)"
                )
            }
        }
    }

    /// An epoch starts from this copy: what it lacks, for a reason that `judge` accepted, is gone for good.
    mutating func epochStarts(from disk: SimDisk) {
        for cell in cells.indices where disk.current[cell] < cells[cell].acknowledged {
            cells[cell].acknowledged = disk.current[cell]
        }
    }

    /// I17, and flush itself: what an answered flush covered is durable on each of `copies`.
    func judgeFlush(_ covered: [UInt32], _ disk: SimDisk, of node: NodeIndex) throws(Violation) {
        for cell in cells.indices where disk.durable[cell] < covered[cell] {
            throw Violation(
                "I17",
                "a flush was answered, \(node) would lose cell \(cell): write \(covered[cell]), durable \(disk.durable[cell])"
            )
        }
    }

    private func survivor(of crashed: NodeSet) -> NodeIndex { crashed.contains(.first) ? .second : .first }
}
