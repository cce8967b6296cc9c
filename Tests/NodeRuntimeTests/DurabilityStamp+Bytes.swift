import Basics
import Glibc

/// The content of the stories' blocks: each sector of 512 bytes is its write's number, again and again.
enum DurabilityStamp {
    static let sector = 512
    static let sectorsPerBlock = Int(BlockSize.block) / sector

    static func bytes(_ stamp: UInt64) -> [UInt8] {
        let word = (0..<8).map { UInt8(truncatingIfNeeded: stamp >> ($0 * 8)) }
        return [UInt8]((0..<sector / 8).map { _ in word }.joined())
    }

    /// The number of the write that the sector at `offset` holds, nil when it is not of one write.
    static func stamp(of bytes: [UInt8], at offset: Int) -> UInt64? {
        precondition(offset >= 0 && offset + sector <= bytes.count, "a sector past the end")
        return bytes.withUnsafeBytes { raw in
            guard let start = raw.baseAddress else { return nil }
            let first = start + offset
            guard memcmp(first, first + 8, sector - 8) == 0 else { return nil }
            return UInt64(littleEndian: first.loadUnaligned(as: UInt64.self))
        }
    }
}
