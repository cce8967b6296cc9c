/// What a stamped block of 4 KiB says about itself: who wrote it, where, and as which of its writes.
public struct Stamp: Hashable, Sendable {
    /// Which writer; not zero.
    public let writer: UInt16
    /// Counts this writer's writes from 1.
    public let sequence: UInt64
    /// Where it was meant to be, in blocks.
    public let block: UInt64

    public init(writer: UInt16, sequence: UInt64, block: UInt64) {
        self.writer = writer
        self.sequence = sequence
        self.block = block
    }
}

/// The words of a stamped block: a head that names the stamp, then a pattern that only this stamp gives, so
/// that a block which holds parts of two writes is seen.
public enum StampedBlock {
    /// Bytes of a block.
    public static let size = 4096
    /// Words of 8 bytes in a block.
    public static let wordCount = size / 8
    private static let magic: UInt64 = 0x504D_4154_534D_4454

    /// What a block of an image holds.
    public enum Content: Hashable, Sendable {
        /// Nothing was ever written here.
        case blank
        /// One whole write.
        case stamp(Stamp)
        /// A head that names this stamp, and after it something else.
        case torn(Stamp)
        /// Bytes that no writer of stamps made.
        case foreign
    }

    /// Word `index` of the block of `stamp`, `index` in 0..<512.
    static func word(_ index: Int, of stamp: Stamp) -> UInt64 {
        switch index {
        case 0: return magic
        case 1: return UInt64(stamp.writer)
        case 2: return stamp.sequence
        case 3: return stamp.block
        default:
            var mix = stamp.sequence &* 0x9E37_79B9_7F4A_7C15 ^ stamp.block << 20 ^ UInt64(stamp.writer) << 48
            mix &+= UInt64(index) &* 0xBF58_476D_1CE4_E5B9
            mix = (mix ^ mix >> 31) &* 0x94D0_49BB_1331_11EB
            return mix ^ mix >> 29
        }
    }

    /// The 512 words of the block of `stamp`.
    public static func words(of stamp: Stamp) -> [UInt64] { (0..<wordCount).map { word($0, of: stamp) } }

    /// Reads 512 words.
    public static func content(of words: some RandomAccessCollection<UInt64>) -> Content {
        precondition(words.count == wordCount, "a stamped block has 512 words")
        let first = words.startIndex
        func at(_ offset: Int) -> UInt64 { words[words.index(first, offsetBy: offset)] }
        if words.allSatisfy({ $0 == 0 }) { return .blank }
        guard at(0) == magic, let writer = UInt16(exactly: at(1)), writer != 0 else { return .foreign }
        let stamp = Stamp(writer: writer, sequence: at(2), block: at(3))
        var index = 0
        for found in words {
            if found != word(index, of: stamp) { return .torn(stamp) }
            index += 1
        }
        return .stamp(stamp)
    }
}
