public import Basics
public import Quorum

/// A place in the table of requests; the runtime keeps a buffer of each.
public typealias SlotIndex = Int

/// The table of requests: who may use which places.
public enum SlotLayout {
    /// Requests of the device (FUSE).
    public static let client = 0..<64
    /// Frames of the peer being applied here.
    public static let peer = 64..<128
    /// Blocks being copied to the peer by the resync.
    public static let resync = 128..<136
    /// All places.
    public static let count = 136
    /// The longest run that one resync slot carries, in bytes.
    public static let resyncRunMaximum: UInt64 = 128 << 10
}

/// Every place where something is stored. Each has its number; the test build can leave out the fdatasync of one
/// number, and a test or the simulator must notice.
///
/// Two numbers are free because what they made durable is durable anyway before anything is done with it: 14, the
/// source's identifiers after a resync (the request to widen is stored in the same superblock before it is sent), and
/// 18, the marks of what a restarted peer may have lost (`bitmapBeforeResync` stores them before a block moves, and
/// until then the activity log of whoever was Primary names their extents).
public enum SyncPoint: UInt8, Sendable, Hashable, CaseIterable {
    /// A client's flush, on the Primary's data.
    case clientFlush = 1
    /// The same flush on the peer's data.
    case peerFlush = 2
    /// An activity-log transaction, before a write to the new extents.
    case logTransaction = 3
    /// The bitmap pages of evicted extents, before their slots are reused.
    case evictionBitmap = 4
    /// A newly seen record, before it is acted on.
    case record = 5
    /// An open request, before it is sent.
    case intent = 6
    /// The own data, before asking to go on alone or to become holder.
    case dataBeforeAsking = 7
    /// The bitmap with the ranges in flight; durable with the superblock that follows, before a write is answered.
    case bitmapGoingAlone = 8
    /// Generation and record, before a write is answered alone.
    case superblockGoingAlone = 9
    /// The source's data, before its target becomes Inconsistent.
    case sourceBeforeResync = 10
    /// The bitmap of both, before the first block of a resync moves.
    case bitmapBeforeResync = 11
    /// The mark Inconsistent, before the first block of a resync is overwritten.
    case targetInconsistent = 12
    /// The target's identifiers after the last block, before it says so.
    case targetComplete = 13
    /// The bitmap with every logged extent or-ed in, before the first handshake after an unclean end.
    case logReplay = 15
    /// The bitmap with the ranges that failed; durable with the superblock that follows, before EIO is answered.
    case bitmapDeposed = 16
    /// The emptied activity log after an orderly demotion.
    case logCleared = 17
    /// The bitmap after bits were cleared; late is only more to copy, so it is written and not synced.
    case bitmapCleared = 19

    /// Whether an fdatasync follows the write. The bitmaps that go before a superblock of the same job need none: the
    /// metadata is one file, and its next fdatasync makes both durable, in whichever order the disk wrote them.
    public var isSynced: Bool {
        switch self {
        case .bitmapGoingAlone, .bitmapDeposed, .bitmapCleared: false
        default: true
        }
    }
}

/// How a request of the device ends.
public enum ReplyStatus: UInt8, Sendable, Hashable {
    case done = 0
    /// EIO: the write may or may not be there.
    case failed = 1
}

/// What the runtime shall do. Small and plain, so that the write path moves it without a reference count.
public enum ReplicaAction: Sendable, Hashable {
    // The backing file. Each is answered by `diskDone(slot:ok:)`.
    case writeData(slot: SlotIndex)
    case zeroData(slot: SlotIndex)
    case readData(slot: SlotIndex)
    /// fdatasync of the backing file, answered by `dataSynced(point:ok:)`; at most one a point at a time.
    case syncData(SyncPoint)

    // The metadata; at most one of these three is under way, answered by `metadataStored(ok:)`. The runtime encodes
    // what it stores from the replica at once, before it handles another event.
    /// Writes `Replica.superblock` to the older slot, then fdatasync.
    case storeSuperblock(SyncPoint)
    /// Writes the pages of `Replica.storingPages` from `Replica.dirty`, then, if `isSynced`, fdatasync.
    case storeBitmap(SyncPoint)
    /// Writes `Replica.logTransaction` to its block of the ring, then fdatasync.
    case storeLog(SyncPoint)

    // The peer, in this order on one stream.
    /// A write frame with the slot's range, tag and payload.
    case sendWrite(slot: SlotIndex)
    case sendZero(slot: SlotIndex)
    /// A read frame with the slot's range and tag: this node holds the record and has no disk.
    case sendRead(slot: SlotIndex)
    /// The answer to the peer's read frame: the slot's range and tag, and if `ok` its payload. The runtime frees the
    /// slot when the frame has left its memory.
    case sendReadAnswer(slot: SlotIndex, ok: Bool)
    /// A resync frame with the slot's range, tag and payload.
    case sendResync(slot: SlotIndex)
    /// `settled`: the tag of the last flush that both copies completed.
    case sendFlush(tag: UInt64, settled: UInt64)
    case sendAcknowledgement(tag: UInt64, ok: Bool)
    case sendFlushDone(tag: UInt64, ok: Bool)
    /// Sends the next frame of `Replica.takeControl()`.
    case sendControl
    /// Ends the connection; a new one may be made at once unless `standAlone`.
    case closeLink(CloseReason)

    /// Answers the device.
    case complete(slot: SlotIndex, ReplyStatus)

    // The arbiter.
    /// Sends `Replica.openRequest`, again under the same identifier if it was sent before.
    case askArbiter
    /// Asks for the record as it stands.
    case readRecord

    /// Wake me with `timer` at that instant; replaces the one set before.
    case setTimer(ReplicaTimer, Instant)

    /// The role has changed. Primary: a device may be made. Secondary: no request of the device is left.
    case roleChanged(isPrimary: Bool)
    /// The grant is gone: lower the address, see it gone and its sockets destroyed, then send `muted`.
    case mute
    /// The record names this node as holder: the failover may promote it.
    case invitedToPromote
    /// A promotion that was asked for will not happen.
    case promotionRefused(PromotionRefusal)
    /// Something that the journal should tell.
    case note(ReplicaNote)
}

/// The replica's own timers.
public enum ReplicaTimer: UInt8, Sendable, Hashable, CaseIterable {
    /// Frozen requests are answered with EIO when no verdict came.
    case freeze = 0
    /// A restarted member stops waiting for the peer.
    case waitForPeer = 1
    /// An open request is asked again.
    case askAgain = 2
}

/// Why a connection is closed.
public enum CloseReason: UInt8, Sendable, Hashable, CaseIterable {
    /// The other side or the network ended it.
    case lost = 0
    /// A frame that contradicts the protocol.
    case protocolError = 1
    /// A frame of an epoch older than the one this node knows or has asked for (R6).
    case oldEpoch = 2
    /// The record changed in a way that needs a new handshake.
    case recordChanged = 3
    /// The own disk failed.
    case diskFailed = 4
    /// The operator asked for it. Stays down until `connect`.
    case disconnected = 5
    /// The data of both has diverged. Stays down until it is resolved.
    case splitBrain = 6
    /// The data of both has nothing in common. Stays down.
    case unrelatedData = 7
    /// The volumes differ in size. Stays down.
    case sizeMismatch = 8

    /// Whether the node stays StandAlone afterwards.
    public var standsAlone: Bool {
        switch self {
        case .disconnected, .splitBrain, .unrelatedData, .sizeMismatch: true
        case .lost, .protocolError, .oldEpoch, .recordChanged, .diskFailed: false
        }
    }
}

/// Why a promotion was refused, in the words of DRBD's users.
public enum PromotionRefusal: UInt8, Sendable, Hashable, CaseIterable {
    /// The own copy is not UpToDate.
    case notUpToDate = 1
    /// The peer is Primary.
    case peerIsPrimary = 2
    /// The arbiter said no; the note before tells which rule.
    case arbiterRefused = 3
    /// The arbiter cannot be reached.
    case noArbiter = 4
    /// A resync that must end first is running.
    case resyncRunning = 5
    /// An earlier request is still open (R3).
    case requestOpen = 6
    /// The node waits for the other member first (R4).
    case waitingForPeer = 7
    /// Something of an old grant still exists here.
    case stuck = 8
}

/// What happened, for the journal and for the simulator's counts of branches reached.
public enum ReplicaNote: Sendable, Hashable {
    /// Requests wait for a verdict: the own disk has failed, or else the connection is gone.
    case frozen(ownDiskFailed: Bool)
    case verdictPeerBack
    case verdictAlone
    case verdictDeposed
    case verdictTimeout
    /// The own disk has failed, the record names the peer's copy alone and the peer has stored it.
    case verdictThroughPeer
    case handshake(HandshakeRow)
    case resyncStarted(isSource: Bool, blocks: Int)
    case resyncEnded(isSource: Bool, bytesSent: UInt64)
    case widened
    case narrowed
    case asked(ArbiterPurpose)
    case answered(granted: Bool, reason: UInt8)
    case recordAdopted(epoch: UInt64)
    case logReplayed(extents: Int)
    case diskFailed
    case refusedOldFrame
    case ruleReached(RuleBranch)
}
