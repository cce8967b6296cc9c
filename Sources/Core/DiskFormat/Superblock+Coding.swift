import Basics
import Quorum

extension GenerationTuple {
    /// Older states that are kept.
    public static let historyMaximum = 2
}

extension Superblock {
    private static let hasRecord: UInt8 = 1
    private static let hasIntent: UInt8 = 2

    /// The block for a slot, `MetadataLayout.blockSize` bytes; of the history the newest two are kept.
    public func encoded(sequence: UInt64) -> [UInt8] {
        let history = generations.history.prefix(GenerationTuple.historyMaximum)
        var writer = BlockHeader.begin(.superblock, number: 0)
        writer.write(sequence)
        writer.write(size)
        writer.write(generations.current.rawValue)
        writer.write(generations.bitmap.rawValue)
        for index in 0..<GenerationTuple.historyMaximum {
            writer.write(index < history.count ? history[index].rawValue : 0)
        }
        writer.write(logCapacity)
        writer.write(ownership)
        writer.write(node.rawValue)
        writer.write(condition.rawValue)
        writer.write((record == nil ? 0 : Self.hasRecord) | (intent == nil ? 0 : Self.hasIntent))
        writer.write(UInt8(history.count))
        writer.writeZeroes(4)
        if let record { record.encode(into: &writer) } else { writer.writeZeroes(ArbiterRecord.byteCount) }
        if let intent { intent.encode(into: &writer) } else { writer.writeZeroes(ArbiterRequest.byteCount) }
        return BlockHeader.finish(writer)
    }

    /// The superblock of a slot and its sequence number.
    public static func decode(
        _ bytes: [UInt8]
    ) throws(DiskFormatError) -> (superblock: Superblock, sequence: UInt64) {
        var (number, reader) = try BlockHeader.open(bytes, as: .superblock)
        let sequence = reader.readUInt64()
        let size = reader.readUInt64()
        let current = Generation(rawValue: reader.readUInt64())
        let base = Generation(rawValue: reader.readUInt64())
        let older = [Generation(rawValue: reader.readUInt64()), Generation(rawValue: reader.readUInt64())]
        let logCapacity = reader.readUInt32()
        let ownership = reader.readUInt32()
        let node = NodeIndex(rawValue: reader.readUInt8())
        let condition = CopyCondition(rawValue: reader.readUInt8())
        let present = reader.readUInt8()
        let historyCount = Int(reader.readUInt8())
        reader.skip(4)
        guard MetadataLayout.isValid(volumeSize: size) else { throw .malformed(.superblock, .size) }
        guard 1...ActivityLogRing.capacityMaximum ~= Int(logCapacity) else {
            throw .malformed(.superblock, .logCapacity)
        }
        guard let node else { throw .malformed(.superblock, .node) }
        guard let condition else { throw .malformed(.superblock, .condition) }
        guard historyCount <= older.count, older[historyCount...].allSatisfy({ $0 == .none }) else {
            throw .malformed(.superblock, .generations)
        }
        guard reader.isValid else { throw .malformed(.superblock, .unused) }
        let record = try decodeRecord(isPresent: present & hasRecord != 0, from: &reader)
        let intent = try decodeIntent(isPresent: present & hasIntent != 0, from: &reader)
        reader.skip(reader.remaining)
        guard reader.isComplete, number == 0, present & ~(hasRecord | hasIntent) == 0 else {
            throw .malformed(.superblock, .unused)
        }
        let generations = GenerationTuple(
            current: current, bitmap: base, history: Array(older.prefix(historyCount)))
        let superblock = Superblock(
            size: size, node: node, logCapacity: logCapacity, generations: generations, condition: condition,
            record: record, intent: intent, ownership: ownership)
        return (superblock, sequence)
    }

    private static func decodeRecord(
        isPresent: Bool, from reader: inout ByteReader
    ) throws(DiskFormatError) -> ArbiterRecord? {
        guard isPresent else {
            reader.skip(ArbiterRecord.byteCount)
            guard reader.isValid else { throw .malformed(.superblock, .unused) }
            return nil
        }
        guard let record = ArbiterRecord(from: &reader) else { throw .malformed(.superblock, .record) }
        return record
    }

    private static func decodeIntent(
        isPresent: Bool, from reader: inout ByteReader
    ) throws(DiskFormatError) -> ArbiterRequest? {
        guard isPresent else {
            reader.skip(ArbiterRequest.byteCount)
            return nil
        }
        guard let intent = ArbiterRequest(from: &reader) else { throw .malformed(.superblock, .intent) }
        return intent
    }
}
