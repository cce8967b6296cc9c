import DiskFormat
import Testing

@Suite struct MetadataLayoutTests {
    @Test("the regions follow each other and do not overlap")
    func regions() {
        #expect(MetadataLayout.superblockOffsets == [0, 4096])
        #expect(
            (0..<9).map { MetadataLayout.offset(ofTransaction: $0) }
                == [8192, 12288, 16384, 20480, 24576, 28672, 32768, 36864, 8192])
        #expect(MetadataLayout.offset(ofTransaction: .max) == 36864)
        #expect(MetadataLayout.offset(ofBitmapPage: 0) == 65536)
        #expect(MetadataLayout.offset(ofBitmapPage: 2) == 73728)
    }

    @Test(
        "sizes of a volume's metadata",
        arguments: [
            (4096, 1, 1, 1, 1, 69632), (4 << 20, 1024, 1, 16, 1, 69632),
            ((4 << 20) + 4096, 1025, 2, 17, 1, 69632), (32640 * 4096, 32640, 32, 510, 1, 69632),
            (32641 * 4096, 32641, 32, 511, 2, 73728), (1 << 30, 262144, 256, 4096, 9, 102400),
        ] as [(UInt64, Int, Int, Int, Int, UInt64)])
    func sizes(volume: UInt64, blocks: Int, extents: Int, words: Int, pages: Int, file: UInt64) throws {
        let layout = try #require(MetadataLayout(volumeSize: volume))
        #expect(layout.blockCount == blocks)
        #expect(layout.extentCount == extents)
        #expect(layout.wordCount == words)
        #expect(layout.pageCount == pages)
        #expect(layout.fileSize == file)
        #expect(layout.words(ofBitmapPage: pages - 1).upperBound == words)
        #expect(layout.words(ofBitmapPage: pages).isEmpty)
        #expect(MetadataLayout.bitmapPage(forBlock: blocks - 1) == pages - 1)
    }

    @Test("a volume that is empty, not of whole blocks or too large has no layout")
    func refused() {
        for size in [0, 1, 4095, 4097, (1 << 50) + 4096, UInt64.max] as [UInt64] {
            #expect(MetadataLayout(volumeSize: size) == nil)
        }
        #expect(MetadataLayout(volumeSize: 1 << 50)?.wordCount == 1 << 32)
    }

    @Test("the pages of a run of blocks are those of its first to its last block")
    func pages() {
        #expect(MetadataLayout.bitmapPages(forBlocks: 0..<1) == 0..<1)
        #expect(MetadataLayout.bitmapPages(forBlocks: 32639..<32641) == 0..<2)
        #expect(MetadataLayout.bitmapPages(forBlocks: 32640..<65280) == 1..<2)
        #expect(MetadataLayout.bitmapPages(forBlocks: 5..<5).isEmpty)
    }
}
