/// Deliberate faults of the replica, for the tests that must find them (`Tools/test breaks`). Never set outside a
/// test. Each is named after what it leaves out.
public struct ReplicaBreaks: OptionSet, Sendable, Hashable {
    public let rawValue: UInt64

    public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// A write is answered without the peer.
    public static let acknowledgeWithoutPeer = ReplicaBreaks(rawValue: 1 << 0)
    /// The holder goes on alone without a grant.
    public static let aloneWithoutGrant = ReplicaBreaks(rawValue: 1 << 1)
    /// A flush is answered without the peer.
    public static let flushWithoutPeer = ReplicaBreaks(rawValue: 1 << 2)
    /// A flush is answered alone before the grant.
    public static let soloFlushBeforeGrant = ReplicaBreaks(rawValue: 1 << 3)
    /// The activity log is not or-ed into the bitmap after a crash.
    public static let logNotReplayed = ReplicaBreaks(rawValue: 1 << 4)
    /// Extents are evicted without their bitmap pages.
    public static let evictWithoutBitmap = ReplicaBreaks(rawValue: 1 << 5)
    /// A widening is believed only when it is answered: until then the old record alone is obeyed.
    public static let widenOnlyWhenAnswered = ReplicaBreaks(rawValue: 1 << 6)
    /// An own disk error is answered before the record has changed.
    public static let ownErrorAnsweredEarly = ReplicaBreaks(rawValue: 1 << 7)
    /// A deposed holder does not mark what failed.
    public static let deposedNotMarked = ReplicaBreaks(rawValue: 1 << 8)
    /// Two grants of one epoch are taken as equal.
    public static let grantsOfOneEpochEqual = ReplicaBreaks(rawValue: 1 << 9)
    /// Frames of the old epoch are taken after asking to become holder.
    public static let oldFramesAfterAsking = ReplicaBreaks(rawValue: 1 << 10)
    /// The transfer log is not marked when the peer comes back restarted.
    public static let restartedPeerNotMarked = ReplicaBreaks(rawValue: 1 << 11)
    /// An unchanged record is taken for a refusal of the open request.
    public static let unchangedRecordIsRefusal = ReplicaBreaks(rawValue: 1 << 12)
    /// An open request is forgotten by a restart.
    public static let intentForgottenByRestart = ReplicaBreaks(rawValue: 1 << 13)
    /// An open request is forgotten when the peer comes back.
    public static let intentForgottenByReconnect = ReplicaBreaks(rawValue: 1 << 14)
    /// The own data is not flushed before asking.
    public static let askWithoutFlush = ReplicaBreaks(rawValue: 1 << 15)
    /// A bit is cleared when the peer acknowledges, before both are durable.
    public static let clearBeforeDurable = ReplicaBreaks(rawValue: 1 << 16)
    /// A resync target in `copies` is answered for, as if it were a whole copy.
    public static let targetCountsAsCopy = ReplicaBreaks(rawValue: 1 << 17)
    /// A holder whose disk failed goes on reading it.
    public static let readsFailedDisk = ReplicaBreaks(rawValue: 1 << 18)
    /// A holder without a disk goes on through a copy that has lost, in a crash, what it acknowledged.
    public static let restartedCopyTrusted = ReplicaBreaks(rawValue: 1 << 19)
    /// The copy that stays does not mark all blocks when the other has failed.
    public static let failedCopyNotMarked = ReplicaBreaks(rawValue: 1 << 20)
}
