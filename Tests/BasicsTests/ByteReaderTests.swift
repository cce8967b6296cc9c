import Basics
import Testing

/// Bytes from anywhere: read in order, never past the end.
struct ByteReaderTests {
    @Test("what a writer wrote is read again")
    func roundTrip() {
        var reader = ByteReader([0x7F, 1, 0x12, 0x34, 0xDE, 0xAD, 0xBE, 0xEF, 0, 0, 0, 0, 0, 0, 1, 2])
        let byte = reader.readUInt8()
        #expect(byte == 0x7F)
        let isSet = reader.readBool()
        #expect(isSet)
        let short = reader.readUInt16()
        #expect(short == 0x1234)
        let word = reader.readUInt32()
        #expect(word == 0xDEAD_BEEF)
        let long = reader.readUInt64()
        #expect(long == 0x102)
        #expect(reader.isComplete)
    }

    @Test("a read past the end gives zero, and the reader is invalid for good", arguments: 0..<8)
    func pastTheEnd(count: Int) {
        var reader = ByteReader([UInt8](repeating: 0xFF, count: count))
        let long = reader.readUInt64()
        #expect(long == 0)
        #expect(!reader.isValid)
        _ = reader.readBytes(0)
        #expect(!reader.isComplete)
    }

    @Test("counts that were read from the bytes do no harm", arguments: [-1, 5, Int.max])
    func badCounts(count: Int) {
        var reader = ByteReader([1, 2, 3, 4])
        let none = reader.readBytes(count)
        #expect(none.isEmpty)
        #expect(!reader.isValid)
        var skipper = ByteReader([0, 0, 0, 0])
        skipper.skip(count)
        #expect(!skipper.isValid)
    }

    @Test("a bool is 0 or 1, a filler is the filler")
    func oneForm() {
        var bool = ByteReader([2])
        _ = bool.readBool()
        #expect(!bool.isValid)
        var filler = ByteReader([0, 0, 1])
        filler.skip(3)
        #expect(!filler.isValid)
    }

    @Test("a start past the end leaves nothing to read")
    func startPastTheEnd() {
        var reader = ByteReader([1, 2], from: 5)
        #expect(reader.remaining == 0)
        let byte = reader.readUInt8()
        #expect(byte == 0)
        #expect(!reader.isValid)
    }
}
