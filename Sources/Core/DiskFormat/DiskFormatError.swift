/// The kinds of block that the metadata file is made of.
public enum DiskBlock: UInt8, Sendable, Hashable, CaseIterable {
    case superblock
    case activityLog
    case bitmap
}

/// Why metadata was not read. Each case's text says in a sentence what was found.
public enum DiskFormatError: Error, Sendable, Hashable {
    /// A block of another length than `MetadataLayout.blockSize` bytes, or a ring of another number of blocks.
    case wrongLength(DiskBlock, found: Int, expected: Int)
    /// The block does not begin as Tandem's blocks do: the file is something else.
    case foreign(DiskBlock)
    /// The checksum does not fit: the block was torn or altered.
    case damaged(DiskBlock)
    case unsupportedVersion(DiskBlock, found: UInt16, supported: UInt16)
    /// `unknown` has the bits of the feature word that this program does not know.
    case unsupportedFeatures(DiskBlock, unknown: UInt16)
    /// The checksum fits and a value is none that the format allows.
    case malformed(DiskBlock, MetadataField)
    /// Both superblock slots are zero bytes: nothing was ever stored here.
    case neverInitialized
    /// Both slots are valid, have one sequence number and differ.
    case contradictorySuperblocks
    /// The ring's valid transactions do not name every slot: any block of the volume may differ.
    case incompleteLog
}

/// The value that was not allowed.
public enum MetadataField: String, Sendable, Hashable, CaseIterable {
    case size = "volume size"
    case node = "node"
    case condition = "condition of the copy"
    case generations = "generations"
    case logCapacity = "activity log's size"
    case record = "arbiter's record"
    case intent = "open request"
    case transactionNumber = "transaction number"
    case entryCount = "number of entries"
    case slot = "slot number"
    case extent = "extent number"
    case unused = "unused bytes"
}

extension DiskBlock: CustomStringConvertible {
    /// The name in messages.
    public var description: String {
        switch self {
        case .superblock: "superblock"
        case .activityLog: "activity log"
        case .bitmap: "dirty bitmap"
        }
    }
}

extension DiskFormatError: CustomStringConvertible {
    /// One sentence for the operator.
    public var description: String {
        switch self {
        case .wrongLength(let block, let found, let expected):
            "the \(block) has a length of \(found) where \(expected) was expected"
        case .foreign(let block):
            "this is not Tandem's metadata: where its \(block) should be there is something else"
        case .damaged(let block):
            "the \(block) is damaged: its checksum does not fit"
        case .unsupportedVersion(let block, let found, let supported):
            "the \(block) has format version \(found) and this program reads version \(supported) only"
        case .unsupportedFeatures(let block, let unknown):
            "the \(block) uses features that this program does not know (bits 0x\(String(unknown, radix: 16)))"
        case .malformed(let block, let field):
            "the \(block) is whole but its \(field.rawValue) cannot be what the format allows"
        case .neverInitialized:
            "there is no metadata: the volume was never initialized"
        case .contradictorySuperblocks:
            "the two superblocks have the same sequence number and differ"
        case .incompleteLog:
            "the activity log is incomplete, so that any block of the volume may differ"
        }
    }
}
