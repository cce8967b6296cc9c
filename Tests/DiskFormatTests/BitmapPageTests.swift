import Basics
import DiskFormat
import Testing

@Suite struct BitmapPageTests {
    /// The checksum in it was computed by another program.
    static let dump = """
        54 64 42 4D               | magic "TdBM"
        38 64 1B D8               | CRC-32C of all that follows
        00 01  00 00              | version, features
        00 00 00 01               | page number
        00*8                      | word 510
        00 00 00 00 00 00 00 FF   | word 511: blocks 32704 to 32711
        00*4064                   | words 512 to 1019
        """

    @Test("a page has the bytes of the table, both ways")
    func table() throws {
        #expect(BitmapPage.encoded(number: 1, of: Sample.words) == hex(Self.dump))
        let page = try BitmapPage.decode(hex(Self.dump), number: 1)
        #expect(!page.wasDamaged)
        #expect(page.words.count == 510)
        #expect(page.words[1] == 0xFF && page.words.indices.allSatisfy { $0 == 1 || page.words[$0] == 0 })
    }

    @Test("a block's bit is in the page, word and bit that the table says")
    func order() throws {
        for block in [0, 1, 63, 64, 32639, 32640, 65279, 65280, 70000] {
            var bits = BitSet(capacity: 70016)
            bits.insert(block)
            let number = MetadataLayout.bitmapPage(forBlock: block)
            let bytes = BitmapPage.encoded(number: number, of: bits.words)
            let place = block % MetadataLayout.blocksPerPage
            let byte = 16 + place / 64 * 8 + 7 - place % 64 / 8
            #expect(bytes[byte] == 1 << UInt8(place % 8))
            #expect(bytes[16...].reduce(0) { $0 + $1.nonzeroBitCount } == 1)
        }
    }

    @Test("a page of zero bytes is clean: it was never written")
    func neverWritten() throws {
        let page = try BitmapPage.decode(Sample.blank, number: 3)
        #expect(!page.wasDamaged && page.words.allSatisfy { $0 == 0 })
    }

    @Test("a page with any bit flipped, or of another number, reads as all dirty")
    func damaged() throws {
        let bytes = BitmapPage.encoded(number: 1, of: Sample.words)
        let allDirty = [UInt64](repeating: .max, count: MetadataLayout.wordsPerPage)
        for bit in 0..<bytes.count * 8 {
            var flipped = bytes
            flipped[bit / 8] ^= 1 << UInt8(bit % 8)
            let page = try BitmapPage.decode(flipped, number: 1)
            guard page.wasDamaged, page.words == allDirty else {
                Issue.record("bit \(bit) flipped was not noticed")
                return
            }
        }
        #expect(try BitmapPage.decode(bytes, number: 0).wasDamaged)
    }

    @Test("a page of a newer version is refused and not taken for damage")
    func newerVersion() {
        var bytes = BitmapPage.encoded(number: 1, of: Sample.words)
        bytes[9] = 2
        #expect(
            failure { () throws(DiskFormatError) in _ = try BitmapPage.decode(Sample.sealed(bytes), number: 1)
            }
                == .unsupportedVersion(.bitmap, found: 2, supported: 1))
    }

    @Test("a whole bitmap comes back, and a damaged page of it as all dirty within the volume")
    func whole() throws {
        let layout = try #require(MetadataLayout(volumeSize: 4096 * (2 * 32640 + 70)))
        var generator = SeededGenerator(seed: 1)
        var bits = BitSet(capacity: layout.blockCount)
        for _ in 0..<5000 { bits.insert(generator.below(layout.blockCount)) }
        var bytes = (0..<layout.pageCount).flatMap { BitmapPage.encoded(number: $0, of: bits.words) }
        let (words, damaged) = try BitmapPage.decodeAll(bytes, layout: layout)
        #expect(words == bits.words && damaged == 0)

        bytes[2 * 4096 + 20] ^= 1
        let (dirtier, one) = try BitmapPage.decodeAll(bytes, layout: layout)
        bits.insert(2 * 32640..<layout.blockCount)
        #expect(dirtier == bits.words && one == 1)
        #expect(
            failure { () throws(DiskFormatError) in
                _ = try BitmapPage.decodeAll(Array(bytes.dropLast()), layout: layout)
            } == .wrongLength(.bitmap, found: 12287, expected: 12288))
    }
}
