import Basics
import Testing
import WireFormat

@Suite struct FrameHeaderTests {
    /// The checksum in it was computed by another program.
    static let dump = """
        54 64 46 72               | magic "TdFr"
        02  01  00 00             | version, kind, flags
        00 00 00 05               | payload length
        00 00 00 05               | span
        00 00 00 00 00 00 00 99   | tag
        00 00 00 01 00 00 02 00   | offset
        00 00 00 00 00 00 00 07   | epoch
        09 0A 0B 0C 0D 0E 0F 10   | grant, low half
        00*12                     | unused
        B7 5E 61 04               | CRC-32C of the 60 bytes before and the payload
        68 65 6C 6C 6F            | payload
        """

    @Test("a write frame of plain transport has the bytes of the table, both ways")
    func table() throws {
        let payload = Array("hello".utf8)
        #expect(Sample.headers[0].frame(payload: payload, checksummed: true) == hex(Self.dump))
        let (header, read) = try FrameHeader.decodeChecksummed(hex(Self.dump))
        #expect(read == payload)
        var expected = Sample.headers[0]
        expected.checksum = header.checksum
        #expect(header == expected && header.checksum != 0 && header.range == Sample.range)
    }

    @Test("an acknowledgement has the bytes of the table")
    func acknowledgement() {
        let dump = """
            54 64 46 72  02  05  00 01 | magic, version, kind, flags: ok
            00*8                       | no payload, no span
            00*7 99                    | tag
            00*8                       | no offset
            00*7 07                    | epoch
            09 0A 0B 0C 0D 0E 0F 10    | grant, low half
            00*12                      | unused
            00*4                       | no checksum in sealed transport
            """
        #expect(FrameHeader.acknowledgement(tag: 0x99, ok: true, stamp: Sample.stamp).encoded() == hex(dump))
    }

    @Test("a read has the bytes of the table, and so has its answer, with and without the data")
    func reads() {
        func dump(_ kind: String, _ ok: String, _ payload: String) -> String {
            """
            54 64 46 72  02  \(kind)  00 \(ok) | magic, version, kind, flags
            00 00 00 \(payload)         | payload length
            00 00 00 05                | span
            00*7 99                    | tag
            00 00 00 01 00 00 02 00    | offset
            00*7 07                    | epoch
            09 0A 0B 0C 0D 0E 0F 10    | grant, low half
            00*16                      | unused, no checksum in sealed transport
            """
        }
        let (range, stamp) = (Sample.range, Sample.stamp)
        #expect(FrameHeader.read(range, tag: 0x99, stamp: stamp).encoded() == hex(dump("08", "00", "00")))
        let answer = FrameHeader.readAnswer(range, tag: 0x99, ok: true, stamp: stamp)
        #expect(answer.encoded() == hex(dump("09", "01", "05")))
        let failed = FrameHeader.readAnswer(range, tag: 0x99, ok: false, stamp: stamp)
        #expect(failed.encoded() == hex(dump("09", "00", "00")))
    }

    @Test("every kind of header comes back as it was, and has its number", arguments: Sample.headers)
    func everyKind(_ header: FrameHeader) throws {
        var header = header
        header.checksum = 0xDEAD_BEEF
        #expect(header.violation == nil)
        #expect(header.encoded().count == FrameHeader.byteCount)
        #expect(try FrameHeader.decode(header.encoded()) == header)
        #expect(header.encoded()[5] == header.kind.rawValue)
    }

    @Test("the longest data and zero frames are allowed, one byte more is not")
    func limits() {
        func error(_ header: FrameHeader) -> FrameError? { headerError(header.encoded()) }
        for length in [1, 1 << 20] as [UInt64] {
            let range = ByteRange(offset: (1 << 50) - length, length: length)
            #expect(error(.write(range, tag: 1, stamp: Sample.stamp)) == nil)
            #expect(error(.resync(range, tag: 1, stamp: Sample.stamp)) == nil)
            #expect(error(.read(range, tag: 1, stamp: Sample.stamp)) == nil)
            #expect(error(.readAnswer(range, tag: 1, ok: true, stamp: Sample.stamp)) == nil)
        }
        let long = ByteRange(offset: 0, length: (1 << 20) + 1)
        #expect(
            error(.write(long, tag: 1, stamp: Sample.stamp))
                == .tooLong(found: (1 << 20) + 1, maximum: 1 << 20))
        #expect(
            error(.resync(long, tag: 1, stamp: Sample.stamp))
                == .tooLong(found: (1 << 20) + 1, maximum: 1 << 20))
        #expect(
            error(.read(long, tag: 1, stamp: Sample.stamp))
                == .tooLong(found: (1 << 20) + 1, maximum: 1 << 20))
        #expect(
            error(.readAnswer(long, tag: 1, ok: true, stamp: Sample.stamp))
                == .tooLong(found: (1 << 20) + 1, maximum: 1 << 20))
        let zero = ByteRange(offset: 0, length: 256 << 20)
        #expect(error(.zero(zero, tag: 1, stamp: Sample.stamp)) == nil)
        #expect(
            error(.zero(ByteRange(offset: 0, length: zero.length + 1), tag: 1, stamp: Sample.stamp))
                == .tooLong(found: zero.length + 1, maximum: zero.length))
        #expect(error(.control(payloadLength: 65536, stamp: Sample.stamp)) == nil)
        #expect(
            error(.control(payloadLength: 65537, stamp: Sample.stamp))
                == .tooLong(found: 65537, maximum: 65536))
        #expect(error(.control(payloadLength: 0, stamp: Sample.stamp)) == .malformed)
        for offset in [(1 << 50) - 4, .max, .max - 4] as [UInt64] {
            let range = ByteRange(offset: offset, length: 5)
            #expect(error(.write(range, tag: 1, stamp: Sample.stamp)) == .malformed)
            #expect(error(.zero(range, tag: 1, stamp: Sample.stamp)) == .malformed)
        }
        let empty = ByteRange(offset: 0, length: 0)
        #expect(error(.write(empty, tag: 1, stamp: Sample.stamp)) == .malformed)
        #expect(error(.zero(empty, tag: 1, stamp: Sample.stamp)) == .malformed)
    }

    @Test("a field that a kind of frame does not have must be zero", arguments: Sample.headers)
    func foreignFields(_ header: FrameHeader) {
        let violations: [(FrameKind) -> Bool] = [
            { _ in true }, { $0 != .acknowledgement && $0 != .flushDone && $0 != .readAnswer },
            { [.acknowledgement, .flushDone, .control].contains($0) }, { $0 == .control },
        ]
        let changes: [(inout FrameHeader) -> Void] = [
            { $0.payloadLength += $0.kind == .control ? 1 << 20 : 1 }, { $0.ok = true }, { $0.offset = 1 },
            { $0.tag = 1 },
        ]
        for (applies, change) in zip(violations, changes) {
            var changed = header
            change(&changed)
            #expect((headerError(changed.encoded()) != nil) == applies(header.kind))
        }
        var spanning = header
        spanning.span += 1
        #expect((headerError(spanning.encoded()) != nil) == (![.zero, .read].contains(header.kind)))
    }

    @Test("what is not ours, another version, another kind and unused bits are told apart")
    func refusals() {
        let bytes = Sample.headers[4].encoded()
        func changed(_ offset: Int, _ value: UInt8) -> FrameError? {
            var bytes = bytes
            bytes[offset] = value
            return headerError(bytes)
        }
        #expect(changed(0, 0x55) == .foreign)
        #expect(changed(4, 1) == .unsupportedVersion(theirs: 1, ours: 2))
        #expect(changed(5, 0) == .unknownKind(0))
        #expect(changed(5, 10) == .unknownKind(10))
        #expect(changed(6, 1) == .malformed)
        #expect(changed(7, 2) == .malformed)
        for offset in 48..<60 { #expect(changed(offset, 1) == .malformed) }
        for length in 0..<64 { #expect(headerError(Array(bytes[..<length])) == .malformed) }
    }

    @Test("every flipped bit and every truncation of a plain frame is refused")
    func damage() {
        let frame = hex(Self.dump)
        func isTaken(_ bytes: [UInt8]) -> Bool {
            failure { () throws(FrameError) in _ = try FrameHeader.decodeChecksummed(bytes) } == nil
        }
        #expect(isTaken(frame))
        for bit in 0..<frame.count * 8 {
            var flipped = frame
            flipped[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(!isTaken(flipped), "bit \(bit)")
        }
        for length in 0..<frame.count { #expect(!isTaken(Array(frame[..<length]))) }
        #expect(!isTaken(frame + [0]))
    }
}
