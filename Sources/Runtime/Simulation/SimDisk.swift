import Basics
import DiskFormat
import Quorum
import Replication

/// A node's disk: a backing file of half-block cells and the metadata beside it.
///
/// What was written and not flushed is volatile: a crash keeps a random part of it, cell by cell, and tears a
/// metadata block that was under way. `skipped` names the fdatasync that is left out by a deliberate break.
struct SimDisk {
    /// Cells in a 4 KiB block: two, so that requests can cover a block in part.
    static let cellsPerBlock = 2
    static let cell: UInt64 = BlockSize.block / 2

    /// The number of the write that each cell holds, as read now and as after a power cut.
    var current: [UInt32]
    var durable: [UInt32]
    /// Cells whose newest content a crash took, and nobody wrote since.
    var tainted: [Bool]
    private var pending: [(cell: Int, value: UInt32)] = []
    /// Writes handed to the disk and not answered: a crash may have done any part of them.
    private var underWay: [Int: [(cell: Int, value: UInt32)]] = [:]
    private var underWayNext = 0
    private var flushed = 0

    var superblock: Superblock
    var bitmap: [UInt64]
    private var ring: [ActivityLogTransaction?] { didSet { loggedNow = nil } }
    /// What `loggedExtents` found in the ring as it is.
    private var loggedNow: Set<UInt32>?
    private var metaPending: [MetaWrite] = []
    private var metaUnderWay: MetaWrite?
    var skipped: SyncPoint?

    enum MetaWrite {
        case superblock(Superblock)
        case bitmap([UInt64])
        case log(ActivityLogTransaction)
    }

    init(blocks: Int, superblock: Superblock) {
        current = [UInt32](repeating: 0, count: blocks * Self.cellsPerBlock)
        durable = current
        tainted = [Bool](repeating: false, count: current.count)
        self.superblock = superblock
        bitmap = [UInt64](repeating: 0, count: (blocks + 63) / 64)
        ring = [ActivityLogTransaction?](repeating: nil, count: ActivityLogTransaction.ringBlocks)
    }

    // MARK: data

    /// The disk as it was made, before the run.
    mutating func fill(with value: UInt32) {
        for cell in current.indices { current[cell] = value }
        durable = current
    }

    /// Hands a write to the disk; `finish` ends it.
    mutating func begin(_ cells: [(cell: Int, value: UInt32)]) -> Int {
        underWayNext += 1
        underWay[underWayNext] = cells
        return underWayNext
    }

    mutating func finish(_ write: Int, taintedCells: [Bool]?) {
        guard let cells = underWay.removeValue(forKey: write) else { return }
        for (index, (cell, value)) in cells.enumerated() {
            current[cell] = value
            tainted[cell] = taintedCells?[index] ?? false
            pending.append((cell, value))
        }
    }

    /// How much a flush that begins now will make durable, counted from the beginning of time.
    var flushMark: Int { flushed + pending.count }

    mutating func flush(upTo mark: Int, _ point: SyncPoint) {
        guard point != skipped, mark > flushed else { return }
        let count = min(mark - flushed, pending.count)
        for (cell, value) in pending[..<count] { durable[cell] = value }
        pending.removeFirst(count)
        flushed += count
    }

    // MARK: metadata

    mutating func beginMeta(_ write: MetaWrite) { metaUnderWay = write }

    mutating func finishMeta(_ point: SyncPoint) {
        guard let write = metaUnderWay else { return }
        metaUnderWay = nil
        metaPending.append(write)
        if point == skipped || !point.isSynced { return }
        for write in metaPending { apply(write) }
        metaPending.removeAll()
    }

    private mutating func apply(_ write: MetaWrite) {
        switch write {
        case .superblock(let value): superblock = value
        case .bitmap(let words): bitmap = words
        case .log(let transaction): ring[Int(transaction.number) % ring.count] = transaction
        }
    }

    // MARK: crash

    /// The power is cut: what is volatile survives in part, in no order across cells.
    mutating func crash(_ random: inout SeededGenerator) {
        let keep = random.below(4)
        func survives() -> Bool {
            keep == 0 ? false : keep == 1 ? true : random.below(keep == 2 ? 4 : 2) == 0
        }
        for (cell, value) in pending where survives() { durable[cell] = value }
        flushed += pending.count
        for write in underWay.keys.sorted() {
            for (cell, value) in underWay[write] ?? [] where survives() { durable[cell] = value }
        }
        pending.removeAll()
        underWay.removeAll()
        for cell in current.indices where current[cell] != durable[cell] {
            tainted[cell] = true
            current[cell] = durable[cell]
        }
        if let metaUnderWay { metaPending.append(metaUnderWay) }
        metaUnderWay = nil
        for write in metaPending {
            switch random.below(3) {
            case 0: apply(write)
            case 1: tear(write)
            default: break
            }
        }
        metaPending.removeAll()
    }

    /// A metadata block that was half written: its checksum fails. A torn superblock leaves the other slot, a torn
    /// page of the bitmap reads as all dirty, a torn block of the ring is lost.
    private mutating func tear(_ write: MetaWrite) {
        switch write {
        case .superblock: break
        case .bitmap: bitmap = [UInt64](repeating: .max, count: bitmap.count)
        case .log(let transaction): ring[Int(transaction.number) % ring.count] = nil
        }
    }

    /// What the ring replays to, through the real format.
    func replay(capacity: Int) -> (extents: [UInt32], nextNumber: UInt32)? {
        let empty = [UInt8](repeating: 0, count: 4096)
        let torn = [UInt8](repeating: 0xFF, count: 4096)
        let hasAny = ring.contains { $0 != nil }
        let blocks = ring.map { $0?.encoded() ?? (hasAny ? torn : empty) }
        return try? ActivityLogRing.replay(blocks: fixedBeginning(blocks, empty), capacity: capacity)
    }

    /// Blocks after the first round's end were never written: they are zero, not torn.
    private func fixedBeginning(_ blocks: [[UInt8]], _ empty: [UInt8]) -> [[UInt8]] {
        let newest = ring.compactMap { $0?.number }.max() ?? 0
        guard Int(newest) < blocks.count else { return blocks }
        return blocks.indices.map { ring[$0] == nil && $0 > Int(newest) ? empty : blocks[$0] }
    }

    /// Extents that the durable ring names; for the invariants, which ask far more often than the ring changes.
    mutating func loggedExtents(capacity: Int) -> Set<UInt32> {
        if let loggedNow { return loggedNow }
        let logged = findLoggedExtents(capacity: capacity)
        loggedNow = logged
        return logged
    }

    /// All extents a replay could name, by value: the newest word on each slot.
    private func findLoggedExtents(capacity: Int) -> Set<UInt32> {
        var slots = [UInt32?](repeating: nil, count: capacity)
        let ordered = ring.compactMap { $0 }.sorted { $0.number > $1.number }
        for transaction in ordered {
            for update in transaction.updates.reversed() where slots[Int(update.slot)] == nil {
                slots[Int(update.slot)] = update.extent
            }
            for (index, extent) in transaction.context.enumerated() {
                let slot = Int(transaction.contextStart) + index
                if slots[slot] == nil { slots[slot] = extent }
            }
        }
        return Set(slots.compactMap { $0 }).subtracting([ActivityLogTransaction.emptyExtent])
    }

    /// Whether a power cut now could take data.
    var hasUnflushed: Bool { !pending.isEmpty || !underWay.isEmpty }

    /// The ring's transactions as they would be if one more reached the disk and nothing else did.
    func withLog(_ transaction: ActivityLogTransaction) -> SimDisk {
        var disk = self
        disk.ring[Int(transaction.number) % ring.count] = transaction
        return disk
    }

    /// Whether the durable bitmap marks the block.
    func isMarked(_ block: Int) -> Bool { bitmap[block / 64] >> UInt64(block % 64) & 1 == 1 }
}
