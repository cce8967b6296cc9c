import Basics
import Quorum
import WireFormat

// A holder whose own disk has failed reads and writes through the peer (DESIGN 5, R1, R2).
//
// The record decides it, and nothing else: {holder: me, copies: peer}, asked for by the holder, stored by the peer
// together with a bitmap that marks everything, before anything is answered that only the peer has. From then on the
// holder has no copy, no activity log and no marks. It never goes on alone: without the peer it freezes, until the peer
// is back with its memory unbroken, or it is deposed.
extension Replica {
    /// Whether this node's copy is the only one, and the record's holder is the peer, whose disk has failed.
    var isOnlyCopyOfPeer: Bool { record?.copies == mySet && record?.holder == me.peer }

    /// The record names the peer's copy alone, at our own wish.
    mutating func leftOwnDisk(
        _ new: ArbiterRecord, at now: Instant, _ actions: inout [ReplicaAction]
    ) {
        reach(.narrowedOwnDiskFailed, &actions)
        actions.append(.note(.narrowed))
        guard roleStage == .settled || isDemoting else { return }
        guard isDiskFailed else {
            // Of another's making: this node's copy does not count.
            depose(at: now, &actions)
            return
        }
        // Until the peer has stored it too, nothing is answered.
        freeze(at: now, &actions)
        switch link {
        case .up: send(.record(new), &actions)
        case .settling, .greeted, .preparing: closeLink(.recordChanged, at: now, &actions)
        case .down: break
        }
    }

    /// The peer has stored the record: what is in flight goes on there, in its order.
    mutating func goThroughPeer(at now: Instant, _ actions: inout [ReplicaAction]) {
        if isFrozen { actions.append(.note(.verdictThroughPeer)) }
        isFrozen = false
        for slot in active.sorted(by: { requests[$0].tag < requests[$1].tag }) {
            switch requests[slot].kind {
            case .write, .zero:
                let isOnItsWay = requests[slot].state.contains(.mirrored)
                if !isOnItsWay { resend(slot, &actions) } else { completeIfDone(slot, &actions) }
            case .read:
                if !requests[slot].state.contains(.localPending) { askPeer(slot, &actions) }
            case .free, .flush, .peerWrite, .peerZero, .peerResync, .peerRead, .resync: break
            }
        }
        if flush.isActive, flush.localPending {
            flush.localPending = false
            finishFlushIfDone(at: now, &actions)
        }
        if !flush.queued.isEmpty || flush.isForLog || !recent.isEmpty { flush.isWanted = true }
    }

    /// Asks the peer for what a read wants.
    mutating func askPeer(_ slot: SlotIndex, _ actions: inout [ReplicaAction]) {
        reach(.readThroughPeer, &actions)
        if requests[slot].state.contains(.localFailed) { reach(.failedReadAskedOfPeer, &actions) }
        sequence += 1
        requests[slot].tag = sequence << 8 | UInt64(slot)
        requests[slot].state.insert(.peerPending)
        actions.append(.sendRead(slot: slot))
    }

    /// A read of the own disk has ended.
    mutating func ownRead(_ slot: SlotIndex, ok: Bool, at now: Instant, _ actions: inout [ReplicaAction]) {
        if ok || has(.readsFailedDisk) {
            release(slot)
            actions.append(.complete(slot: slot, .done))
            if !ok { ownDiskFailed(at: now, &actions) }
            return
        }
        requests[slot].state.insert(.localFailed)
        ownDiskFailed(at: now, &actions)
        if isDiskless {
            if !isFrozen, link == .up { askPeer(slot, &actions) }
        } else if record?.copies == mySet {
            // There is no other copy to ask.
            failOnOnlyCopy(slot, &actions)
        }
    }

    /// The peer has answered a read.
    mutating func readAnswered(_ tag: UInt64, ok: Bool, at now: Instant, _ actions: inout [ReplicaAction]) {
        guard let slot = slot(awaitingRead: tag) else {
            actions.append(.note(.refusedOldFrame))
            return
        }
        guard ok else {
            // The only copy has failed: nothing is left to ask.
            closeLink(.diskFailed, at: now, &actions)
            return
        }
        release(slot)
        actions.append(.complete(slot: slot, .done))
    }

    // MARK: the copy's side

    /// What the holder without a disk asked for has been read.
    mutating func peerReadDone(
        _ slot: SlotIndex, ok: Bool, at now: Instant, _ actions: inout [ReplicaAction]
    ) {
        let isAnswerable = link == .up && !requests[slot].state.contains(.orphan)
        release(slot)
        if isAnswerable {
            actions.append(.sendReadAnswer(slot: slot, ok: ok && !isDiskFailed))
        } else {
            actions.append(.complete(slot: slot, .failed))
        }
        if !ok { ownDiskFailed(at: now, &actions) }
    }

    // MARK: the copy has restarted

    /// Whether a copy that has restarted may have lost something that was answered here.
    var mayLackAnswered: Bool { !recent.isEmpty || !flushing.isEmpty || !dirty.isEmpty }

    /// The only copy has crashed since it acknowledged what was never flushed: a device that went on would show, under
    /// a file system that remembers, what was there before. The peer starts an epoch of its own from what it has.
    mutating func stopForRestartedCopy(at now: Instant, _ actions: inout [ReplicaAction]) {
        reach(.stoppedForRestartedCopy, &actions)
        actions.append(.note(.verdictDeposed))
        depose(at: now, &actions)
    }
}
