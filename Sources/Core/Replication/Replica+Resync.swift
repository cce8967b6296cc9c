import Basics
import WireFormat
import DiskFormat
import Quorum

// Copying what differs while writes go on (DESIGN 5.6, 6; R5).
//
// A block is equal when it is unmarked, or when its present content went to both and waits for the flush that lets
// its mark be cleared. A write during the resync marks its blocks and is mirrored; whole blocks are equal once both
// have them, a partly covered block only if it was equal before. So one pass of the cursor is enough.
extension Replica {
    mutating func resyncPrepared(at now: Instant, _ actions: inout [ReplicaAction]) {
        guard link == .preparing, agreed != nil else { return }
        selfReady = true
        send(.resyncReady, &actions)
        startResyncIfReady(at: now, &actions)
    }

    mutating func startResyncIfReady(at now: Instant, _ actions: inout [ReplicaAction]) {
        guard selfReady, peerReady, link == .preparing, let agreed else { return }
        guard case .resync(let source, _) = agreed else {
            establish(at: now, &actions)
            return
        }
        link = .up
        resync = ResyncState()
        actions.append(.note(.resyncStarted(isSource: source == me, blocks: dirty.count)))
        guard source == me else {
            sync = .target
            return
        }
        guard record?.copies == .both else {
            sync = .source
            return
        }
        // The target is named in `copies` and is not whole: nothing is answered until it is (R5).
        sync = .gatedSource
        reach(.gatedWhileTargetInCopies, &actions)
        if isFrozen { actions.append(.note(.verdictPeerBack)) }
        isFrozen = false
        coverInFlight(&actions)
    }

    /// What was in flight is copied by the resync and answered at its end; its locks are lifted.
    private mutating func coverInFlight(_ actions: inout [ReplicaAction]) {
        for slot in active where requests[slot].kind == .write || requests[slot].kind == .zero {
            if has(.targetCountsAsCopy) {
                requests[slot].state.remove(.peerPending)
                requests[slot].state.insert(.mirrored)
                completeIfDone(slot, &actions)
            } else {
                requests[slot].state.insert(.coveredByResync)
                covered.append(slot)
            }
        }
        active.removeAll(where: covered.contains)
    }

    mutating func advanceResync(at now: Instant, _ actions: inout [ReplicaAction]) {
        guard sync == .source || sync == .gatedSource, link == .up else { return }
        // Each stage may end at once: no other event need come to go on.
        if resync.stage == .flushing, !flush.isForResync { finishCopying(at: now, &actions) }
        // A holder that is told to demote has no more than what is under way to wait for; the copying goes on behind it.
        // What waits behind a gated resync can only be answered at its end.
        let isPaused = isDemoting && sync == .source
        if resync.stage == .copying, !isPaused { copyNext(at: now, &actions) }
        if resync.stage == .draining, active.allSatisfy({ requests[$0].kind == .read }), !flush.isActive {
            resync.stage = .flushing
            flush.isForResync = true
            flush.isWanted = true
        }
    }

    private mutating func copyNext(at now: Instant, _ actions: inout [ReplicaAction]) {
        var isBusy = false
        var queued = false
        for slot in SlotLayout.resync {
            if requests[slot].kind != .free {
                isBusy = true
                continue
            }
            guard let run = nextRun() else { break }
            isBusy = true
            queued = true
            sequence += 1
            requests[slot] = Request(
                kind: .resync,
                range: ByteRange(
                    offset: UInt64(run.lowerBound) * BlockSize.block,
                    length: UInt64(run.count) * BlockSize.block),
                blocks: run, tag: sequence << 8 | UInt64(slot))
            waiting.append(slot)
        }
        if queued { pump(at: now, &actions) }
        if !isBusy { resync.stage = .draining }
    }

    /// The next blocks that are not equal, as one run.
    private mutating func nextRun() -> Range<Int>? {
        let limit = Int(SlotLayout.resyncRunMaximum / BlockSize.block)
        while let start = dirty.first(from: resync.cursor) {
            if isEqual(start) {
                resync.cursor = start + 1
                continue
            }
            var end = start + 1
            while end < dirty.capacity, end - start < limit, !isEqual(end) { end += 1 }
            resync.cursor = end
            return start..<end
        }
        resync.cursor = dirty.capacity
        return nil
    }

    /// A run was read from the own disk.
    mutating func resyncRead(_ slot: SlotIndex, ok: Bool, at now: Instant, _ actions: inout [ReplicaAction]) {
        guard sync == .source || sync == .gatedSource, link == .up, ok else {
            release(slot)
            if !ok { ownDiskFailed(at: now, &actions) }
            return
        }
        requests[slot].state.insert([.mirrored, .peerPending, .firstEdgeEqual, .lastEdgeEqual])
        resync.bytesSent += requests[slot].range.length
        resyncBytesSent += requests[slot].range.length
        actions.append(.sendResync(slot: slot))
    }

    mutating func resyncAcknowledged(_ slot: SlotIndex, _ actions: inout [ReplicaAction]) {
        rememberAcknowledged(slot)
        release(slot)
        if recent.count >= configuration.transferLogBlocks / 2, !flush.isActive { flush.isWanted = true }
    }

    /// Everything is durable on both: identifiers next.
    private mutating func finishCopying(at now: Instant, _ actions: inout [ReplicaAction]) {
        guard dirty.isEmpty else {
            resync.stage = .copying
            resync.cursor = 0
            return
        }
        resync.stage = .finishing
        if superblock.generations.bitmap != .none {
            superblock.generations.history = Array(
                ([superblock.generations.bitmap] + superblock.generations.history).prefix(2))
            superblock.generations.bitmap = .none
        }
        send(
            .resyncDone(current: superblock.generations.current, history: superblock.generations.history),
            &actions)
        // The identifiers become durable with the request to widen; gated, they have not changed.
        store([.bitmap(.bitmapCleared)], then: .nothing, at: now, &actions)
    }

    /// The target has all, durably.
    mutating func peerStored(at now: Instant, _ actions: inout [ReplicaAction]) {
        guard sync == .source || sync == .gatedSource, resync.stage == .finishing else { return }
        actions.append(.note(.resyncEnded(isSource: true, bytesSent: resync.bytesSent)))
        isRestarted = false
        waitingForPeer = false
        if sync == .gatedSource {
            sync = .none
            for slot in covered {
                release(slot)
                actions.append(.complete(slot: slot, .done))
            }
            covered.removeAll()
            if !flush.queued.isEmpty { flush.isWanted = true }
        } else {
            resync.stage = .widening
            wantAsk(.widen, at: now, &actions)
        }
    }

    // MARK: target

    mutating func resyncDone(
        _ current: Generation, _ history: [Generation], at now: Instant, _ actions: inout [ReplicaAction]
    ) {
        guard sync == .target, link == .up else {
            closeLink(.protocolError, at: now, &actions)
            return
        }
        superblock.generations = GenerationTuple(current: current, bitmap: .none, history: history)
        let isNamed = record?.copies.contains(me) ?? false
        superblock.condition = isNamed ? .consistent : .awaitingRecord
        if !isNamed { reach(.targetWaitedForRecord, &actions) }
        dirty.removeAll()
        changedPages.insertAll()
        recent.removeAll()
        flushing.removeAll()
        logQueue += log.clear()
        store(
            [.bitmap(.targetComplete)] + logQueue.map { _ in .log(.logCleared) } + [
                .superblock(.targetComplete)
            ],
            then: .targetStored, at: now, &actions)
    }

    mutating func targetStored(at now: Instant, _ actions: inout [ReplicaAction]) {
        guard sync == .target, link == .up else { return }
        send(.resyncDoneStored, &actions)
        actions.append(.note(.resyncEnded(isSource: false, bytesSent: 0)))
        // It has all there is and its memory is unbroken from here on; whether it counts, the record says (R5).
        isRestarted = false
        waitingForPeer = false
        if record?.copies.contains(me) ?? false { sync = .none }
    }

    /// The connection is gone in the middle, or there was no resync.
    mutating func endResync(_ actions: inout [ReplicaAction]) {
        for slot in SlotLayout.resync where requests[slot].kind == .resync {
            if !requests[slot].state.contains(.localPending) { release(slot) }
        }
        // What was to be answered at its end is in flight again.
        for slot in covered {
            requests[slot].state.remove(.coveredByResync)
            active.append(slot)
        }
        covered.removeAll()
        flush.isForResync = false
        sync = .none
    }
}
