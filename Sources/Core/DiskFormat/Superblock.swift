public import Basics
public import Quorum

/// The identifiers of a copy's data, newest first, as DRBD keeps them (`Docs/Formats/disk.md`).
public struct GenerationTuple: Sendable, Hashable {
    /// The state that the copy holds.
    public var current: Generation
    /// The state that the dirty bitmap counts from; `none` while nothing may differ.
    public var bitmap: Generation
    /// The two states before, newest first.
    public var history: [Generation]

    public init(current: Generation, bitmap: Generation, history: [Generation]) {
        self.current = current
        self.bitmap = bitmap
        self.history = history
    }
}

/// What a copy can say of its own data, as it stands on disk.
public enum CopyCondition: UInt8, Sendable, Hashable, CaseIterable {
    /// A whole state of the volume.
    case consistent = 0
    /// A resync towards this copy began and has not ended: part old, part new, never served (I14).
    case inconsistent = 1
    /// The resync has ended and is durable; the record does not name this copy yet (R5).
    case awaitingRecord = 2
    /// The disk failed: only a full resync brings this copy back.
    case failed = 3
}

/// What a copy remembers of itself: stored in two slots, the newer valid one counts.
public struct Superblock: Sendable, Hashable {
    /// The volume's size in bytes, a multiple of 4096.
    public var size: UInt64
    /// The node that this copy belongs to.
    public var node: NodeIndex
    /// Slots of the activity log.
    public var logCapacity: UInt32
    public var generations: GenerationTuple
    public var condition: CopyCondition
    /// The highest record that the node has seen, stored before it acts on it (R6).
    public var record: ArbiterRecord?
    /// The request that is open: stored before it is sent, kept until its own answer is known (R3).
    public var intent: ArbiterRequest?
    /// Names the cluster and group, so that a foreign file is refused (CRC-32C of "cluster/group").
    public var ownership: UInt32

    public init(
        size: UInt64, node: NodeIndex, logCapacity: UInt32, generations: GenerationTuple,
        condition: CopyCondition,
        record: ArbiterRecord?, intent: ArbiterRequest?, ownership: UInt32
    ) {
        self.size = size
        self.node = node
        self.logCapacity = logCapacity
        self.generations = generations
        self.condition = condition
        self.record = record
        self.intent = intent
        self.ownership = ownership
    }
}
