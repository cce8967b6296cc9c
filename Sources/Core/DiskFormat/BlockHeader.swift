import Basics

/// The 16 bytes that every block of metadata begins with, the same in every version so that a newer one is refused
/// for what it is: magic, checksum of all that follows it, version, feature word, a number of the block's own.
enum BlockHeader {
    static let byteCount = 16
    /// The version that this program writes, of every kind of block.
    static let version: UInt16 = 1
    /// The bits of the feature word that this program knows: none yet.
    static let knownFeatures: UInt16 = 0

    /// "TdSB", "TdAL", "TdBM".
    static func magic(of block: DiskBlock) -> UInt32 {
        switch block {
        case .superblock: 0x5464_5342
        case .activityLog: 0x5464_414C
        case .bitmap: 0x5464_424D
        }
    }

    /// A writer that has the header, with the checksum's place empty.
    static func begin(_ block: DiskBlock, number: UInt32) -> ByteWriter {
        var writer = ByteWriter(capacity: MetadataLayout.blockSize)
        writer.write(magic(of: block))
        writer.write(0 as UInt32)
        writer.write(version)
        writer.write(0 as UInt16)
        writer.write(number)
        return writer
    }

    /// The whole block: padded with zero bytes, the checksum in its place.
    static func finish(_ writer: consuming ByteWriter) -> [UInt8] {
        writer.writeZeroes(MetadataLayout.blockSize - writer.bytes.count)
        writer.store(Checksum.crc32c(writer.bytes, from: 8), at: 4)
        return writer.bytes
    }

    /// Checks the header and gives its number and a reader that stands behind it.
    static func open(
        _ bytes: [UInt8], as block: DiskBlock
    ) throws(DiskFormatError) -> (number: UInt32, reader: ByteReader) {
        guard bytes.count == MetadataLayout.blockSize else {
            throw .wrongLength(block, found: bytes.count, expected: MetadataLayout.blockSize)
        }
        var reader = ByteReader(bytes)
        guard reader.readUInt32() == magic(of: block) else { throw .foreign(block) }
        // Before the version: a bit that flipped there is damage and not news from the future.
        guard reader.readUInt32() == Checksum.crc32c(bytes, from: 8) else { throw .damaged(block) }
        let found = reader.readUInt16()
        guard found == version else {
            throw .unsupportedVersion(block, found: found, supported: version)
        }
        let unknown = reader.readUInt16() & ~knownFeatures
        guard unknown == 0 else { throw .unsupportedFeatures(block, unknown: unknown) }
        return (reader.readUInt32(), reader)
    }

    /// Whether nothing was ever written here.
    static func isNeverWritten(_ bytes: [UInt8]) -> Bool { bytes.allSatisfy { $0 == 0 } }
}
