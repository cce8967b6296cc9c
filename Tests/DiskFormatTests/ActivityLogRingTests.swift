import Basics
import DiskFormat
import Testing

/// A log that is kept as the node keeps it, and its ring on a disk that may tear the block being written.
private struct LoggedRing {
    let capacity: Int
    var blocks = [[UInt8]](repeating: Sample.blank, count: ActivityLogTransaction.ringBlocks)
    /// What this life of the node has logged; a new life begins with none.
    var slots: [UInt32]
    /// What the ring says of each slot.
    var stored: [UInt32]
    var number: UInt32
    var generator: SeededGenerator
    /// Transactions of the present number that were torn, in earlier lives. Written over one another they can make
    /// up one of them whole: no write was issued in between, so that it may count.
    private var attempts: [ActivityLogTransaction] = []

    init(capacity: Int, number: UInt32, seed: UInt64) {
        self.capacity = capacity
        self.number = number
        slots = [UInt32](repeating: ActivityLogTransaction.emptyExtent, count: capacity)
        stored = slots
        generator = SeededGenerator(seed: seed)
    }

    var extents: [UInt32] { Set(stored).subtracting([ActivityLogTransaction.emptyExtent]).sorted() }

    /// A transaction of up to 64 changes of `slots`.
    private mutating func next() -> ActivityLogTransaction {
        var updates: [ActivityLogTransaction.Entry] = []
        let first = generator.below(capacity)
        for place in 0..<min(generator.below(65), capacity) {
            let slot = (first + place) % capacity
            let isEmptied = generator.chance(in: 5)
            slots[slot] = isEmptied ? ActivityLogTransaction.emptyExtent : UInt32(generator.below(100_000))
            updates.append(.init(slot: UInt16(slot), extent: slots[slot]))
        }
        let window = ActivityLogRing.contextWindow(number: number, capacity: capacity)
        return ActivityLogTransaction(
            number: number, updates: updates, contextStart: UInt16(window.lowerBound),
            context: Array(slots[window]))
    }

    private mutating func store(_ transaction: ActivityLogTransaction) {
        for update in transaction.updates { stored[Int(update.slot)] = update.extent }
        let start = Int(transaction.contextStart)
        for (index, extent) in transaction.context.enumerated() { stored[start + index] = extent }
        number &+= 1
        attempts = []
    }

    /// Writes one; `true` if the node died while it did and begins a new life.
    @discardableResult
    mutating func write(tearing: Bool) -> Bool {
        let transaction = next()
        let index = Int(number) % blocks.count
        let whole = transaction.encoded()
        attempts.append(transaction)
        blocks[index] = tearing ? torn(whole, over: blocks[index]) : whole
        if blocks[index] == whole {
            store(transaction)
            return false
        }
        slots = [UInt32](repeating: ActivityLogTransaction.emptyExtent, count: capacity)
        if let landed = attempts.first(where: { $0.encoded() == blocks[index] }) { store(landed) }
        return true
    }

    /// Some of the new bytes: the first ones, or any of the sectors.
    private mutating func torn(_ new: [UInt8], over old: [UInt8]) -> [UInt8] {
        if generator.chance(in: 2) {
            let length = generator.below(new.count)
            return Array(new[..<length] + old[length...])
        }
        return (0..<8).flatMap { sector in
            (generator.chance(in: 2) ? new : old)[sector * 512..<(sector + 1) * 512]
        }
    }
}

@Suite struct ActivityLogRingTests {
    @Test(
        "ten thousand transactions: after a crash in any of them the log is that of the newest whole one",
        arguments: [
            (7, 0), (64, UInt32.max - 900), (257, 5), (919, 0), (920, UInt32.max - 3), (1237, 0),
            (1838, UInt32.max - 1000), (1839, 2), (2500, UInt32.max - 1100), (3676, 7),
        ] as [(Int, UInt32)])
    func model(capacity: Int, number: UInt32) throws {
        var ring = LoggedRing(capacity: capacity, number: number, seed: UInt64(capacity))
        ring.write(tearing: false)
        var crashes = 0
        for step in 1..<1000 {
            let crashed = ring.write(tearing: ring.generator.chance(in: 8))
            crashes += crashed ? 1 : 0
            guard crashed || step < 20 || ring.number < 20 || step % 50 == 0 else { continue }
            let (extents, next) = try ActivityLogRing.replay(blocks: ring.blocks, capacity: capacity)
            guard extents == ring.extents, next == ring.number else {
                Issue.record("capacity \(capacity), step \(step): \(next) for \(ring.number)")
                return
            }
        }
        #expect(crashes > 25)
    }

    @Test("any one block of a full ring may be damaged where it is the newest, and every slot is still known")
    func newestLost() throws {
        for capacity in [919, 1838, 2757, 3676] {
            var ring = LoggedRing(capacity: capacity, number: 0, seed: 3)
            for _ in 0..<20 {
                var before = ring
                before.write(tearing: false)
                before.blocks[Int(ring.number) % 8][2000] ^= 0x10
                let replayed = try ActivityLogRing.replay(blocks: before.blocks, capacity: capacity)
                #expect(replayed.extents == ring.extents)
                ring.write(tearing: false)
            }
        }
    }

    @Test("each slot is named by two blocks of the ring, and by one run of windows wherever it begins")
    func windows() {
        for capacity in [1, 7, 918, 919, 920, 1237, 1838, 1839, 2500, 2757, 2758, 3673, 3675, 3676] {
            let count = ActivityLogRing.windowCount(capacity: capacity)
            for first in [0, 1, 2, 3, 4, 5, 6, 7, UInt32.max - 2, UInt32.max] {
                var named = [Int](repeating: 0, count: capacity)
                for step in 0..<UInt32(count) {
                    let window = ActivityLogRing.contextWindow(number: first &+ step, capacity: capacity)
                    #expect(window.count <= ActivityLogTransaction.contextMaximum)
                    for slot in window { named[slot] += 1 }
                }
                #expect(named.allSatisfy { $0 == 1 })
            }
            #expect(count < 8 && ActivityLogTransaction.ringBlocks % count == 0)
        }
    }

    @Test("a ring that was never written is an empty log, and so is one whose first block was torn")
    func neverWritten() throws {
        var blocks = [[UInt8]](repeating: Sample.blank, count: 8)
        #expect(try ActivityLogRing.replay(blocks: blocks, capacity: 257) == ([], 0))
        blocks[0][5] = 1
        #expect(try ActivityLogRing.replay(blocks: blocks, capacity: 257) == ([], 0))
        blocks[1][5] = 1
        #expect(replayError(blocks, capacity: 257) == .incompleteLog)
    }

    @Test("a log whose slots are not all known is said to be incomplete")
    func incomplete() {
        var ring = LoggedRing(capacity: 3676, number: 0, seed: 4)
        for _ in 0..<16 { ring.write(tearing: false) }
        // Number 16 is next; with 14 gone as well, 15 alone names a quarter of the slots.
        ring.blocks[6][100] ^= 1
        #expect(replayError(ring.blocks, capacity: 3676) == .incompleteLog)
    }

    @Test("a log of one window needs its newest whole transaction only")
    func oneWindow() throws {
        var ring = LoggedRing(capacity: 257, number: 0, seed: 5)
        for _ in 0..<16 { ring.write(tearing: false) }
        for index in 0..<7 { ring.blocks[index][100] ^= 1 }
        let replayed = try ActivityLogRing.replay(blocks: ring.blocks, capacity: 257)
        #expect(replayed == (ring.extents, 16))
    }

    @Test("slots and extents that cannot be are refused")
    func impossible() {
        func error(
            _ updates: [ActivityLogTransaction.Entry], start: UInt16 = 0, context: [UInt32] = [],
            number: UInt32 = 0, capacity: Int = 10
        ) -> DiskFormatError? {
            var blocks = [[UInt8]](repeating: Sample.blank, count: 8)
            blocks[0] = ActivityLogTransaction(
                number: number, updates: updates, contextStart: start, context: context
            ).encoded()
            return replayError(blocks, capacity: capacity, volumeSize: 8 << 20)
        }
        #expect(error([.init(slot: 9, extent: 1)]) == nil)
        #expect(error([.init(slot: 10, extent: 1)]) == .malformed(.activityLog, .slot))
        #expect(error([.init(slot: 0, extent: 2)]) == .malformed(.activityLog, .extent))
        #expect(error([], start: 9, context: [0]) == nil)
        #expect(error([], start: 9, context: [0, 0]) == .malformed(.activityLog, .slot))
        #expect(error([], start: .max, context: []) == .malformed(.activityLog, .slot))
        #expect(error([], context: [2]) == .malformed(.activityLog, .extent))
        #expect(error([], number: 1) == .malformed(.activityLog, .transactionNumber))
        #expect(error([], capacity: 0) == .malformed(.superblock, .logCapacity))
        #expect(error([], capacity: 3677) == .malformed(.superblock, .logCapacity))
    }

    @Test("a ring of another shape or a newer version is refused")
    func shape() {
        var blocks = [[UInt8]](repeating: Sample.blank, count: 8)
        #expect(
            replayError(Array(blocks.dropLast()), capacity: 7)
                == .wrongLength(.activityLog, found: 7, expected: 8))
        blocks[3].removeLast()
        #expect(replayError(blocks, capacity: 7) == .wrongLength(.activityLog, found: 4095, expected: 4096))
        var future = ActivityLogTransaction(number: 3, updates: [], contextStart: 0, context: []).encoded()
        future[9] = 2
        blocks[3] = Sample.sealed(future)
        #expect(
            replayError(blocks, capacity: 7) == .unsupportedVersion(.activityLog, found: 2, supported: 1))
    }

    private func replayError(
        _ blocks: [[UInt8]], capacity: Int, volumeSize: UInt64 = MetadataLayout.volumeSizeMaximum
    ) -> DiskFormatError? {
        failure { () throws(DiskFormatError) in
            _ = try ActivityLogRing.replay(blocks: blocks, capacity: capacity, volumeSize: volumeSize)
        }
    }
}
