import Basics

extension ActivityLogTransaction {
    /// The transaction's block, `MetadataLayout.blockSize` bytes. More entries than fit are the caller's fault.
    public func encoded() -> [UInt8] {
        precondition(updates.count <= Self.updateMaximum, "too many updates for one transaction")
        precondition(context.count <= Self.contextMaximum, "too long a context for one transaction")
        var writer = BlockHeader.begin(.activityLog, number: number)
        writer.write(UInt16(updates.count))
        writer.write(UInt16(context.count))
        writer.write(contextStart)
        writer.writeZeroes(14)
        for update in updates { writer.write(update.slot) }
        writer.write(repeatElement(0xFF, count: 2 * (Self.updateMaximum - updates.count)))
        for update in updates { writer.write(update.extent) }
        writer.write(repeatElement(0xFF, count: 4 * (Self.updateMaximum - updates.count)))
        for extent in context { writer.write(extent) }
        writer.write(repeatElement(0xFF, count: 4 * (Self.contextMaximum - context.count)))
        return BlockHeader.finish(writer)
    }

    /// The transaction of a block.
    public static func decode(_ bytes: [UInt8]) throws(DiskFormatError) -> ActivityLogTransaction {
        var (number, reader) = try BlockHeader.open(bytes, as: .activityLog)
        let updateCount = Int(reader.readUInt16())
        let contextCount = Int(reader.readUInt16())
        let contextStart = reader.readUInt16()
        reader.skip(14)
        guard updateCount <= updateMaximum, contextCount <= contextMaximum else {
            throw .malformed(.activityLog, .entryCount)
        }
        let slots = (0..<updateCount).map { _ in reader.readUInt16() }
        reader.skip(2 * (updateMaximum - updateCount), filler: 0xFF)
        let extents = (0..<updateCount).map { _ in reader.readUInt32() }
        reader.skip(4 * (updateMaximum - updateCount), filler: 0xFF)
        let context = (0..<contextCount).map { _ in reader.readUInt32() }
        reader.skip(4 * (contextMaximum - contextCount), filler: 0xFF)
        guard reader.isComplete else { throw .malformed(.activityLog, .unused) }
        return ActivityLogTransaction(
            number: number, updates: zip(slots, extents).map { Entry(slot: $0, extent: $1) },
            contextStart: contextStart, context: context)
    }
}
