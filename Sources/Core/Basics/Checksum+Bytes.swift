// Eight bytes a step: metadata blocks are checked with this where the processor's instruction cannot be reached.
// Same values as the form over any sequence, which stays as the plain statement of what is computed.

extension Checksum {
    /// Eight tables of 256 words, one after the other: the table of byte 0, then of byte 1 further on, and so on.
    private static let tables: [UInt32] = {
        var tables = [UInt32](repeating: 0, count: 8 * 256)
        for index in 0..<256 {
            tables[index] = (0..<8).reduce(UInt32(index)) { value, _ in
                value & 1 == 1 ? value >> 1 ^ 0x82F6_3B78 : value >> 1
            }
        }
        for index in 256..<tables.count {
            let previous = tables[index - 256]
            tables[index] = previous >> 8 ^ tables[Int(previous & 0xFF)]
        }
        return tables
    }()

    /// The checksum of the memory, continuing `previous` (0 starts a new one).
    public static func crc32c(_ bytes: UnsafeRawBufferPointer, continuing previous: UInt32 = 0) -> UInt32 {
        tables.withUnsafeBufferPointer { table in
            var value = ~previous
            var offset = 0
            while offset + 8 <= bytes.count {
                let next = bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
                let word = UInt64(littleEndian: next) ^ UInt64(value)
                var folded = table[1792 + Int(word & 0xFF)] ^ table[1536 + Int(word >> 8 & 0xFF)]
                folded ^= table[1280 + Int(word >> 16 & 0xFF)] ^ table[1024 + Int(word >> 24 & 0xFF)]
                folded ^= table[768 + Int(word >> 32 & 0xFF)] ^ table[512 + Int(word >> 40 & 0xFF)]
                folded ^= table[256 + Int(word >> 48 & 0xFF)] ^ table[Int(word >> 56)]
                value = folded
                offset += 8
            }
            while offset < bytes.count {
                value = table[Int(UInt8(truncatingIfNeeded: value) ^ bytes[offset])] ^ value >> 8
                offset += 1
            }
            return ~value
        }
    }

    /// The checksum of the array's bytes from `start` on, continuing `previous` (0 starts a new one).
    public static func crc32c(
        _ bytes: [UInt8], from start: Int = 0, continuing previous: UInt32 = 0
    ) -> UInt32 {
        bytes.withUnsafeBytes { buffer in
            let rest = UnsafeRawBufferPointer(rebasing: buffer[min(start, buffer.count)...])
            return crc32c(rest, continuing: previous)
        }
    }
}
