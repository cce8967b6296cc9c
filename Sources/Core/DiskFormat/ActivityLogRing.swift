import Basics

/// What the ring of transactions says after a restart: which extents were logged.
///
/// A transaction's number names its block. Before a transaction's data writes are issued it is durable, so a block
/// that was torn is the newest one, and nothing was written under it.
public enum ActivityLogRing {
    /// The most slots that a log can have: four contexts name them all, so that each slot is named by two of the
    /// ring's eight blocks, whichever one is torn.
    public static let capacityMaximum = ActivityLogTransaction.contextMaximum * 4

    /// How many transactions in a row name every slot: 1, 2 or 4, which divide the ring, so that the round goes on
    /// where the numbers wrap. `capacity`: `1...capacityMaximum`.
    public static func windowCount(capacity: Int) -> Int {
        let maximum = ActivityLogTransaction.contextMaximum
        return capacity <= maximum ? 1 : capacity <= 2 * maximum ? 2 : 4
    }

    /// The slots that the context of the transaction of that number shall repeat. It depends on the number alone, so
    /// that a restart does not break the round.
    public static func contextWindow(number: UInt32, capacity: Int) -> Range<Int> {
        let count = windowCount(capacity: capacity)
        let size = (capacity + count - 1) / count
        let lower = min(Int(number) % count * size, capacity)
        return lower..<min(lower + size, capacity)
    }

    /// What the log holds after a restart.
    ///
    /// - Parameters:
    ///   - blocks: the ring's 8 blocks in their order in the file.
    ///   - capacity: slots of the log, as the superblock says.
    ///   - volumeSize: in bytes; an extent past it is refused.
    /// - Returns: the logged extents, ascending and each once, and the number of the next transaction.
    /// - Throws: `incompleteLog` when more than the newest block is lost and a slot is therefore unknown; the caller
    ///   then has to take every block for dirty. Versions, features, slots and extents that cannot be.
    public static func replay(
        blocks: [[UInt8]], capacity: Int, volumeSize: UInt64 = MetadataLayout.volumeSizeMaximum
    ) throws(DiskFormatError) -> (extents: [UInt32], nextNumber: UInt32) {
        let ringBlocks = ActivityLogTransaction.ringBlocks
        guard blocks.count == ringBlocks else {
            throw .wrongLength(.activityLog, found: blocks.count, expected: ringBlocks)
        }
        guard 1...capacityMaximum ~= capacity else { throw .malformed(.superblock, .logCapacity) }
        var transactions: [ActivityLogTransaction?] = []
        for (index, block) in blocks.enumerated() { transactions.append(try read(block, index: index)) }
        guard let newest = newest(of: transactions) else {
            // At most one block torn, the first ever: nothing was written under it.
            let written = blocks.count { !BlockHeader.isNeverWritten($0) }
            guard written <= 1 else { throw .incompleteLog }
            return ([], 0)
        }
        let extentCount = (volumeSize + BlockSize.extent - 1) / BlockSize.extent
        var slots = [UInt32?](repeating: nil, count: capacity)
        var reachedBeginning = false
        // Backwards: the newer transaction has named a slot already.
        for back in 0..<UInt32(ringBlocks) {
            let number = newest &- back
            let index = Int(number) % ringBlocks
            guard let transaction = transactions[index], transaction.number == number else {
                reachedBeginning = BlockHeader.isNeverWritten(blocks[index])
                break
            }
            try apply(transaction, to: &slots, extentCount: extentCount)
        }
        guard reachedBeginning || slots.allSatisfy({ $0 != nil }) else { throw .incompleteLog }
        let logged = Set(slots.compactMap { $0 }).subtracting([ActivityLogTransaction.emptyExtent])
        return (logged.sorted(), newest &+ 1)
    }

    /// The block's transaction; `nil` if it was torn or never written.
    private static func read(
        _ block: [UInt8], index: Int
    ) throws(DiskFormatError) -> ActivityLogTransaction? {
        let transaction: ActivityLogTransaction
        do throws(DiskFormatError) {
            transaction = try ActivityLogTransaction.decode(block)
        } catch {
            switch error {
            case .foreign, .damaged: return nil
            default: throw error
            }
        }
        guard Int(transaction.number) % ActivityLogTransaction.ringBlocks == index else {
            throw .malformed(.activityLog, .transactionNumber)
        }
        return transaction
    }

    /// The highest number, where numbers wrap: the one that no other is ahead of by less than half of all numbers.
    private static func newest(of transactions: [ActivityLogTransaction?]) -> UInt32? {
        transactions.compactMap { $0?.number }.reduce(nil as UInt32?) { best, number in
            guard let best else { return number }
            return Int32(bitPattern: number &- best) > 0 ? number : best
        }
    }

    /// Fills the slots that are not known yet.
    private static func apply(
        _ transaction: ActivityLogTransaction, to slots: inout [UInt32?], extentCount: UInt64
    ) throws(DiskFormatError) {
        let start = Int(transaction.contextStart)
        guard start + transaction.context.count <= slots.count else { throw .malformed(.activityLog, .slot) }
        for update in transaction.updates.reversed() {
            guard Int(update.slot) < slots.count else { throw .malformed(.activityLog, .slot) }
            try fill(Int(update.slot), update.extent, in: &slots, extentCount: extentCount)
        }
        for (index, extent) in transaction.context.enumerated() {
            try fill(start + index, extent, in: &slots, extentCount: extentCount)
        }
    }

    private static func fill(
        _ slot: Int, _ extent: UInt32, in slots: inout [UInt32?], extentCount: UInt64
    ) throws(DiskFormatError) {
        guard extent == ActivityLogTransaction.emptyExtent || UInt64(extent) < extentCount else {
            throw .malformed(.activityLog, .extent)
        }
        if slots[slot] == nil { slots[slot] = extent }
    }
}
