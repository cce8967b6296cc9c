/// One 4 KiB block of the activity log's ring: up to 64 changed slots and a rotating window of the others, so that
/// the last transactions of the ring rebuild the whole log (`Docs/Formats/disk.md`).
public struct ActivityLogTransaction: Sendable, Hashable {
    /// A slot of the log and the extent that it now holds; `emptyExtent` for none.
    public struct Entry: Sendable, Hashable {
        public var slot: UInt16
        public var extent: UInt32

        public init(slot: UInt16, extent: UInt32) {
            self.slot = slot
            self.extent = extent
        }
    }

    /// What an empty slot holds.
    public static let emptyExtent = UInt32.max
    /// Changes that fit in one transaction.
    public static let updateMaximum = 64
    /// Unchanged slots that one transaction repeats.
    public static let contextMaximum = 919
    /// Blocks in the ring.
    public static let ringBlocks = 8

    /// Counts transactions; its remainder by `ringBlocks` is the block that it goes to.
    public var number: UInt32
    /// At most `updateMaximum`.
    public var updates: [Entry]
    /// The first slot that `context` repeats.
    public var contextStart: UInt16
    /// What the slots from `contextStart` on hold after this transaction; at most `contextMaximum`.
    public var context: [UInt32]

    public init(number: UInt32, updates: [Entry], contextStart: UInt16, context: [UInt32]) {
        self.number = number
        self.updates = updates
        self.contextStart = contextStart
        self.context = context
    }
}
