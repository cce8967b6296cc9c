/// CRC-32C (Castagnoli, RFC 3720 appendix B.4): what every block of metadata and every plain frame carries.
///
/// This is the portable form, one table of 256 words; data frames use the instruction through CLinux, which gives
/// the same values.
public enum Checksum {
    private static let table: [UInt32] = (0..<256).map { index in
        (0..<8).reduce(UInt32(index)) { value, _ in value & 1 == 1 ? value >> 1 ^ 0x82F6_3B78 : value >> 1 }
    }

    /// The checksum of the bytes, continuing `previous` (0 starts a new one).
    public static func crc32c(_ bytes: some Sequence<UInt8>, continuing previous: UInt32 = 0) -> UInt32 {
        var value = ~previous
        for byte in bytes { value = table[Int(UInt8(truncatingIfNeeded: value) ^ byte)] ^ value >> 8 }
        return ~value
    }
}
