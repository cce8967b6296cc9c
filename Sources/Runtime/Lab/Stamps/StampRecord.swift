/// One line of a writer's log: what it was about to do, or what it was told.
///
/// 32 bytes in a file: kind and writer and errno in the first word, then block, sequence and time. One
/// write(2) in append mode each, so the log is whole up to the moment in which the writer was killed.
public struct StampRecord: Hashable, Sendable {
    /// What happened.
    public enum Kind: UInt8, Sendable {
        /// The device was opened, for the first time or again: what was not flushed before is not this
        /// flush's.
        case opened = 1
        /// A write is about to be issued.
        case writing, written, writeFailed
        /// A flush is about to be issued; `sequence` counts the flushes.
        case flushing, flushed, flushFailed
        /// The device could not be opened.
        case openFailed
        /// The writer is gone: what was in flight is not answered any more.
        case ended
    }

    public var kind: Kind
    public var writer: UInt16
    /// The errno of a failure.
    public var code: Int32 = 0
    public var block: UInt64 = 0
    public var sequence: UInt64 = 0
    /// Nanoseconds of the host's clock.
    public var time: UInt64

    public init(
        _ kind: Kind, writer: UInt16, block: UInt64 = 0, sequence: UInt64 = 0, time: UInt64, code: Int32 = 0
    ) {
        self.kind = kind
        self.writer = writer
        self.block = block
        self.sequence = sequence
        self.time = time
        self.code = code
    }

    /// Bytes of a record in a log.
    public static let size = 32

    /// The record in its 32 bytes.
    public var bytes: [UInt8] {
        let head = UInt64(kind.rawValue) | UInt64(writer) << 16 | UInt64(UInt32(bitPattern: code)) << 32
        return [head, block, sequence, time].flatMap { word in
            (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * UInt64($0))) }
        }
    }

    /// Reads 32 bytes; nil when they are no record.
    public init?(bytes: ArraySlice<UInt8>) {
        guard bytes.count == Self.size else { return nil }
        func word(_ index: Int) -> UInt64 {
            (0..<8).reduce(0) { $0 | UInt64(bytes[bytes.startIndex + index * 8 + $1]) << (8 * UInt64($1)) }
        }
        let head = word(0)
        guard let kind = Kind(rawValue: UInt8(truncatingIfNeeded: head)) else { return nil }
        self.init(
            kind, writer: UInt16(truncatingIfNeeded: head >> 16), block: word(1), sequence: word(2),
            time: word(3),
            code: Int32(truncatingIfNeeded: head >> 32))
    }

    /// All whole records of a log's bytes; a torn one at the end is what a killed writer leaves.
    public static func decode(_ bytes: [UInt8]) -> [StampRecord] {
        stride(from: 0, to: bytes.count - bytes.count % size, by: size).compactMap {
            StampRecord(bytes: bytes[$0..<$0 + size])
        }
    }
}
