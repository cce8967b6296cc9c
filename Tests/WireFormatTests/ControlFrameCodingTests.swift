import Basics
import Testing
import WireFormat

@Suite struct ControlFrameCodingTests {
    static let helloDump = """
        01                        | kind: hello
        00 02  00 00 00 00        | version, features
        01  05  02                | node, flags: primary, record; condition
        00 00 00 00 40 00 00 00   | size
        00 00 00 00 00 00 00 21   | dirty blocks
        00 00 00 00 00 00 00 22   | unflushed blocks
        00 00 00 00 00 00 00 A1   | current
        00 00 00 00 00 00 00 A2   | bitmap
        01 00 00 00 00 00 00 00 A3 | history: count, generations
        00 00 00 00 00 00 00 07   | record: epoch
        01 02 03 04 05 06 07 08   | record: grant
        09 0A 0B 0C 0D 0E 0F 10
        01 03 00*6                | record: holder, copies
        """

    @Test("a hello has the bytes of the table, both ways")
    func hello() throws {
        #expect(ControlFrame.hello(Sample.hello).encoded() == hex(Self.helloDump))
        #expect(try ControlFrame.decode(hex(Self.helloDump)) == .hello(Sample.hello))
    }

    @Test("the other control frames have the bytes of the table, both ways")
    func table() throws {
        let rows: [(ControlFrame, String)] = [
            (.bitmap(start: 0x0102_0304, words: [1, .max]), "02 01 02 03 04 00 02 00*7 01 FF*8"),
            (.bitmapEnd, "03"), (.resyncReady, "04"),
            (
                .resyncDone(current: Generation(rawValue: 9), history: [Generation(rawValue: 8)]),
                "05 00*7 09 01 00*7 08"
            ),
            (.resyncDoneStored, "06"),
            (.record(Sample.record), "07 00*7 07 01 02 03 04 05 06 07 08 09 0A 0B 0C 0D 0E 0F 10 01 03 00*6"),
            (.handOverWanted, "08"), (.handOverRefused, "09"), (.ping(nonce: 0x0102), "0A 00*6 01 02"),
            (.alive(nonce: 3), "0B 00*7 03"), (.goodbye(reason: 8), "0C 08"),
        ]
        for (frame, bytes) in rows {
            #expect(frame.encoded() == hex(bytes))
            #expect(try ControlFrame.decode(hex(bytes)) == frame)
        }
    }

    @Test(
        "every control frame comes back, also in a whole frame, and fits its limit",
        arguments: Sample.controls.indices)
    func everyFrame(_ index: Int) throws {
        let frame = Sample.controls[index]
        let payload = frame.encoded()
        #expect(payload.count <= Int(FrameLimit.controlMaximum))
        #expect(try ControlFrame.decode(payload) == frame)
        let (header, read) = try FrameHeader.decodeChecksummed(
            frame.frame(stamp: Sample.stamp, checksummed: true))
        #expect(header.kind == .control && header.stamp == Sample.stamp && read == payload)
        #expect(try FrameHeader.decode(frame.frame(stamp: Sample.stamp, checksummed: false)).checksum == 0)
    }

    @Test("every truncation and any byte after the end is refused", arguments: Sample.controls.indices)
    func truncated(_ index: Int) {
        let frame = Sample.controls[index]
        let payload = frame.encoded()
        let lengths = payload.count < 500 ? Array(0..<payload.count) : [0, 1, 5, 6, 7, 8, payload.count - 1]
        for length in lengths { #expect(controlError(Array(payload[..<length])) == .malformed) }
        #expect(controlError(payload + [0]) == .malformed)
    }

    @Test("another version or unknown features in a hello are refused with both numbers, whatever follows")
    func negotiation() {
        #expect(controlError(hex("01 00 01 00*4")) == .unsupportedVersion(theirs: 1, ours: 2))
        #expect(
            controlError(hex("01 00 02 80 00 00 01 FF*9"))
                == .unsupportedFeatures(theirs: 0x8000_0001, ours: 0))
        #expect(
            FrameError.unsupportedVersion(theirs: 2, ours: 1).description
                == "the other side speaks protocol version 2 and this one version 1")
    }

    @Test("counts beyond their maximum and values that are none are refused")
    func bounds() {
        #expect(controlError(hex("00")) == .unknownKind(0))
        #expect(controlError(hex("0D")) == .unknownKind(13))
        #expect(controlError(hex("02 00*4 10 01")) == .tooLong(found: 4097, maximum: 4096))
        #expect(controlError(hex("02 FF*4 00 02 00*16")) == .malformed)
        #expect(controlError(hex("05 00*8 03 00*24")) == .tooLong(found: 3, maximum: 2))
        #expect(controlError([UInt8](repeating: 3, count: 65537)) == .tooLong(found: 65537, maximum: 65536))
        for (offset, value) in [(7, 2), (8, 8), (8, 1 | 16)] as [(Int, UInt8)] {
            var payload = hex(Self.helloDump)
            payload[offset] = value
            #expect(controlError(payload) == .malformed)
        }
    }

    @Test("every error has a sentence without a word of Swift")
    func sentences() {
        let errors: [FrameError] = [
            .foreign, .unsupportedVersion(theirs: 2, ours: 1), .unsupportedFeatures(theirs: 1, ours: 0),
            .unknownKind(9), .tooLong(found: 2, maximum: 1), .malformed, .damaged,
        ]
        for error in errors { #expect(error.description.count > 30 && !error.description.contains("(.")) }
    }
}
