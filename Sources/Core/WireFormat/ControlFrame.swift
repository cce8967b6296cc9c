public import Basics
public import Quorum

/// Which grant a data frame was sent under; a receiver that knows a newer one refuses it.
@frozen
public struct EpochStamp: Sendable, Hashable {
    public var epoch: UInt64
    /// The low half of the grant's mark.
    public var grant: UInt64

    public init(epoch: UInt64, grant: UInt64) {
        self.epoch = epoch
        self.grant = grant
    }

    /// The stamp of frames sent under this record.
    public init(_ record: ArbiterRecord) {
        self.init(epoch: record.epoch, grant: record.grant.low)
    }
}

/// What each node says first on a connection, and all that the handshake decides from.
public struct Hello: Sendable, Hashable {
    public var node: NodeIndex
    /// The volume's size in bytes; different sizes never connect.
    public var size: UInt64
    public var record: ArbiterRecord?
    public var current: Generation
    public var bitmap: Generation
    public var history: [Generation]
    /// `CopyCondition.rawValue`.
    public var condition: UInt8
    public var isPrimary: Bool
    /// Whether the process has restarted and not completed a handshake since (R4).
    public var isRestarted: Bool
    /// Blocks that the sender's bitmap marks.
    public var dirtyBlocks: UInt64
    /// Blocks in flight or in the transfer log: marked if the peer has restarted.
    public var unflushedBlocks: UInt64

    public init(
        node: NodeIndex, size: UInt64, record: ArbiterRecord?, current: Generation, bitmap: Generation,
        history: [Generation], condition: UInt8, isPrimary: Bool, isRestarted: Bool, dirtyBlocks: UInt64,
        unflushedBlocks: UInt64
    ) {
        self.node = node
        self.size = size
        self.record = record
        self.current = current
        self.bitmap = bitmap
        self.history = history
        self.condition = condition
        self.isPrimary = isPrimary
        self.isRestarted = isRestarted
        self.dirtyBlocks = dirtyBlocks
        self.unflushedBlocks = unflushedBlocks
    }
}

/// A frame between two nodes that is not on the write path.
public enum ControlFrame: Sendable, Hashable {
    case hello(Hello)
    /// Words of the sender's dirty bitmap, from word `start` on; at most `bitmapWordsMaximum`.
    case bitmap(start: UInt32, words: [UInt64])
    /// The sender has sent its whole bitmap.
    case bitmapEnd
    /// The sender has concluded, and stored what the agreed resync needs: frames may flow.
    case resyncReady
    /// The source has copied and flushed everything: the identifiers the target shall store.
    case resyncDone(current: Generation, history: [Generation])
    /// The target has stored them.
    case resyncDoneStored
    /// The record has changed; frames after this one are sent under it.
    case record(ArbiterRecord)
    /// The sender wants to become Primary and asks the holder, a Secondary, to hand over.
    case handOverWanted
    /// The holder will not hand over now (it is Primary, or not drained).
    case handOverRefused
    /// Sign of life, with the sender's role; answered with `alive`.
    case ping(nonce: UInt64)
    case alive(nonce: UInt64)
    /// The sender closes the connection on purpose and says why.
    case goodbye(reason: UInt8)

    /// Bitmap words in one frame: 32 KiB.
    public static let bitmapWordsMaximum = 4096
}
