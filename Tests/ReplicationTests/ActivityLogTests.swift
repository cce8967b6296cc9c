import Basics
import DiskFormat
import Testing

@testable import Replication

@Suite("The activity log says after a crash what it said before")
struct ActivityLogTests {
    @Test("any run of transactions replays to the same extents", arguments: [1, 2, 7, 64, 920, 2000])
    func replay(_ capacity: Int) throws {
        var random = SeededGenerator(seed: UInt64(capacity))
        let extents = capacity * 3
        var log = ActivityLog(capacity: capacity, extents: extents, nextNumber: 0)
        var ring = [[UInt8]](
            repeating: [UInt8](repeating: 0, count: 4096), count: ActivityLogTransaction.ringBlocks)
        func store(_ transaction: ActivityLogTransaction) {
            ring[Int(transaction.number) % ring.count] = transaction.encoded()
            log.commit(transaction)
        }
        for round in 0..<200 {
            if round % 50 == 49 {
                for transaction in log.clear() { store(transaction) }
            } else {
                var wanted: Set<Int> = []
                for _ in 0..<1 + random.below(min(capacity, 40)) {
                    let extent = random.below(extents)
                    if !log.touch(extent..<extent + 1) { wanted.insert(extent) }
                }
                let victims = log.victims(for: wanted.count) { _ in false }
                if victims.isEmpty { continue }
                store(log.replace(victims, with: Array(wanted.sorted().prefix(victims.count))))
            }
            let found = try ActivityLogRing.replay(blocks: ring, capacity: capacity)
            let expected = log.slots.filter { $0 != ActivityLogTransaction.emptyExtent }.sorted()
            #expect(found.extents == expected)
        }
    }

    @Test("a new extent counts only when its transaction is durable, an evicted one no longer at once")
    func commit() {
        var log = ActivityLog(capacity: 1, extents: 4, nextNumber: 0)
        let first = log.replace(log.victims(for: 1) { _ in false }, with: [2])
        #expect(!log.hot.contains(2))
        log.commit(first)
        let isHot = log.touch(2..<3)
        #expect(isHot)
        _ = log.replace(log.victims(for: 1) { _ in false }, with: [3])
        #expect(!log.hot.contains(2))
        #expect(!log.hot.contains(3))
    }

    @Test("the least recently used go first, pinned ones never")
    func victims() {
        var log = ActivityLog(capacity: 3, extents: 8, nextNumber: 0)
        log.commit(log.replace(log.victims(for: 3) { _ in false }, with: [0, 1, 2]))
        _ = log.touch(0..<1)
        #expect(log.victims(for: 1) { _ in false }.compactMap(log.extent(in:)) == [1])
        #expect(log.victims(for: 3) { $0 == 1 }.compactMap(log.extent(in:)) == [2, 0])
        #expect(log.victims(for: 3) { _ in true }.isEmpty)
    }
}
