/// The branches of rules R1 to R6 (DESIGN 7) that a run can take; the simulator counts them, none may stay at zero.
public enum RuleBranch: UInt8, Sendable, Hashable, CaseIterable {
    // R1
    case answeredByAllOfCopies
    case peerErrorBlocksAnswer
    case ownErrorBlocksAnswer
    // R2
    case narrowedPeerAway
    case narrowedOwnDiskFailed
    case wroteThroughPeer
    case readThroughPeer
    case failedReadAskedOfPeer
    case flushedThroughPeer
    case lostPeerWithoutDisk
    case peerBackWithoutDisk
    case stoppedForRestartedCopy
    case handedOverWithoutDisk
    case wholeBitmapForFailedCopy
    case flushedBeforeAsking
    case didNotAskFlushFailed
    // R3
    case askedAgainSameIdentifier
    case closedByHigherEpoch
    case keptOpenByUnchangedRecord
    case intentSurvivedRestart
    case handshakeWaitedForRequest
    case obeyedOldAndNewRecord
    // R4
    case waitedForPeerFirst
    case soloGrantRefusedOtherIntact
    case recordDecidedSource
    case memoryDecidedSource
    case holderDecidedSource
    case soleMemberNeededNoPeer
    // R5
    case sourceFlushedBeforeTarget
    case gatedWhileTargetInCopies
    case widenedAfterResync
    case targetWaitedForRecord
    // R6
    case refusedFrameAfterAsking
    case resumedAfterRefusal
    case recordStoredBeforeActing
}

/// Which row of the handshake's table decided (`reference/replication.md` 2.3, two nodes).
public enum HandshakeRow: UInt8, Sendable, Hashable, CaseIterable {
    /// Two grants of one epoch with different marks.
    case twoGrantsOfOneEpoch
    /// The record names the source, the target's copy being a known ancestor.
    case recordDecides
    /// The record names the source, but the target's copy is no known ancestor: everything is copied.
    case recordDecidesFull
    /// The holder has no disk, the record names the other's copy alone: the holder reads and writes through it.
    case holderWithoutDisk
    /// 1: both just created.
    case bothJustCreated
    /// 2, 3: one just created.
    case oneJustCreated
    /// 4a: the same generation, one copy in the middle of a resync.
    case sameOneInconsistent
    /// 4b: the same generation, nothing may differ.
    case sameNothingDiffers
    /// 4e: the same generation, one has restarted: the one with unbroken memory is the source.
    case sameOneRestarted
    /// 4f: the same generation, both or neither restarted: the holder is the source.
    case sameHolderDecides
    /// 5, 6: one is the other's bitmap base: delta.
    case bitmapBase
    /// 7, 8: one is in the other's history: full.
    case inHistory
    /// 9: both left one common base.
    case splitBrainCommonBase
    /// 10: some older state in common.
    case splitBrainHistory
    /// 11: nothing in common.
    case unrelated
}
