import Basics
import DiskFormat
import Quorum

/// Values and blocks that several tests use.
enum Sample {
    static let record = ArbiterRecord(
        epoch: 7, grant: Mark(high: 0x0102_0304_0506_0708, low: 0x090A_0B0C_0D0E_0F10), holder: .second,
        copies: .both)

    static let intent = ArbiterRequest(
        identifier: Mark(high: 0x1112_1314_1516_1718, low: 0x191A_1B1C_1D1E_1F20), purpose: .takeOver,
        asker: .second, expectedEpoch: 7, expectedGrant: record.grant, holder: .second,
        copies: NodeSet(.second), restarted: true)

    static let superblock = Superblock(
        size: 1 << 30, node: .second, logCapacity: 1237,
        generations: GenerationTuple(
            current: Generation(rawValue: 0xA1), bitmap: Generation(rawValue: 0xA2),
            history: [Generation(rawValue: 0xA3), Generation(rawValue: 0xA4)]),
        condition: .awaitingRecord, record: record, intent: intent, ownership: 0xCAFE_F00D)

    static let transaction = ActivityLogTransaction(
        number: 0x0000_0102, updates: [.init(slot: 3, extent: 0x20), .init(slot: 4, extent: .max)],
        contextStart: 2, context: [0x10, 0x20])

    static let words: [UInt64] = (0..<600).map { $0 == 0 ? 0x8000_0000_0000_0001 : $0 == 511 ? 0xFF : 0 }

    /// The block with its checksum made to fit, to reach what lies behind it.
    static func sealed(_ block: [UInt8]) -> [UInt8] {
        var block = block
        let checksum = Checksum.crc32c(block, from: 8)
        for index in 0..<4 {
            block[4 + index] = UInt8(truncatingIfNeeded: checksum >> UInt32(24 - 8 * index))
        }
        return block
    }

    /// Zero bytes: a block that was never written.
    static let blank = [UInt8](repeating: 0, count: MetadataLayout.blockSize)
}

/// The error that `body` throws, `nil` if it returns.
func failure(_ body: () throws(DiskFormatError) -> Void) -> DiskFormatError? {
    do throws(DiskFormatError) {
        try body()
        return nil
    } catch {
        return error
    }
}
