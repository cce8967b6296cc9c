public import Basics
public import Quorum
public import WireFormat

/// What can happen to a replica. The runtime delivers one at a time, from the one thread that owns the volume.
public enum ReplicaEvent: Sendable {
    /// The metadata was read and decoded; the first event of every life.
    case start
    // The device. The runtime has put the payload into the slot's buffer.
    case write(slot: SlotIndex, ByteRange)
    case zero(slot: SlotIndex, ByteRange)
    case read(slot: SlotIndex, ByteRange)
    case flush(slot: SlotIndex)

    // The backing file and the metadata.
    case diskDone(slot: SlotIndex, ok: Bool)
    case dataSynced(SyncPoint, ok: Bool)
    case metadataStored(ok: Bool)

    // The peer.
    /// A connection stands, both ends know each other's secret.
    case linkUp
    case linkLost
    /// A frame of the peer whose payload, if any, is in the slot's buffer.
    case peerWrite(slot: SlotIndex, tag: UInt64, ByteRange, EpochStamp)
    case peerZero(slot: SlotIndex, tag: UInt64, ByteRange, EpochStamp)
    case peerResync(slot: SlotIndex, tag: UInt64, ByteRange, EpochStamp)
    /// A holder without a disk asks for what the range holds; the slot's buffer will take it.
    case peerRead(slot: SlotIndex, tag: UInt64, ByteRange, EpochStamp)
    case peerFlush(tag: UInt64, settled: UInt64, EpochStamp)
    case acknowledged(tag: UInt64, ok: Bool)
    case flushDone(tag: UInt64, ok: Bool)
    /// The peer's answer to `sendRead`; if `ok`, its data is in the buffer of the slot that `slot(awaitingRead:)` names.
    case readAnswered(tag: UInt64, ok: Bool)
    indirect case control(ControlFrame)

    // The arbiter.
    case arbiterUp
    case arbiterLost
    indirect case recordRead(ArbiterRecord?)
    indirect case arbiterAnswered(identifier: Mark, ArbiterAnswer)

    // The failover and the operator.
    /// Become Primary if the rules allow it; answered by `roleChanged` or `promotionRefused`.
    case promote
    /// The elector has heard nothing of the holder: ask to become it, also if the connection still seems to stand.
    case takeOver
    /// No request of the device will come any more: finish, flush, become Secondary.
    case demote
    /// As `demote`, then hand the record to the connected peer.
    case handOver
    /// Leave `copies` in order (`tandem down`).
    case leave
    /// The address is gone and its sockets are destroyed (the answer to `mute`).
    case muted
    /// The operator allows connections, or forbids them.
    case connect
    case disconnect
    case timer(ReplicaTimer)
}
