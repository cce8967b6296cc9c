import Basics
import DiskFormat
import Testing

/// Every decoder of a metadata block, as one function each.
private enum Decoder: CaseIterable, Sendable {
    case superblock, transaction, bitmapPage

    var sample: [UInt8] {
        switch self {
        case .superblock: Sample.superblock.encoded(sequence: 5)
        case .transaction: Sample.transaction.encoded()
        case .bitmapPage: BitmapPage.encoded(number: 1, of: Sample.words)
        }
    }

    /// What is meaningful in the block: damage elsewhere meets the same few checks.
    var fields: Int {
        switch self {
        case .superblock: 164
        case .transaction: 600
        case .bitmapPage: 40
        }
    }

    /// Whether the bytes were taken for what they should be.
    func accepts(_ bytes: [UInt8]) -> Bool {
        do throws(DiskFormatError) {
            switch self {
            case .superblock: _ = try Superblock.decode(bytes)
            case .transaction: _ = try ActivityLogTransaction.decode(bytes)
            case .bitmapPage: return try !BitmapPage.decode(bytes, number: 1).wasDamaged
            }
            return true
        } catch {
            return false
        }
    }
}

@Suite struct DamageTests {
    @Test("every truncation of a block is refused", arguments: Decoder.allCases)
    private func truncated(_ decoder: Decoder) {
        let block = decoder.sample
        #expect(decoder.accepts(block))
        for length in 0..<block.count where decoder.accepts(Array(block[..<length])) {
            Issue.record("\(length) bytes of \(decoder) were taken")
            return
        }
        #expect(!decoder.accepts(block + [0]))
    }

    @Test("every single flipped bit of a block is refused", arguments: Decoder.allCases)
    private func flipped(_ decoder: Decoder) {
        var block = decoder.sample
        for bit in 0..<block.count * 8 {
            block[bit / 8] ^= 1 << UInt8(bit % 8)
            guard !decoder.accepts(block) else {
                Issue.record("bit \(bit) flipped of \(decoder) was not noticed")
                return
            }
            block[bit / 8] ^= 1 << UInt8(bit % 8)
        }
        #expect(decoder.accepts(block))
    }

    @Test("a hundred thousand blocks of random bytes never trap a decoder", arguments: Decoder.allCases)
    private func random(_ decoder: Decoder) {
        var generator = SeededGenerator(seed: 6, label: "random blocks")
        for _ in 0..<100_000 {
            let length = generator.chance(in: 50) ? MetadataLayout.blockSize : generator.below(64)
            var bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: generator.next()), count: length)
            for index in 0..<min(64, length) { bytes[index] = UInt8(truncatingIfNeeded: generator.next()) }
            guard !decoder.accepts(bytes) else {
                Issue.record("random bytes were taken for a \(decoder)")
                return
            }
        }
    }

    @Test(
        "random fields behind a fitting checksum never trap a decoder, and what is taken is written back alike",
        arguments: Decoder.allCases)
    private func randomFields(_ decoder: Decoder) throws {
        var generator = SeededGenerator(seed: 7, label: "random fields")
        for _ in 0..<4000 {
            var block = decoder.sample
            for _ in 0...generator.below(4) {
                let value = generator.chance(in: 2) ? UInt8(generator.below(4)) : 0xFF
                block[12 + generator.below(decoder.fields - 12)] = value
            }
            block = Sample.sealed(block)
            guard decoder.accepts(block) else { continue }
            switch decoder {
            case .superblock:
                let (superblock, sequence) = try Superblock.decode(block)
                #expect(superblock.encoded(sequence: sequence) == block)
            case .transaction:
                #expect(try ActivityLogTransaction.decode(block).encoded() == block)
            case .bitmapPage:
                let words = try BitmapPage.decode(block, number: 1).words
                #expect(
                    BitmapPage.encoded(number: 1, of: [UInt64](repeating: 0, count: 510) + words) == block)
            }
        }
    }

    @Test("random rings never trap the replay")
    func randomRings() {
        var generator = SeededGenerator(seed: 8, label: "random rings")
        for _ in 0..<300 {
            let blocks = (0..<8).map { index -> [UInt8] in
                if generator.chance(in: 4) { return Sample.blank }
                let number = UInt32(truncatingIfNeeded: generator.next()) & ~7 | UInt32(index)
                let size = generator.below(200)
                return ActivityLogTransaction(
                    number: generator.chance(in: 3) ? UInt32(index) : number,
                    updates: (0..<generator.below(65)).map { _ in
                        .init(slot: UInt16(generator.below(260)), extent: UInt32(generator.below(300)))
                    }, contextStart: UInt16(generator.below(100)),
                    context: (0..<size).map { _ in UInt32(generator.below(300)) }
                ).encoded()
            }
            let error = failure { () throws(DiskFormatError) in
                _ = try ActivityLogRing.replay(blocks: blocks, capacity: 257, volumeSize: 1 << 30)
            }
            if case .wrongLength = error {
                Issue.record("a ring of the right shape was refused for its shape")
            }
        }
    }
}
