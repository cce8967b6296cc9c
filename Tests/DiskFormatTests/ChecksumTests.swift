import Basics
import Testing

@Suite struct ChecksumTests {
    @Test("the checksum of the standard's examples")
    func examples() {
        #expect(Checksum.crc32c(Array("123456789".utf8)) == 0xE306_9283)
        // RFC 3720 B.4: 32 bytes of zeroes, of ones, ascending, descending.
        #expect(Checksum.crc32c([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
        #expect(Checksum.crc32c([UInt8](repeating: 0xFF, count: 32)) == 0x62A8_AB43)
        #expect(Checksum.crc32c(Array(0..<32 as Range<UInt8>)) == 0x46DD_794E)
        #expect(Checksum.crc32c(Array((0..<32 as Range<UInt8>).reversed())) == 0x113F_DB5C)
        #expect(Checksum.crc32c([]) == 0)
    }

    @Test("eight bytes a step give what one byte a step gives, at every length, start and continuation")
    func bothForms() {
        var generator = SeededGenerator(seed: 10)
        let bytes = (0..<100).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
        for start in 0...bytes.count {
            let plain = Checksum.crc32c(AnySequence(bytes[start...]))
            #expect(Checksum.crc32c(bytes, from: start) == plain)
            let first = Checksum.crc32c(Array(bytes[..<start]))
            #expect(Checksum.crc32c(bytes, from: start, continuing: first) == Checksum.crc32c(bytes))
        }
        #expect(Checksum.crc32c(bytes, from: 101) == 0)
    }
}
