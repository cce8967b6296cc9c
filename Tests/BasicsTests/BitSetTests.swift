import Basics
import Testing

/// The bit set beside a `Set<Int>` that does the same, and its edges.
struct BitSetTests {
    @Test("random changes leave the same members, count and first member as a plain set", arguments: 0..<8)
    func besideAPlainSet(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let capacity = 1 + random.below(300)
        var bits = BitSet(capacity: capacity)
        var plain: Set<Int> = []
        for _ in 0..<400 {
            let lower = random.below(capacity)
            let range = lower..<lower + random.below(capacity - lower + 1)
            switch random.below(7) {
            case 0:
                bits.insert(lower)
                plain.insert(lower)
            case 1:
                bits.remove(lower)
                plain.remove(lower)
            case 2:
                bits.insert(range)
                plain.formUnion(range)
            case 3:
                bits.remove(range)
                plain.subtract(range)
            case 4:
                var other = BitSet(capacity: capacity)
                other.insert(range)
                bits.subtract(other)
                plain.subtract(range)
            case 5:
                var other = BitSet(capacity: capacity)
                other.insert(lower)
                bits.formUnion(other)
                plain.insert(lower)
            default:
                try #require(bits.intersects(range) == !plain.isDisjoint(with: range))
            }
            try #require(bits.count == plain.count)
            try #require(bits.isEmpty == plain.isEmpty)
            try #require(bits.first(from: lower) == plain.filter { $0 >= lower }.min())
            try #require((0..<capacity).allSatisfy { bits.contains($0) == plain.contains($0) })
        }
    }

    @Test("words past the capacity are dropped, missing ones are zero")
    func words() {
        let short = BitSet(capacity: 130, words: [.max])
        #expect(short.count == 64)
        let long = BitSet(capacity: 70, words: [.max, .max, .max])
        #expect(long.count == 70)
        #expect(long.words == [.max, 0b111111])
    }

    @Test("all and none", arguments: [1, 63, 64, 65, 128])
    func allAndNone(capacity: Int) {
        var bits = BitSet(capacity: capacity)
        bits.insertAll()
        #expect(bits.count == capacity)
        #expect(bits.first(from: capacity) == nil)
        bits.removeAll()
        #expect(bits == BitSet(capacity: capacity))
    }
}
