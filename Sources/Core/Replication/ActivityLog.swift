import Basics
import DiskFormat

/// Which extents may have writes under way: bounds what must be copied after a crash (`reference/replication.md` 2.1).
///
/// Decides which slot is reused and what each transaction records. Does not decide when an extent may be evicted:
/// the replica says which are pinned.
struct ActivityLog: Sendable {
    private(set) var slots: [UInt32]
    private var lastUse: [UInt64]
    private var slotOfExtent: [UInt16?]
    private var clock: UInt64 = 0
    private var nextNumber: UInt32
    /// Extents that are in the log on stable storage: writes to them may be issued.
    private(set) var hot: BitSet

    init(capacity: Int, extents: Int, nextNumber: UInt32) {
        slots = [UInt32](repeating: ActivityLogTransaction.emptyExtent, count: capacity)
        lastUse = [UInt64](repeating: 0, count: capacity)
        slotOfExtent = [UInt16?](repeating: nil, count: extents)
        hot = BitSet(capacity: extents)
        self.nextNumber = nextNumber
    }

    var isEmpty: Bool { hot.isEmpty }

    /// Whether every extent of the run is in the log; counts as a use.
    mutating func touch(_ extents: Range<Int>) -> Bool {
        for extent in extents where !hot.contains(extent) { return false }
        clock += 1
        for extent in extents {
            if let slot = slotOfExtent[extent] { lastUse[Int(slot)] = clock }
        }
        return true
    }

    /// The slots that the wanted extents would take, least recently used first, none of them pinned; fewer when
    /// there are not enough. At most one transaction's worth.
    func victims(for count: Int, isPinned: (Int) -> Bool) -> [Int] {
        let free = slots.indices.filter { slots[$0] == ActivityLogTransaction.emptyExtent }
        let limit = min(count, ActivityLogTransaction.updateMaximum)
        if free.count >= limit { return Array(free.prefix(limit)) }
        let used = slots.indices.filter {
            slots[$0] != ActivityLogTransaction.emptyExtent && !isPinned(Int(slots[$0]))
        }
        let oldest = used.sorted { lastUse[$0] < lastUse[$1] }
        return Array((free + oldest).prefix(limit))
    }

    /// What a slot holds.
    func extent(in slot: Int) -> Int? {
        slots[slot] == ActivityLogTransaction.emptyExtent ? nil : Int(slots[slot])
    }

    /// Takes the slots for the extents. The old ones are out at once; the new ones count only after `commit`.
    mutating func replace(_ victims: [Int], with extents: [Int]) -> ActivityLogTransaction {
        var updates: [ActivityLogTransaction.Entry] = []
        for (slot, extent) in zip(victims, extents) {
            if let old = self.extent(in: slot) {
                hot.remove(old)
                slotOfExtent[old] = nil
            }
            slots[slot] = UInt32(extent)
            slotOfExtent[extent] = UInt16(slot)
            clock += 1
            lastUse[slot] = clock
            updates.append(.init(slot: UInt16(slot), extent: UInt32(extent)))
        }
        return transaction(updates)
    }

    /// The transaction is durable: its extents may be written to.
    mutating func commit(_ transaction: ActivityLogTransaction) {
        for update in transaction.updates where update.extent != ActivityLogTransaction.emptyExtent {
            hot.insert(Int(update.extent))
        }
    }

    /// Empties the log; the transactions that say so must all become durable.
    mutating func clear() -> [ActivityLogTransaction] {
        for slot in slots.indices { slots[slot] = ActivityLogTransaction.emptyExtent }
        for extent in slotOfExtent.indices { slotOfExtent[extent] = nil }
        hot.removeAll()
        var unnamed = Set(slots.indices)
        var transactions: [ActivityLogTransaction] = []
        while !unnamed.isEmpty {
            let next = transaction([])
            unnamed.subtract(Int(next.contextStart)..<Int(next.contextStart) + next.context.count)
            transactions.append(next)
        }
        return transactions
    }

    private mutating func transaction(_ updates: [ActivityLogTransaction.Entry]) -> ActivityLogTransaction {
        let window = ActivityLogRing.contextWindow(number: nextNumber, capacity: slots.count)
        let result = ActivityLogTransaction(
            number: nextNumber, updates: updates, contextStart: UInt16(window.lowerBound),
            context: Array(slots[window]))
        nextNumber &+= 1
        return result
    }
}
