import Basics
import Quorum
import Testing
import WireFormat

@Suite struct WitnessRecordFileTests {
    /// The checksum in it was computed by another program.
    static let dump = """
        54 64 57 52               | magic "TdWR"
        61 BE 64 13               | CRC-32C of all that follows
        00 01  00 00              | version, features
        03  01  05  00            | flags: asker, rolled back; asker; length of name; unused
        00 00 00 00 00 00 00 C1   | cluster
        00 00 00 00 00 00 00 07   | record: epoch
        01 02 03 04 05 06 07 08   | record: grant
        09 0A 0B 0C 0D 0E 0F 10
        01 03 00*6                | record: holder, copies
        00*7 11 00*7 12           | identifier of the request that was granted
        66 69 6C 65 73 00*59      | name: "files"
        00*8                      | unused
        """

    private func error(_ bytes: [UInt8]) -> WitnessRecordError? {
        failure { () throws(WitnessRecordError) in _ = try WitnessRecordFile.decode(bytes) }
    }

    @Test("a file has the bytes of the table, both ways")
    func table() throws {
        #expect(hex(Self.dump).count == WitnessRecordFile.byteCount)
        #expect(Sample.file.encoded() == hex(Self.dump))
        #expect(try WitnessRecordFile.decode(hex(Self.dump)) == Sample.file)
    }

    @Test("a record that init made comes back, and so does the longest name")
    func variants() throws {
        var file = Sample.file
        file.asker = nil
        file.granted = .none
        file.isRolledBack = false
        file.group = String(repeating: "x", count: 64)
        #expect(try WitnessRecordFile.decode(file.encoded()) == file)
        file.asker = .first
        #expect(try WitnessRecordFile.decode(file.encoded()) == file)
    }

    @Test("every truncation and every flipped bit is refused")
    func damage() {
        let bytes = Sample.file.encoded()
        for length in 0..<bytes.count { #expect(error(Array(bytes[..<length])) == .foreign) }
        #expect(error(bytes + [0]) == .foreign)
        for bit in 0..<bytes.count * 8 {
            var flipped = bytes
            flipped[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(error(flipped) == (bit < 32 ? .foreign : .damaged))
        }
    }

    @Test("another version, unknown features and values that are none are told apart")
    func refusals() {
        func changed(_ offset: Int, _ value: UInt8) -> WitnessRecordError? {
            var bytes = Sample.file.encoded()
            bytes[offset] = value
            let checksum = Checksum.crc32c(bytes, from: 8)
            for index in 0..<4 {
                bytes[4 + index] = UInt8(truncatingIfNeeded: checksum >> UInt32(24 - 8 * index))
            }
            return error(bytes)
        }
        #expect(changed(9, 2) == .unsupportedVersion(found: 2, supported: 1))
        #expect(changed(10, 1) == .unsupportedFeatures(unknown: 256))
        let malformed: [(Int, UInt8)] = [
            (12, 4), (12, 2), (13, 2), (14, 0), (14, 4), (14, 6), (14, 65), (14, 255), (15, 1), (48, 2),
            (49, 0),
            (49, 4), (55, 1), (72, 0x2F), (72, 0xFF), (135, 1), (143, 1),
        ]
        for (offset, value) in malformed { #expect(changed(offset, value) == .malformed, "byte \(offset)") }
        for error in [.foreign, .damaged, .malformed, .unsupportedFeatures(unknown: 1)]
            as [WitnessRecordError]
        {
            #expect(error.description.count > 30 && !error.description.contains("(."))
        }
    }
}
