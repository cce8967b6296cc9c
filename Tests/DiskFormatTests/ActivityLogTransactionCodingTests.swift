import DiskFormat
import Testing

@Suite struct ActivityLogTransactionCodingTests {
    /// The checksum in it was computed by another program.
    static let dump = """
        54 64 41 4C               | magic "TdAL"
        3A F2 C8 1E               | CRC-32C of all that follows
        00 01  00 00              | version, features
        00 00 01 02               | transaction number
        00 02  00 02  00 02       | count of updates, size of context, first slot of context
        00*14                     | unused
        00 03  00 04  FF*124      | 64 slot numbers
        00 00 00 20  FF FF FF FF  | 64 extent numbers
        FF*248
        00 00 00 10  00 00 00 20  | 919 extents of the context
        FF*3668
        """

    @Test("a transaction has the bytes of the table, both ways")
    func table() throws {
        #expect(hex(Self.dump).count == 4096)
        #expect(Sample.transaction.encoded() == hex(Self.dump))
        #expect(try ActivityLogTransaction.decode(hex(Self.dump)) == Sample.transaction)
    }

    @Test("the fullest and the emptiest transaction come back as they were")
    func extremes() throws {
        let full = ActivityLogTransaction(
            number: .max, updates: (0..<64).map { .init(slot: $0, extent: UInt32($0) << 20) },
            contextStart: 2757, context: (0..<919).map { $0 * 4_000_000 })
        #expect(try ActivityLogTransaction.decode(full.encoded()) == full)
        let empty = ActivityLogTransaction(number: 0, updates: [], contextStart: 0, context: [])
        #expect(try ActivityLogTransaction.decode(empty.encoded()) == empty)
    }

    @Test(
        "counts and unused bytes that the format does not allow are refused",
        arguments: [
            (17, 65, MetadataField.entryCount), (16, 1, .entryCount), (18, 4, .entryCount), (17, 1, .unused),
            (19, 1, .unused), (22, 1, .unused), (35, 1, .unused), (163, 0, .unused), (419, 0, .unused),
            (4095, 0, .unused),
        ])
    func malformed(offset: Int, value: Int, field: MetadataField) {
        var block = Sample.transaction.encoded()
        block[offset] = UInt8(value)
        #expect(
            failure { () throws(DiskFormatError) in
                _ = try ActivityLogTransaction.decode(Sample.sealed(block))
            } == .malformed(.activityLog, field))
    }
}
