import Basics
import DiskFormat
import Quorum
import WireFormat

// The connection: frames taken from the peer, its loss, and what is frozen by it (DESIGN 5.6).
extension Replica {
    /// A data frame has arrived; its payload is in the slot.
    mutating func takeFrame(
        _ slot: SlotIndex, _ kind: Request.Kind, _ tag: UInt64, _ range: ByteRange, _ stamp: EpochStamp,
        at now: Instant, _ actions: inout [ReplicaAction]
    ) {
        guard acceptsFrame(stamp, at: now, &actions) else {
            actions.append(.complete(slot: slot, .failed))
            return
        }
        guard range.end <= superblock.size, kind != .peerResync || sync == .target,
            kind != .peerRead || isOnlyCopyOfPeer
        else {
            actions.append(.complete(slot: slot, .failed))
            closeLink(.protocolError, at: now, &actions)
            return
        }
        requests[slot] = Request(kind: kind, range: range, blocks: range.units(of: BlockSize.block), tag: tag)
        waiting.append(slot)
    }

    /// Whether a frame of this stamp may be applied (R6).
    mutating func acceptsFrame(_ stamp: EpochStamp, at now: Instant, _ actions: inout [ReplicaAction]) -> Bool
    {
        guard link == .up, !isPrimary else {
            closeLink(.protocolError, at: now, &actions)
            return false
        }
        if asksToHold, !has(.oldFramesAfterAsking) {
            reach(.refusedFrameAfterAsking, &actions)
            closeLink(.oldEpoch, at: now, &actions)
            return false
        }
        // The same holder under its next record is no old one: its frames were only under way.
        if let known = adopting ?? record, stamp.epoch < known.epoch, known.holder == me,
            !has(.oldFramesAfterAsking)
        {
            actions.append(.note(.refusedOldFrame))
            closeLink(.oldEpoch, at: now, &actions)
            return false
        }
        if let known = adopting ?? record, stamp != EpochStamp(known), stamp.epoch == known.epoch,
            distrustsEqualEpochs
        {
            closeLink(.recordChanged, at: now, &actions)
            return false
        }
        return true
    }

    /// Whether two grants of one epoch are a contradiction: an arbiter never makes them. The next handshake tells it
    /// to both sides (G7).
    var distrustsEqualEpochs: Bool { configuration.hasArbiter && !has(.grantsOfOneEpochEqual) }

    /// Whether this node has asked, or is about to ask, to become holder.
    var asksToHold: Bool {
        switch narrowStage {
        case .none: false
        case .draining(let purpose), .storing(let purpose): purpose == .takeOver || purpose == .promote
        case .open: superblock.intent.map { $0.purpose == .takeOver || $0.purpose == .promote } ?? false
        }
    }

    /// A frame is on the own disk: say so, unless its connection is gone.
    mutating func framesApplied(
        _ slot: SlotIndex, ok: Bool, at now: Instant, _ actions: inout [ReplicaAction]
    ) {
        let request = requests[slot]
        recent.insert(request.blocks)
        if has(.clearBeforeDurable) { clearEarly(request.range.wholeUnits(of: BlockSize.block)) }
        release(slot)
        actions.append(.complete(slot: slot, ok ? .done : .failed))
        if !ok {
            // The order matters: the error is told before the connection ends, and nothing is acknowledged.
            if link == .up, !request.state.contains(.orphan) {
                actions.append(.sendAcknowledgement(tag: request.tag, ok: false))
            }
            ownDiskFailed(at: now, &actions)
        } else if link == .up, !request.state.contains(.orphan), !isDiskFailed {
            actions.append(.sendAcknowledgement(tag: request.tag, ok: true))
        }
    }

    // MARK: connection

    mutating func linkUp(at now: Instant, _ actions: inout [ReplicaAction]) {
        // Who has diverged greets, so that the other learns it too (G7).
        guard connectionsAllowed || hasDiverged, !isDiskFailed || isPrimary && isDiskless else {
            actions.append(.closeLink(isDiskFailed ? .diskFailed : .disconnected))
            return
        }
        if link != .down { endLink(at: now, &actions) }
        peerHello = nil
        peerReady = false
        selfReady = false
        peerBitmapComplete = false
        selfBitmapSent = false
        agreed = nil
        control.removeAll(keepingCapacity: true)
        controlHead = 0
        link = .settling
        if has(.intentForgottenByReconnect), superblock.intent != nil {
            superblock.intent = nil
            narrowStage = .none
        }
    }

    mutating func linkLost(at now: Instant, _ actions: inout [ReplicaAction]) {
        guard link != .down else { return }
        endLink(at: now, &actions)
    }

    mutating func closeLink(_ reason: CloseReason, at now: Instant, _ actions: inout [ReplicaAction]) {
        if reason.standsAlone {
            connectionsAllowed = false
            hasDiverged = reason != .disconnected
        }
        guard link != .down else { return }
        actions.append(.closeLink(reason))
        endLink(at: now, &actions)
    }

    private mutating func endLink(at now: Instant, _ actions: inout [ReplicaAction]) {
        let wasUp = link == .up
        link = .down
        agreed = nil
        dropWaitingFrames(&actions)
        peerFlush.isOrphan = true
        peerFlush.next = nil
        peerFlush.lastTag = 0
        endResync(&actions)
        // Everything in flight freezes, also what the peer has acknowledged: it may have died since and lost it.
        for slot in active { requests[slot].state.remove([.peerPending, .mirrored]) }
        giveUpFlush()
        if isPrimary {
            if isDiskless, wasUp { reach(.lostPeerWithoutDisk, &actions) }
            if needsPeer {
                freeze(at: now, &actions)
            } else {
                // The peer is no copy: what it may lack is marked, and nothing waits for it.
                if wasUp || !recent.isEmpty {
                    markUnflushed()
                    settleAlone(&actions)
                }
                resumeAlone(at: now, &actions)
            }
        } else if !needsPeer || !(record?.copies.contains(me) ?? false) {
            // A target outside `copies` may have lost what it received: its own bitmap says so.
            if !has(.restartedPeerNotMarked) { markUnflushed() }
        }
    }

    /// Frames that wait for their turn were never acknowledged: they are dropped.
    private mutating func dropWaitingFrames(_ actions: inout [ReplicaAction]) {
        var kept: [SlotIndex] = []
        for slot in waiting {
            switch requests[slot].kind {
            case .peerWrite, .peerZero, .peerResync, .peerRead:
                requests[slot].kind = .free
                actions.append(.complete(slot: slot, .failed))
            case .resync:
                requests[slot].kind = .free
            default:
                kept.append(slot)
            }
        }
        waiting = kept
        for slot in active {
            switch requests[slot].kind {
            case .peerWrite, .peerZero, .peerResync, .peerRead:
                requests[slot].state.insert(.orphan)
            default: break
            }
        }
    }

    /// The ranges in flight and in the transfer log become marked.
    mutating func markUnflushed() {
        for set in [recent, flushing] where !set.isEmpty {
            dirty.formUnion(set)
            var block = set.first(from: 0)
            while let found = block {
                let page = found / MetadataPages.blocksPerPage
                changedPages.insert(page)
                block = set.first(from: (page + 1) * MetadataPages.blocksPerPage)
            }
        }
        for slot in active {
            switch requests[slot].kind {
            case .write, .zero, .peerWrite, .peerZero, .peerResync: mark(requests[slot].blocks)
            case .free, .read, .flush, .resync, .peerRead: break
            }
        }
        recent.removeAll()
        flushing.removeAll()
    }

    /// Ends what waited for the peer only.
    mutating func settleAlone(_ actions: inout [ReplicaAction]) {
        for slot in active.sorted(by: { requests[$0].tag < requests[$1].tag }) {
            switch requests[slot].kind {
            case .write, .zero:
                requests[slot].state.remove([.peerPending, .mirrored, .coveredByResync])
                completeIfDone(slot, &actions)
            default: break
            }
        }
        if !flush.queued.isEmpty || flush.isForLog { flush.isWanted = true }
    }

    mutating func freeze(at now: Instant, _ actions: inout [ReplicaAction]) {
        guard roleStage == .settled || isDemoting else { return }
        if isFrozen {
            // A connection came and went before its handshake was over: the question stands.
            wantNarrow(&actions)
            return
        }
        isFrozen = true
        actions.append(.note(.frozen(ownDiskFailed: isDiskFailed)))
        actions.append(.setTimer(.freeze, now + configuration.freezeTimeout))
        if has(.aloneWithoutGrant), let record {
            let own = ArbiterRecord(epoch: record.epoch, grant: record.grant, holder: me, copies: mySet)
            superblock.record = own
            goAlone(own, at: now, &actions)
            return
        }
        wantNarrow(&actions)
    }

    var isDemoting: Bool {
        if case .demoting = roleStage { return true }
        return false
    }
}
