import Basics
import Quorum

extension ControlFrame {
    /// Generations of history in a hello or at a resync's end.
    public static let historyMaximum = 2
    /// Words in the largest bitmap: of 1 PiB.
    static let bitmapWordLimit: UInt64 = 1 << 32

    private enum Code: UInt8 {
        case hello = 1
        case bitmap, bitmapEnd, resyncReady, resyncDone, resyncDoneStored
        case record, handOverWanted, handOverRefused, ping, alive, goodbye
    }

    /// The payload of the frame that carries this; at most `FrameLimit.controlMaximum` bytes.
    public func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: 64)
        switch self {
        case .hello(let hello):
            writer.write(Code.hello.rawValue)
            hello.encode(into: &writer)
        case .bitmap(let start, let words):
            precondition(words.count <= Self.bitmapWordsMaximum, "too many bitmap words for one frame")
            writer = ByteWriter(capacity: 8 + 8 * words.count)
            writer.write(Code.bitmap.rawValue)
            writer.write(start)
            writer.write(UInt16(words.count))
            for word in words { writer.write(word) }
        case .bitmapEnd: writer.write(Code.bitmapEnd.rawValue)
        case .resyncReady: writer.write(Code.resyncReady.rawValue)
        case .resyncDone(let current, let history):
            writer.write(Code.resyncDone.rawValue)
            writer.write(current.rawValue)
            Self.encode(history: history, into: &writer)
        case .resyncDoneStored: writer.write(Code.resyncDoneStored.rawValue)
        case .record(let record):
            writer.write(Code.record.rawValue)
            record.encode(into: &writer)
        case .handOverWanted: writer.write(Code.handOverWanted.rawValue)
        case .handOverRefused: writer.write(Code.handOverRefused.rawValue)
        case .ping(let nonce):
            writer.write(Code.ping.rawValue)
            writer.write(nonce)
        case .alive(let nonce):
            writer.write(Code.alive.rawValue)
            writer.write(nonce)
        case .goodbye(let reason):
            writer.write(Code.goodbye.rawValue)
            writer.write(reason)
        }
        return writer.bytes
    }

    /// A whole frame, header and payload, as one array; `checksummed` for plain transport.
    public func frame(stamp: EpochStamp, checksummed: Bool) -> [UInt8] {
        let payload = encoded()
        return FrameHeader.control(payloadLength: UInt32(payload.count), stamp: stamp)
            .frame(payload: payload, checksummed: checksummed)
    }

    /// The control frame of a payload. Every count is bounded; bytes too few or too many are refused.
    public static func decode(_ payload: [UInt8]) throws(FrameError) -> ControlFrame {
        guard payload.count <= FrameLimit.controlMaximum else {
            throw .tooLong(found: UInt64(payload.count), maximum: UInt64(FrameLimit.controlMaximum))
        }
        guard let first = payload.first else { throw .malformed }
        guard let code = Code(rawValue: first) else { throw .unknownKind(first) }
        var reader = ByteReader(payload, from: 1)
        let frame: ControlFrame?
        switch code {
        case .hello: frame = try Hello(from: &reader).map { .hello($0) }
        case .bitmap: frame = try decodeBitmap(from: &reader)
        case .bitmapEnd: frame = .bitmapEnd
        case .resyncReady: frame = .resyncReady
        case .resyncDone:
            let current = Generation(rawValue: reader.readUInt64())
            frame = .resyncDone(current: current, history: try decodeHistory(from: &reader))
        case .resyncDoneStored: frame = .resyncDoneStored
        case .record: frame = ArbiterRecord(from: &reader).map { .record($0) }
        case .handOverWanted: frame = .handOverWanted
        case .handOverRefused: frame = .handOverRefused
        case .ping: frame = .ping(nonce: reader.readUInt64())
        case .alive: frame = .alive(nonce: reader.readUInt64())
        case .goodbye: frame = .goodbye(reason: reader.readUInt8())
        }
        guard let frame, reader.isComplete else { throw .malformed }
        return frame
    }

    private static func decodeBitmap(from reader: inout ByteReader) throws(FrameError) -> ControlFrame {
        let start = reader.readUInt32()
        let count = Int(reader.readUInt16())
        guard count <= bitmapWordsMaximum else {
            throw .tooLong(found: UInt64(count), maximum: UInt64(bitmapWordsMaximum))
        }
        guard UInt64(start) + UInt64(count) <= bitmapWordLimit, reader.remaining == 8 * count else {
            throw .malformed
        }
        return .bitmap(start: start, words: (0..<count).map { _ in reader.readUInt64() })
    }

    fileprivate static func encode(history: [Generation], into writer: inout ByteWriter) {
        let kept = history.prefix(historyMaximum)
        writer.write(UInt8(kept.count))
        for generation in kept { writer.write(generation.rawValue) }
    }

    fileprivate static func decodeHistory(from reader: inout ByteReader) throws(FrameError) -> [Generation] {
        let count = Int(reader.readUInt8())
        guard count <= historyMaximum else {
            throw .tooLong(found: UInt64(count), maximum: UInt64(historyMaximum))
        }
        return (0..<count).map { _ in Generation(rawValue: reader.readUInt64()) }
    }
}

extension Hello {
    private static let primaryFlag: UInt8 = 1
    private static let restartedFlag: UInt8 = 2
    private static let recordFlag: UInt8 = 4

    fileprivate func encode(into writer: inout ByteWriter) {
        ProtocolVersion.encode(into: &writer)
        writer.write(node.rawValue)
        writer.write(
            (isPrimary ? Self.primaryFlag : 0) | (isRestarted ? Self.restartedFlag : 0)
                | (record == nil ? 0 : Self.recordFlag))
        writer.write(condition)
        writer.write(size)
        writer.write(dirtyBlocks)
        writer.write(unflushedBlocks)
        writer.write(current.rawValue)
        writer.write(bitmap.rawValue)
        ControlFrame.encode(history: history, into: &writer)
        record?.encode(into: &writer)
    }

    /// Version and features are looked at before anything else.
    fileprivate init?(from reader: inout ByteReader) throws(FrameError) {
        try ProtocolVersion.check(&reader)
        let node = NodeIndex(rawValue: reader.readUInt8())
        let flags = reader.readUInt8()
        let condition = reader.readUInt8()
        let size = reader.readUInt64()
        let dirtyBlocks = reader.readUInt64()
        let unflushedBlocks = reader.readUInt64()
        let current = Generation(rawValue: reader.readUInt64())
        let bitmap = Generation(rawValue: reader.readUInt64())
        let history = try ControlFrame.decodeHistory(from: &reader)
        let record = flags & Self.recordFlag == 0 ? nil : ArbiterRecord(from: &reader)
        guard reader.isValid, let node,
            flags & ~(Self.primaryFlag | Self.restartedFlag | Self.recordFlag) == 0
        else { return nil }
        self.init(
            node: node, size: size, record: record, current: current, bitmap: bitmap, history: history,
            condition: condition, isPrimary: flags & Self.primaryFlag != 0,
            isRestarted: flags & Self.restartedFlag != 0, dirtyBlocks: dirtyBlocks,
            unflushedBlocks: unflushedBlocks)
    }
}
