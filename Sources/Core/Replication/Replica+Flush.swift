import Basics
import Quorum
import DiskFormat
import WireFormat

// A flush is answered when every member of `copies` has made durable what was answered before it (DESIGN 5.5).
extension Replica {
    mutating func admitFlush(_ slot: SlotIndex, at now: Instant, _ actions: inout [ReplicaAction]) {
        guard takesRequests else {
            actions.append(.complete(slot: slot, .failed))
            return
        }
        requests[slot] = Request(kind: .flush)
        flush.queued.append(slot)
        flush.isWanted = true
    }

    /// Whether a flush may start: its answer must be possible.
    private var mayFlush: Bool {
        if flush.isActive { return false }
        if flush.localOutstanding || isDiskFailed, !isDiskless { return false }
        let isSolo = has(.soloFlushBeforeGrant) && link != .up
        if isFrozen, !isSolo { return false }
        if sync == .gatedSource, resync.stage != .flushing, !has(.targetCountsAsCopy) { return false }
        if link != .up, needsPeer, !isSolo, !has(.flushWithoutPeer) { return false }
        switch roleStage {
        case .settled, .demoting: return true
        case .promoting, .clearingLog, .deposing, .marking, .muting: return false
        }
    }

    mutating func startFlushIfPossible(at now: Instant, _ actions: inout [ReplicaAction]) {
        guard mayFlush else { return }
        flush.isWanted = false
        flush.isActive = true
        // A flush that ends a resync answers nobody: the target is not whole yet (R5).
        if !flush.isForResync {
            flush.clients = flush.queued
            flush.queued.removeAll(keepingCapacity: true)
        }
        flushing.formUnion(recent)
        recent.removeAll()
        sequence += 1
        flush.tag = sequence << 8 | 0xFF
        flush.withPeer = isMirroring
        flush.peerPending = isMirroring && !has(.flushWithoutPeer)
        if isDiskless {
            reach(.flushedThroughPeer, &actions)
            actions.append(.sendFlush(tag: flush.tag, settled: flush.settled))
            return
        }
        flush.localPending = true
        flush.localOutstanding = true
        if flush.withPeer { actions.append(.sendFlush(tag: flush.tag, settled: flush.settled)) }
        actions.append(.syncData(.clientFlush))
    }

    mutating func ownFlushed(ok: Bool, at now: Instant, _ actions: inout [ReplicaAction]) {
        flush.localOutstanding = false
        guard flush.isActive, flush.localPending else { return }
        // A failed flush is never retried into success: this copy leaves by R1, the flush waits for that.
        guard ok else {
            giveUpFlush()
            return
        }
        flush.localPending = false
        finishFlushIfDone(at: now, &actions)
    }

    mutating func peerFlushed(_ tag: UInt64, ok: Bool, at now: Instant, _ actions: inout [ReplicaAction]) {
        guard flush.isActive, flush.tag == tag, flush.peerPending else {
            actions.append(.note(.refusedOldFrame))
            return
        }
        guard ok else {
            reach(.peerErrorBlocksAnswer, &actions)
            closeLink(.diskFailed, at: now, &actions)
            return
        }
        flush.peerPending = false
        finishFlushIfDone(at: now, &actions)
    }

    mutating func finishFlushIfDone(at now: Instant, _ actions: inout [ReplicaAction]) {
        guard flush.isActive, !flush.localPending, !flush.peerPending else { return }
        flush.isActive = false
        if flush.withPeer {
            flush.settled = flush.tag
            clearSettled()
        }
        flushing.removeAll()
        for slot in flush.clients {
            requests[slot].kind = .free
            actions.append(.complete(slot: slot, .done))
        }
        flush.clients.removeAll(keepingCapacity: true)
        if flush.isForLog {
            flush.isForLog = false
            logStage = .idle
        }
        flush.isForResync = false
        if flush.isForRole {
            flush.isForRole = false
            isFlushedForRole = true
        }
        if !flush.queued.isEmpty { flush.isWanted = true }
        if sync == .none, link == .up, dirty.isEmpty, !changedPages.isEmpty, jobs.isEmpty {
            // Late is only more to copy, so nothing waits for it.
            store([.bitmap(.bitmapCleared)], then: .nothing, at: now, &actions)
        }
        pump(at: now, &actions)
    }

    /// Bits go out when the block is durable on both (DESIGN 6).
    mutating func clearSettled() {
        guard !dirty.isEmpty, !flushing.isEmpty else { return }
        // One copy's durability clears nothing: the other, which has failed, lacks it until a resync brings it.
        if isDiskless || isOnlyCopyOfPeer && sync == .none { return }
        dirty.subtract(flushing)
        var block = flushing.first(from: 0)
        while let found = block {
            let page = found / MetadataPages.blocksPerPage
            changedPages.insert(page)
            block = flushing.first(from: (page + 1) * MetadataPages.blocksPerPage)
        }
        // A write under way to a settled block makes it differ again.
        for slot in active {
            switch requests[slot].kind {
            case .write, .zero, .peerWrite, .peerZero, .peerResync:
                if sync != .none || record?.copies != .both { mark(requests[slot].blocks) }
            default: break
            }
        }
    }

    /// The flush that runs cannot end; its clients wait for the next.
    mutating func giveUpFlush() {
        guard flush.isActive else { return }
        flush.isActive = false
        flush.localPending = false
        flush.peerPending = false
        flush.queued = flush.clients + flush.queued
        flush.clients.removeAll(keepingCapacity: true)
        recent.formUnion(flushing)
        flushing.removeAll()
        flush.isWanted = !flush.queued.isEmpty || flush.isForLog || flush.isForRole
    }

    // MARK: the peer's flushes

    mutating func takeFlush(
        _ tag: UInt64, settled: UInt64, _ stamp: EpochStamp, at now: Instant, _ actions: inout [ReplicaAction]
    ) {
        guard acceptsFrame(stamp, at: now, &actions) else { return }
        if settled != 0, settled == peerFlush.lastTag {
            clearSettled()
        } else {
            recent.formUnion(flushing)
        }
        flushing.removeAll()
        swap(&flushing, &recent)
        peerFlush.lastTag = tag
        if peerFlush.isSyncing {
            peerFlush.next = tag
            return
        }
        peerFlush.isSyncing = true
        peerFlush.isOrphan = false
        peerFlush.tag = tag
        actions.append(.syncData(.peerFlush))
    }

    mutating func appliedPeerFlush(ok: Bool, at now: Instant, _ actions: inout [ReplicaAction]) {
        peerFlush.isSyncing = false
        if !peerFlush.isOrphan, link == .up {
            actions.append(.sendFlushDone(tag: peerFlush.tag, ok: ok && !isDiskFailed))
        }
        if let next = peerFlush.next, link == .up {
            peerFlush.next = nil
            peerFlush.isSyncing = true
            peerFlush.isOrphan = false
            peerFlush.tag = next
            actions.append(.syncData(.peerFlush))
        }
    }
}
