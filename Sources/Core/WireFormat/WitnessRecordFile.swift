public import Basics
public import Quorum

/// What the witness stores for a group: one file, written beside and renamed (`Docs/Formats/witness.md`).
public struct WitnessRecordFile: Sendable, Hashable {
    /// The cluster that the group belongs to, as in `WitnessHello`.
    public var cluster: UInt64
    /// The group's name, so that a file that was moved or renamed is noticed.
    public var group: String
    public var record: ArbiterRecord
    /// The request that made the record; `none` after `init` or `reseed`. Repeated, it gets its grant again.
    public var granted: Mark
    /// Who asked for it; `nil` after `init` or `reseed`.
    public var asker: NodeIndex?
    /// Whether a node told of a newer record than this one.
    public var isRolledBack: Bool

    public init(
        cluster: UInt64, group: String, record: ArbiterRecord, granted: Mark, asker: NodeIndex?,
        isRolledBack: Bool
    ) {
        self.cluster = cluster
        self.group = group
        self.record = record
        self.granted = granted
        self.asker = asker
        self.isRolledBack = isRolledBack
    }
}

/// Why a witness's file was not read.
public enum WitnessRecordError: Error, Sendable, Hashable {
    /// A file of another length than `WitnessRecordFile.byteCount` bytes, or that begins otherwise.
    case foreign
    /// The checksum does not fit.
    case damaged
    case unsupportedVersion(found: UInt16, supported: UInt16)
    /// `unknown` has the bits of the feature word that this program does not know.
    case unsupportedFeatures(unknown: UInt16)
    /// The checksum fits and a value is none that the format allows.
    case malformed
}

extension WitnessRecordError: CustomStringConvertible {
    /// One sentence for the operator.
    public var description: String {
        switch self {
        case .foreign:
            "this is not a record of Tandem's witness, or it was cut short"
        case .damaged:
            "the witness's record is damaged: its checksum does not fit"
        case .unsupportedVersion(let found, let supported):
            "the witness's record has format version \(found) and this program reads version \(supported) only"
        case .unsupportedFeatures(let unknown):
            "the witness's record uses features that this program does not know"
                + " (bits 0x\(String(unknown, radix: 16)))"
        case .malformed:
            "the witness's record is whole but holds a value that the format does not allow"
        }
    }
}

extension WitnessRecordFile {
    /// The length of every file.
    public static let byteCount = 144
    /// The version that this program writes and reads.
    public static let version: UInt16 = 1
    /// The bits of the feature word that this program knows: none yet.
    public static let knownFeatures: UInt16 = 0
    /// "TdWR".
    private static let magic: UInt32 = 0x5464_5752
    private static let askerFlag: UInt8 = 1
    private static let rolledBackFlag: UInt8 = 2

    /// The file's bytes. A name that is none is the caller's fault.
    public func encoded() -> [UInt8] {
        precondition(WitnessMessage.isValid(groupName: group), "not a group's name")
        var writer = ByteWriter(capacity: Self.byteCount)
        writer.write(Self.magic)
        writer.write(0 as UInt32)
        writer.write(Self.version)
        writer.write(0 as UInt16)
        writer.write((asker == nil ? 0 : Self.askerFlag) | (isRolledBack ? Self.rolledBackFlag : 0))
        writer.write(asker?.rawValue ?? 0)
        writer.write(UInt8(group.utf8.count))
        writer.write(0 as UInt8)
        writer.write(cluster)
        record.encode(into: &writer)
        writer.write(granted)
        writer.write(group.utf8)
        writer.writeZeroes(Self.byteCount - writer.bytes.count)
        writer.store(Checksum.crc32c(writer.bytes, from: 8), at: 4)
        return writer.bytes
    }

    /// The contents of a file.
    public static func decode(_ bytes: [UInt8]) throws(WitnessRecordError) -> WitnessRecordFile {
        var reader = ByteReader(bytes)
        guard bytes.count == byteCount, reader.readUInt32() == magic else { throw .foreign }
        guard reader.readUInt32() == Checksum.crc32c(bytes, from: 8) else { throw .damaged }
        let found = reader.readUInt16()
        guard found == version else { throw .unsupportedVersion(found: found, supported: version) }
        let unknown = reader.readUInt16() & ~knownFeatures
        guard unknown == 0 else { throw .unsupportedFeatures(unknown: unknown) }
        let flags = reader.readUInt8()
        let asker = NodeIndex(rawValue: reader.readUInt8())
        let nameLength = Int(reader.readUInt8())
        reader.skip(1)
        let cluster = reader.readUInt64()
        let record = ArbiterRecord(from: &reader)
        let granted = reader.readMark()
        let name = String(validating: reader.readBytes(nameLength), as: UTF8.self)
        reader.skip(reader.remaining)
        guard reader.isComplete, let record, let name, WitnessMessage.isValid(groupName: name), let asker,
            flags & ~(askerFlag | rolledBackFlag) == 0, flags & askerFlag != 0 || asker == .first
        else { throw .malformed }
        return WitnessRecordFile(
            cluster: cluster, group: name, record: record, granted: granted,
            asker: flags & askerFlag == 0 ? nil : asker, isRolledBack: flags & rolledBackFlag != 0)
    }
}
