import Basics

/// Where everything lies in the metadata file of a volume (`Docs/Formats/disk.md`). Offsets and sizes in bytes.
@frozen
public struct MetadataLayout: Sendable, Hashable {
    /// The unit of every read and write of metadata.
    public static let blockSize = 4096
    /// The two superblock slots.
    public static let superblockOffsets: [UInt64] = [0, 4096]
    /// The first block of the activity log's ring.
    public static let logOffset: UInt64 = 8192
    /// The first page of the bitmap.
    public static let bitmapOffset: UInt64 = 65536
    /// Words of 64 bits in a bitmap page.
    public static let wordsPerPage = 510
    /// Blocks of the volume that one bitmap page stands for.
    public static let blocksPerPage = wordsPerPage * 64
    /// The largest volume: 1 PiB, so that a word's number in the bitmap fits 32 bits.
    public static let volumeSizeMaximum: UInt64 = 1 << 50

    /// The volume's size.
    public let volumeSize: UInt64

    /// `nil` unless the size is a multiple of 4096 in `4096...volumeSizeMaximum`.
    public init?(volumeSize: UInt64) {
        guard Self.isValid(volumeSize: volumeSize) else { return nil }
        self.volumeSize = volumeSize
    }

    /// Whether a volume can have this size.
    public static func isValid(volumeSize: UInt64) -> Bool {
        volumeSize > 0 && volumeSize % BlockSize.block == 0 && volumeSize <= volumeSizeMaximum
    }

    /// Blocks of the volume, and so bits of the bitmap.
    public var blockCount: Int { Int(volumeSize / BlockSize.block) }
    /// Extents of the volume; the last may be shorter.
    public var extentCount: Int { Int((volumeSize + BlockSize.extent - 1) / BlockSize.extent) }
    /// Words of the bitmap.
    public var wordCount: Int { (blockCount + 63) / 64 }
    /// Pages of the bitmap.
    public var pageCount: Int { (wordCount + Self.wordsPerPage - 1) / Self.wordsPerPage }
    /// The size of the whole file.
    public var fileSize: UInt64 { Self.offset(ofBitmapPage: pageCount) }

    /// The bitmap page that holds a block's bit.
    public static func bitmapPage(forBlock block: Int) -> Int { block / blocksPerPage }

    /// The bitmap pages that hold the bits of a run of blocks; none for an empty run.
    public static func bitmapPages(forBlocks blocks: Range<Int>) -> Range<Int> {
        let lower = blocks.lowerBound / blocksPerPage
        return lower..<(blocks.isEmpty ? lower : (blocks.upperBound - 1) / blocksPerPage + 1)
    }

    /// The words of the bitmap that a page holds; fewer than `wordsPerPage` in the last page.
    public func words(ofBitmapPage page: Int) -> Range<Int> {
        let lower = min(page * Self.wordsPerPage, wordCount)
        return lower..<min(lower + Self.wordsPerPage, wordCount)
    }

    /// Where a bitmap page lies.
    public static func offset(ofBitmapPage page: Int) -> UInt64 {
        bitmapOffset + UInt64(page) * UInt64(blockSize)
    }

    /// Where the transaction of that number lies.
    public static func offset(ofTransaction number: UInt32) -> UInt64 {
        logOffset + UInt64(Int(number) % ActivityLogTransaction.ringBlocks) * UInt64(blockSize)
    }
}
