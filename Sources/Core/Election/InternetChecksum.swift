/// The one's complement sum of RFC 1071, as IPv4, VRRP and CARP use it.
enum InternetChecksum {
    /// The sum of the bytes as big-endian words, an odd last byte padded with zero, not yet complemented.
    static func sum(_ bytes: some Sequence<UInt8>, continuing previous: UInt32 = 0) -> UInt32 {
        var total = previous
        var isHigh = true
        for byte in bytes {
            total += isHigh ? UInt32(byte) << 8 : UInt32(byte)
            if total > 0xFFFF { total = (total & 0xFFFF) + (total >> 16) }
            isHigh.toggle()
        }
        return total
    }

    /// The value for the checksum field, which is zero among the bytes summed. A sum with the field filled in
    /// gives 0 when it is right.
    static func value(of sum: UInt32) -> UInt16 {
        var folded = sum
        while folded > 0xFFFF { folded = (folded & 0xFFFF) + (folded >> 16) }
        return ~UInt16(truncatingIfNeeded: folded)
    }
}
