import Basics
import CLinux
import Testing

@Suite("CRC-32C by the processor")
struct ChecksumTests {
    @Test("instruction, tables and the plain statement give the same values, whatever length and place")
    func sameValues() {
        var generator = SeededGenerator(seed: 3)
        var bytes = (0..<40_000).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
        // Around the lengths at which the lanes begin, at every alignment.
        var lengths = Array(0..<70)
        for edge in [384, 768, 1024, 3072, 6144, 9216] { lengths += (edge - 9)...(edge + 9) }
        lengths += [33_000]
        for length in lengths {
            let start = generator.below(8)
            let part = Array(bytes[start..<start + length])
            let expected = Checksum.crc32c(part.lazy.map { $0 }, continuing: 0)
            #expect(clinux_crc32c(0, part, length) == expected)
            #expect(clinux_crc32c_portable(0, part, length) == expected)
            let cut = generator.below(length + 1)
            let continued = clinux_crc32c(
                clinux_crc32c(0, part, cut), Array(part[cut...]), length - cut)
            #expect(continued == expected)
        }
        bytes[17] ^= 1
        #expect(clinux_crc32c(0, bytes, 32) != clinux_crc32c(0, Array(bytes[1...]), 32))
    }

    @Test("the value that RFC 3720 gives for 32 zero bytes")
    func published() {
        #expect(clinux_crc32c(0, [UInt8](repeating: 0, count: 32), 32) == 0x8A91_36AA)
    }
}
