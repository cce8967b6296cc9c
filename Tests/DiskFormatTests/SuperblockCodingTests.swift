import Basics
import DiskFormat
import Quorum
import Testing

@Suite struct SuperblockCodingTests {
    /// The checksum in it was computed by another program.
    static let dump = """
        54 64 53 42               | magic "TdSB"
        2D D7 92 7E               | CRC-32C of all that follows
        00 01  00 00              | version, features
        00 00 00 00               | number
        00 00 00 00 00 00 00 05   | sequence
        00 00 00 00 40 00 00 00   | size: 1 GiB
        00 00 00 00 00 00 00 A1   | current
        00 00 00 00 00 00 00 A2   | bitmap
        00 00 00 00 00 00 00 A3   | history 1
        00 00 00 00 00 00 00 A4   | history 2
        00 00 04 D5               | activity log slots: 1237
        CA FE F0 0D               | ownership
        01  02  03  02            | node, condition, record and intent present, history count
        00 00 00 00               | unused
        00 00 00 00 00 00 00 07   | record: epoch
        01 02 03 04 05 06 07 08   | record: grant
        09 0A 0B 0C 0D 0E 0F 10
        01  03  00*6              | record: holder, copies
        11 12 13 14 15 16 17 18   | intent: identifier
        19 1A 1B 1C 1D 1E 1F 20
        00 00 00 00 00 00 00 07   | intent: expected epoch
        01 02 03 04 05 06 07 08   | intent: expected grant
        09 0A 0B 0C 0D 0E 0F 10
        03  01  01  02  01  00*3  | intent: purpose, asker, holder, copies, restarted
        00*3936                   | unused
        """

    @Test("a superblock has the bytes of the table")
    func encodes() {
        #expect(Sample.superblock.encoded(sequence: 5) == hex(Self.dump))
    }

    @Test("the bytes of the table are read as a superblock")
    func decodes() throws {
        let (superblock, sequence) = try Superblock.decode(hex(Self.dump))
        #expect(superblock == Sample.superblock)
        #expect(sequence == 5)
    }

    @Test("a superblock without record, intent and history comes back as it was")
    func optionalFields() throws {
        for condition in CopyCondition.allCases {
            var superblock = Sample.superblock
            superblock.condition = condition
            superblock.record = nil
            superblock.generations.history = condition == .failed ? [] : [.none]
            #expect(try Superblock.decode(superblock.encoded(sequence: 1)).superblock == superblock)
            superblock.intent = nil
            superblock.record = Sample.record
            #expect(try Superblock.decode(superblock.encoded(sequence: .max)).superblock == superblock)
        }
    }

    @Test("of a long history the newest two are kept")
    func longHistory() throws {
        var superblock = Sample.superblock
        superblock.generations.history.append(Generation(rawValue: 0xA5))
        #expect(try Superblock.decode(superblock.encoded(sequence: 5)).superblock == Sample.superblock)
    }

    @Test("another version and unknown features are refused by name, whatever the rest says")
    func negotiation() {
        var block = Sample.superblock.encoded(sequence: 5)
        block[9] = 2
        #expect(
            failure { () throws(DiskFormatError) in _ = try Superblock.decode(Sample.sealed(block)) }
                == .unsupportedVersion(.superblock, found: 2, supported: 1))
        block[9] = 1
        block[10] = 0x80
        #expect(
            failure { () throws(DiskFormatError) in _ = try Superblock.decode(Sample.sealed(block)) }
                == .unsupportedFeatures(.superblock, unknown: 0x8000))
    }

    @Test(
        "a value that the format does not allow is refused by name",
        arguments: [
            (15, 1, MetadataField.unused), (31, 1, .size), (24, 1, .size), (66, 0x10, .logCapacity),
            (72, 2, .node), (73, 4, .condition), (74, 7, .unused),
            (75, 3, .generations), (75, 1, .generations), (76, 1, .unused), (79, 1, .unused),
            (104, 2, .record),
            (105, 4, .record), (105, 0, .record), (106, 1, .record), (152, 0, .intent), (152, 7, .intent),
            (153, 2, .intent), (154, 2, .intent), (155, 4, .intent), (156, 2, .intent), (157, 1, .intent),
            (160, 1, .unused), (4095, 1, .unused),
        ])
    func malformed(offset: Int, value: Int, field: MetadataField) {
        var block = Sample.superblock.encoded(sequence: 5)
        block[offset] = UInt8(value)
        let error = failure { () throws(DiskFormatError) in _ = try Superblock.decode(Sample.sealed(block)) }
        #expect(error == .malformed(.superblock, field))
    }

    @Test("bytes of a record or request that is not said to be there must be zero")
    func absentFields() {
        for present in [0, 1, 2] as [UInt8] {
            var block = Sample.superblock.encoded(sequence: 5)
            block[74] = present
            let error = failure { () throws(DiskFormatError) in
                _ = try Superblock.decode(Sample.sealed(block))
            }
            #expect(error == .malformed(.superblock, .unused))
        }
    }

    @Test("every error has a sentence without a word of Swift")
    func sentences() {
        let errors: [DiskFormatError] = [
            .wrongLength(.bitmap, found: 1, expected: 2), .foreign(.superblock), .damaged(.activityLog),
            .unsupportedVersion(.superblock, found: 9, supported: 1),
            .unsupportedFeatures(.superblock, unknown: 0x8000), .malformed(.superblock, .logCapacity),
            .neverInitialized, .contradictorySuperblocks, .incompleteLog,
        ]
        for error in errors { #expect(error.description.count > 30 && !error.description.contains("(.")) }
        #expect(
            errors[3].description
                == "the superblock has format version 9 and this program reads version 1 only")
    }
}
