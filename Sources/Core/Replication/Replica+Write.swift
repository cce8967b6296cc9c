import Basics
import WireFormat
import Quorum
import DiskFormat

// How a write is issued, sent and answered (DESIGN 5.2 to 5.4).
extension Replica {
    /// A request of the device has arrived.
    mutating func admit(
        _ slot: SlotIndex, _ kind: Request.Kind, _ range: ByteRange, at now: Instant,
        _ actions: inout [ReplicaAction]
    ) {
        guard takesRequests, range.end <= superblock.size else {
            actions.append(.complete(slot: slot, .failed))
            return
        }
        requests[slot] = Request(kind: kind, range: range, blocks: range.units(of: BlockSize.block))
        waiting.append(slot)
    }

    /// Whether a request of the device is taken. Who is being deposed takes it too, and fails it with all others when the
    /// address is gone: no client may see an error from an address that still answers (DESIGN 5.6).
    var takesRequests: Bool {
        guard isPrimary else { return false }
        return switch roleStage {
        case .settled, .demoting, .deposing, .marking, .muting: true
        case .promoting, .clearingLog: false
        }
    }

    /// The only copy has failed the request: an error, now or when the address is gone.
    mutating func failOnOnlyCopy(_ slot: SlotIndex, _ actions: inout [ReplicaAction]) {
        switch roleStage {
        case .deposing, .marking, .muting: return
        case .settled, .demoting, .promoting, .clearingLog: break
        }
        release(slot)
        actions.append(.complete(slot: slot, .failed))
    }

    /// Issues what waits and may go, oldest first; what overlaps something older keeps its turn.
    mutating func pump(at now: Instant, _ actions: inout [ReplicaAction]) {
        var kept = 0
        var wanted: [Int] = []
        for index in waiting.indices {
            let slot = waiting[index]
            if mayIssue(slot, before: kept, wanted: &wanted, &actions) {
                issue(slot, at: now, &actions)
            } else {
                waiting[kept] = slot
                kept += 1
            }
        }
        waiting.removeLast(waiting.count - kept)
        if !wanted.isEmpty, logStage == .idle { startLogTransaction(wanted, at: now, &actions) }
    }

    private mutating func mayIssue(
        _ slot: SlotIndex, before kept: Int, wanted: inout [Int], _ actions: inout [ReplicaAction]
    ) -> Bool {
        let blocks = requests[slot].blocks
        let kind = requests[slot].kind
        switch kind {
        case .read, .write, .zero:
            guard isGateOpen(forWrite: kind != .read) else { return false }
        case .peerWrite, .peerZero, .peerResync, .peerRead, .resync, .flush, .free:
            break
        }
        let isRead = requests[slot].isRead
        for other in active where requests[other].blocks.overlaps(blocks) {
            if !isRead || !requests[other].isRead { return false }
        }
        // The resync passes writes that wait: what closes their gate may be this very resync.
        for index in 0..<kept where kind != .resync && requests[waiting[index]].blocks.overlaps(blocks) {
            if !isRead || !requests[waiting[index]].isRead { return false }
        }
        if kind == .write || kind == .zero, !isDiskless {
            let range = requests[slot].range
            let extents = range.units(of: configuration.extent)
            if !log.touch(extents) {
                for extent in extents where !log.hot.contains(extent) && !wanted.contains(extent) {
                    wanted.append(extent)
                }
                return false
            }
        }
        return true
    }

    /// Whether requests of the device may start.
    func isGateOpen(forWrite: Bool) -> Bool {
        // Without an own disk nothing is served until the record says whose copy counts, and the peer has it (R2).
        if isDiskFailed, !isDiskless { return false }
        switch roleStage {
        case .settled, .demoting: break
        case .promoting, .clearingLog, .deposing, .marking, .muting: return false
        }
        if !forWrite, !isDiskless { return true }
        if isFrozen { return false }
        if sync == .gatedSource, !has(.targetCountsAsCopy) { return false }
        if sync == .source, resync.stage != .copying, resync.stage != .widening { return false }
        if needsPeer, link != .up, !has(.acknowledgeWithoutPeer) { return false }
        if case .draining = narrowStage { return !needsPeer }
        return true
    }

    /// Whether frames go to the peer: it is a copy, or becomes one.
    var isMirroring: Bool { link == .up && (sync != .none || needsPeer || record?.copies == .both) }

    private mutating func issue(_ slot: SlotIndex, at now: Instant, _ actions: inout [ReplicaAction]) {
        active.append(slot)
        requests[slot].state = [.issued, .localPending]
        switch requests[slot].kind {
        case .read where isDiskless && !has(.readsFailedDisk):
            requests[slot].state = .issued
            askPeer(slot, &actions)
        case .read, .resync, .peerRead:
            actions.append(.readData(slot: slot))
        case .write, .zero:
            issueWrite(slot, &actions)
        case .peerWrite, .peerResync:
            actions.append(.writeData(slot: slot))
        case .peerZero:
            actions.append(.zeroData(slot: slot))
        case .flush, .free:
            preconditionFailure("slot \(slot) waits without a range")
        }
    }

    private mutating func issueWrite(_ slot: SlotIndex, _ actions: inout [ReplicaAction]) {
        let blocks = requests[slot].blocks
        let isZero = requests[slot].kind == .zero
        sequence += 1
        requests[slot].tag = sequence << 8 | UInt64(slot)
        if isMirroring {
            requests[slot].state.insert([.mirrored, .peerPending])
            if sync != .none {
                if isEqual(blocks.lowerBound) { requests[slot].state.insert(.firstEdgeEqual) }
                if isEqual(blocks.upperBound - 1) { requests[slot].state.insert(.lastEdgeEqual) }
            } else {
                requests[slot].state.insert([.firstEdgeEqual, .lastEdgeEqual])
            }
        }
        if isDiskless {
            // The peer marks for both: its copy is the only one.
            requests[slot].state.remove(.localPending)
            reach(.wroteThroughPeer, &actions)
            actions.append(isZero ? .sendZero(slot: slot) : .sendWrite(slot: slot))
            return
        }
        // Until the record names both, a block that is written may differ (DESIGN 5.3 b).
        if record?.copies != .both || sync != .none { mark(blocks) }
        if requests[slot].state.contains(.mirrored) {
            actions.append(isZero ? .sendZero(slot: slot) : .sendWrite(slot: slot))
        }
        actions.append(isZero ? .zeroData(slot: slot) : .writeData(slot: slot))
    }

    /// Whether the block holds the same on both while a resync runs.
    func isEqual(_ block: Int) -> Bool {
        !dirty.contains(block) || recent.contains(block) || flushing.contains(block)
    }

    // MARK: completion

    mutating func diskDone(_ slot: SlotIndex, ok: Bool, at now: Instant, _ actions: inout [ReplicaAction]) {
        guard requests[slot].state.contains(.localPending) else { return }
        requests[slot].state.remove(.localPending)
        if !ok { requests[slot].state.insert(.localFailed) }
        switch requests[slot].kind {
        case .read:
            ownRead(slot, ok: ok, at: now, &actions)
        case .peerRead:
            peerReadDone(slot, ok: ok, at: now, &actions)
        case .write, .zero:
            if !ok { ownDiskFailed(at: now, &actions) }
            completeIfDone(slot, &actions)
        case .peerWrite, .peerZero, .peerResync:
            framesApplied(slot, ok: ok, at: now, &actions)
        case .resync:
            resyncRead(slot, ok: ok, at: now, &actions)
        case .flush, .free:
            break
        }
    }

    mutating func acknowledged(_ tag: UInt64, ok: Bool, at now: Instant, _ actions: inout [ReplicaAction]) {
        let slot = Int(tag & 0xFF)
        guard slot < SlotLayout.count, requests[slot].tag == tag, requests[slot].state.contains(.peerPending)
        else {
            // Of an older connection or never sent: not ours to count.
            actions.append(.note(.refusedOldFrame))
            return
        }
        guard ok else {
            // The peer cannot keep up its copy: it leaves `copies` before anything that it lacks is answered (R1).
            reach(.peerErrorBlocksAnswer, &actions)
            closeLink(.diskFailed, at: now, &actions)
            return
        }
        requests[slot].state.remove(.peerPending)
        if requests[slot].kind == .resync {
            resyncAcknowledged(slot, &actions)
        } else {
            completeIfDone(slot, &actions)
        }
    }

    /// Answers the device when all that must be done is done (R1).
    mutating func completeIfDone(_ slot: SlotIndex, _ actions: inout [ReplicaAction]) {
        let state = requests[slot].state
        if state.contains(.localPending) { return }
        if state.contains(.coveredByResync) { return }
        // The copy that alone counts must know, durably, that it does.
        if isDiskless, isFrozen { return }
        if state.contains(.localFailed), !has(.ownErrorAnsweredEarly) {
            // The own disk is a copy too: the record must change first.
            if record?.copies == mySet {
                failOnOnlyCopy(slot, &actions)
                return
            }
            guard record?.copies.contains(me) == false, !state.contains(.peerPending) else {
                reach(.ownErrorBlocksAnswer, &actions)
                return
            }
        }
        if state.contains(.peerPending), !has(.acknowledgeWithoutPeer) { return }
        if needsPeer, !state.contains(.mirrored), !has(.acknowledgeWithoutPeer) { return }
        if state.contains(.mirrored), !state.contains(.peerPending) {
            rememberAcknowledged(slot)
            if needsPeer {
                reach(record?.copies == .both ? .answeredByAllOfCopies : .obeyedOldAndNewRecord, &actions)
            }
        }
        release(slot)
        actions.append(.complete(slot: slot, .done))
        if recent.count >= configuration.transferLogBlocks / 2, !flush.isActive { flush.isWanted = true }
    }

    /// Both have it, neither need have it durably: the transfer log.
    mutating func rememberAcknowledged(_ slot: SlotIndex) {
        let blocks = requests[slot].blocks
        let state = requests[slot].state
        let whole = requests[slot].range.wholeUnits(of: BlockSize.block)
        if state.isSuperset(of: [.firstEdgeEqual, .lastEdgeEqual]) {
            recent.insert(blocks)
        } else {
            recent.insert(whole)
            if state.contains(.firstEdgeEqual) { recent.insert(blocks.lowerBound) }
            if state.contains(.lastEdgeEqual) { recent.insert(blocks.upperBound - 1) }
        }
        if has(.clearBeforeDurable) { clearEarly(whole) }
    }

    /// The deliberate fault: bits go out, also on disk, as soon as both have the block.
    mutating func clearEarly(_ blocks: Range<Int>) {
        guard sync != .none, !blocks.isEmpty else { return }
        dirty.remove(blocks)
        changedPages.insert(pages(of: blocks))
    }

    mutating func release(_ slot: SlotIndex) {
        if let index = active.firstIndex(of: slot) {
            active.swapAt(index, active.count - 1)
            active.removeLast()
        }
        requests[slot].kind = .free
        requests[slot].state = []
        requests[slot].blocks = 0..<0
    }

    // MARK: the activity log

    /// Makes room for the wanted extents: durable data, durable bitmap, then the transaction (DESIGN 5.3 a to c).
    mutating func startLogTransaction(_ wanted: [Int], at now: Instant, _ actions: inout [ReplicaAction]) {
        wantedExtents = Array(wanted.prefix(ActivityLogTransaction.updateMaximum))
        let victims = log.victims(for: wantedExtents.count, isPinned: isPinned)
        if victims.isEmpty {
            // Every extent is pinned: the flush of what was acknowledged unpins them.
            if !recent.isEmpty || !flushing.isEmpty { requestLogFlush() }
            return
        }
        let unflushed = victims.contains { slot in
            guard let extent = log.extent(in: slot) else { return false }
            let blocks = self.blocks(ofExtent: extent)
            return recent.intersects(blocks) || flushing.intersects(blocks)
        }
        if unflushed {
            requestLogFlush()
            return
        }
        logStage = .storing
        let transaction = log.replace(victims, with: Array(wantedExtents.prefix(victims.count)))
        logQueue.append(transaction)
        let steps: [MetaStep] =
            has(.evictWithoutBitmap)
            ? [.log(.logTransaction)] : [.bitmap(.evictionBitmap), .log(.logTransaction)]
        store(steps, then: .logReady, at: now, &actions)
    }

    private mutating func requestLogFlush() {
        logStage = .flushing
        flush.isForLog = true
        flush.isWanted = true
    }

    func blocks(ofExtent extent: Int) -> Range<Int> {
        let count = Int(configuration.extent / BlockSize.block)
        return extent * count..<min((extent + 1) * count, dirty.capacity)
    }

    /// An extent stays while a write in it is under way.
    private func isPinned(_ extent: Int) -> Bool {
        let blocks = blocks(ofExtent: extent)
        return active.contains { slot in
            switch requests[slot].kind {
            case .write, .zero: requests[slot].blocks.overlaps(blocks)
            default: false
            }
        }
    }

    mutating func logStored(at now: Instant, _ actions: inout [ReplicaAction]) {
        logStage = .idle
        if !isDiskFailed { log.commit(logTransaction) }
    }
}
