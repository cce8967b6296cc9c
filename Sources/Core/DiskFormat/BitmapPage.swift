import Basics

/// One 4 KiB page of the dirty bitmap: 510 words of 64 bits (`Docs/Formats/disk.md`).
public struct BitmapPage: Sendable, Hashable {
    /// The page's place in the bitmap.
    public var number: UInt32
    /// `MetadataLayout.wordsPerPage` words; a word's lowest bit is its first block.
    public var words: [UInt64]
    /// Whether the page could not be believed and every bit was set instead.
    public var wasDamaged: Bool

    /// The block of page `number` of a bitmap of `words` (as `BitSet.words`); words past the last are zero.
    public static func encoded(number: Int, of words: [UInt64]) -> [UInt8] {
        var writer = BlockHeader.begin(.bitmap, number: UInt32(number))
        let lower = min(number * MetadataLayout.wordsPerPage, words.count)
        let upper = min(lower + MetadataLayout.wordsPerPage, words.count)
        for word in words[lower..<upper] { writer.write(word) }
        return BlockHeader.finish(writer)
    }

    /// Page `number` from its block.
    ///
    /// A page of zero bytes was never written: clean. A page whose checksum does not fit, or that is another page,
    /// reads as all dirty: too much is copied, nothing is missed. An unknown version or feature is refused.
    public static func decode(_ bytes: [UInt8], number: Int) throws(DiskFormatError) -> BitmapPage {
        let count = MetadataLayout.wordsPerPage
        do throws(DiskFormatError) {
            var (found, reader) = try BlockHeader.open(bytes, as: .bitmap)
            guard Int(found) == number else { throw .damaged(.bitmap) }
            let words = (0..<count).map { _ in reader.readUInt64() }
            return BitmapPage(number: found, words: words, wasDamaged: false)
        } catch {
            switch error {
            case .foreign where BlockHeader.isNeverWritten(bytes):
                return BitmapPage(
                    number: UInt32(number), words: [UInt64](repeating: 0, count: count), wasDamaged: false)
            case .foreign, .damaged:
                return BitmapPage(
                    number: UInt32(number), words: [UInt64](repeating: .max, count: count), wasDamaged: true)
            default:
                throw error
            }
        }
    }

    /// The whole bitmap of a volume from its pages' bytes, one page after the other, and how many were damaged.
    public static func decodeAll(
        _ bytes: [UInt8], layout: MetadataLayout
    ) throws(DiskFormatError) -> (words: [UInt64], damagedPages: Int) {
        let size = MetadataLayout.blockSize
        guard bytes.count == layout.pageCount * size else {
            throw .wrongLength(.bitmap, found: bytes.count, expected: layout.pageCount * size)
        }
        var words: [UInt64] = []
        words.reserveCapacity(layout.wordCount)
        var damagedPages = 0
        for number in 0..<layout.pageCount {
            let page = try decode(Array(bytes[number * size..<(number + 1) * size]), number: number)
            words += page.words.prefix(layout.words(ofBitmapPage: number).count)
            damagedPages += page.wasDamaged ? 1 : 0
        }
        // The volume's last word may reach past its last block, and a damaged page sets those bits too.
        return (BitSet(capacity: layout.blockCount, words: words).words, damagedPages)
    }
}
