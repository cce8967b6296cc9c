public import Basics

/// What a frame between two nodes is.
@frozen
public enum FrameKind: UInt8, Sendable, Hashable, CaseIterable {
    /// Data of a client's write; `span` bytes of payload.
    case write = 1
    /// A client's discard or write of zeroes: no payload.
    case zero = 2
    /// Data of a resync; `span` bytes of payload.
    case resync = 3
    /// A flush; the tag of the last flush that both copies completed travels in `offset`.
    case flush = 4
    /// The write, zero or resync frame of that tag is applied, or failed.
    case acknowledgement = 5
    /// The flush of that tag is durable, or failed.
    case flushDone = 6
    /// The payload is a `ControlFrame`.
    case control = 7
    /// A holder without a disk asks for what a range holds: no payload.
    case read = 8
    /// The answer to the read of that tag, with its range; `span` bytes of payload if `ok`, otherwise none.
    case readAnswer = 9
}

/// The longest things that a frame may carry or name, in bytes.
public enum FrameLimit {
    /// The payload and span of a write, resync, read or read-answer frame.
    public static let dataMaximum = UInt32(BlockSize.requestMaximum)
    /// The span of a zero frame: as many extents as one activity-log transaction can add.
    public static let zeroSpanMaximum = UInt32(64 * BlockSize.extent)
    /// The payload of a control frame.
    public static let controlMaximum: UInt32 = 64 << 10
    /// Where a range of a frame must end: no volume is larger.
    public static let volumeSizeMaximum: UInt64 = 1 << 50
}

/// The 64 bytes that every frame begins with (`Docs/Formats/wire.md`).
@frozen
public struct FrameHeader: Sendable, Hashable {
    public var kind: FrameKind
    /// Names the request; an answer echoes it. 0 in control frames.
    public var tag: UInt64
    /// Where the range begins in the volume; in a flush the last settled flush's tag; otherwise 0.
    public var offset: UInt64
    /// Bytes of the volume that the request covers; 0 where there is no range.
    public var span: UInt32
    /// Bytes that follow the header.
    public var payloadLength: UInt32
    /// Whether the request succeeded; false in frames that are no answer.
    public var ok: Bool
    /// The grant that the frame was sent under.
    public var stamp: EpochStamp
    /// CRC-32C of the header's first `checksummedByteCount` bytes and then the payload; 0 in sealed transport.
    public var checksum: UInt32

    /// How many bytes a header takes.
    public static let byteCount = 64
    /// How many of them, from the first, the checksum covers: all but itself.
    public static let checksummedByteCount = 60

    public init(
        kind: FrameKind, tag: UInt64, offset: UInt64, span: UInt32, payloadLength: UInt32, ok: Bool,
        stamp: EpochStamp, checksum: UInt32 = 0
    ) {
        self.kind = kind
        self.tag = tag
        self.offset = offset
        self.span = span
        self.payloadLength = payloadLength
        self.ok = ok
        self.stamp = stamp
        self.checksum = checksum
    }

    /// The range of a write, zero, resync, read or read-answer frame.
    public var range: ByteRange { ByteRange(offset: offset, length: UInt64(span)) }

    /// What is not allowed in this header, if anything: a sender never sends such, a receiver ends the connection.
    public var violation: FrameError? {
        switch kind {
        case .write, .resync:
            if span > FrameLimit.dataMaximum { return Self.tooLong(span, FrameLimit.dataMaximum) }
            return isRangeValid && payloadLength == span && !ok ? nil : .malformed
        case .read:
            if span > FrameLimit.dataMaximum { return Self.tooLong(span, FrameLimit.dataMaximum) }
            return isRangeValid && payloadLength == 0 && !ok ? nil : .malformed
        case .readAnswer:
            if span > FrameLimit.dataMaximum { return Self.tooLong(span, FrameLimit.dataMaximum) }
            return isRangeValid && payloadLength == (ok ? span : 0) ? nil : .malformed
        case .zero:
            if span > FrameLimit.zeroSpanMaximum { return Self.tooLong(span, FrameLimit.zeroSpanMaximum) }
            return isRangeValid && payloadLength == 0 && !ok ? nil : .malformed
        case .flush:
            return span == 0 && payloadLength == 0 && !ok ? nil : .malformed
        case .acknowledgement, .flushDone:
            return offset == 0 && span == 0 && payloadLength == 0 ? nil : .malformed
        case .control:
            if payloadLength > FrameLimit.controlMaximum {
                return Self.tooLong(payloadLength, FrameLimit.controlMaximum)
            }
            return tag == 0 && offset == 0 && span == 0 && payloadLength > 0 && !ok ? nil : .malformed
        }
    }

    private var isRangeValid: Bool {
        span > 0 && offset <= FrameLimit.volumeSizeMaximum
            && offset + UInt64(span) <= FrameLimit.volumeSizeMaximum
    }

    private static func tooLong(_ found: UInt32, _ maximum: UInt32) -> FrameError {
        .tooLong(found: UInt64(found), maximum: UInt64(maximum))
    }
}

extension FrameHeader {
    /// The header of a write: `range` has 1 byte to 1 MiB.
    public static func write(_ range: ByteRange, tag: UInt64, stamp: EpochStamp) -> FrameHeader {
        data(.write, range, tag: tag, stamp: stamp)
    }

    /// The header of a resync frame: `range` has 1 byte to 1 MiB.
    public static func resync(_ range: ByteRange, tag: UInt64, stamp: EpochStamp) -> FrameHeader {
        data(.resync, range, tag: tag, stamp: stamp)
    }

    /// The header of a zero frame: `range` has 1 byte to `FrameLimit.zeroSpanMaximum`.
    public static func zero(_ range: ByteRange, tag: UInt64, stamp: EpochStamp) -> FrameHeader {
        FrameHeader(
            kind: .zero, tag: tag, offset: range.offset, span: UInt32(range.length), payloadLength: 0,
            ok: false,
            stamp: stamp)
    }

    /// The header of a read: `range` has 1 byte to 1 MiB.
    public static func read(_ range: ByteRange, tag: UInt64, stamp: EpochStamp) -> FrameHeader {
        FrameHeader(
            kind: .read, tag: tag, offset: range.offset, span: UInt32(range.length), payloadLength: 0,
            ok: false, stamp: stamp)
    }

    /// The header of the answer to a read, with that read's tag and range; without payload if not `ok`.
    public static func readAnswer(
        _ range: ByteRange, tag: UInt64, ok: Bool, stamp: EpochStamp
    ) -> FrameHeader {
        FrameHeader(
            kind: .readAnswer, tag: tag, offset: range.offset, span: UInt32(range.length),
            payloadLength: ok ? UInt32(range.length) : 0, ok: ok, stamp: stamp)
    }

    /// The header of a flush; `settled` is the tag of the last flush that both copies completed.
    public static func flush(tag: UInt64, settled: UInt64, stamp: EpochStamp) -> FrameHeader {
        FrameHeader(
            kind: .flush, tag: tag, offset: settled, span: 0, payloadLength: 0, ok: false, stamp: stamp)
    }

    /// The header of the answer to a write, zero or resync frame.
    public static func acknowledgement(tag: UInt64, ok: Bool, stamp: EpochStamp) -> FrameHeader {
        FrameHeader(
            kind: .acknowledgement, tag: tag, offset: 0, span: 0, payloadLength: 0, ok: ok, stamp: stamp)
    }

    /// The header of the answer to a flush.
    public static func flushDone(tag: UInt64, ok: Bool, stamp: EpochStamp) -> FrameHeader {
        FrameHeader(kind: .flushDone, tag: tag, offset: 0, span: 0, payloadLength: 0, ok: ok, stamp: stamp)
    }

    /// The header of a control frame.
    public static func control(payloadLength: UInt32, stamp: EpochStamp) -> FrameHeader {
        FrameHeader(
            kind: .control, tag: 0, offset: 0, span: 0, payloadLength: payloadLength, ok: false, stamp: stamp)
    }

    private static func data(
        _ kind: FrameKind, _ range: ByteRange, tag: UInt64, stamp: EpochStamp
    ) -> FrameHeader {
        FrameHeader(
            kind: kind, tag: tag, offset: range.offset, span: UInt32(range.length),
            payloadLength: UInt32(range.length), ok: false, stamp: stamp)
    }
}
