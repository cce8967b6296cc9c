import Basics
import WireFormat
import DiskFormat
import Quorum

// Becoming Primary, ceasing to be it, and being deposed (R6; DESIGN 5.6, 9).
extension Replica {
    mutating func handleCommand(_ event: ReplicaEvent, at now: Instant, _ actions: inout [ReplicaAction]) {
        switch event {
        case .promote: promoteCommand(at: now, &actions)
        case .takeOver: promoteCommand(suspecting: true, at: now, &actions)
        case .demote:
            if isPrimary, roleStage == .settled { roleStage = .demoting(thenHandOver: false) }
        case .handOver: handOverCommand(at: now, &actions)
        case .leave:
            if !isPrimary, record?.copies == .both { wantAsk(.leave, at: now, &actions) }
        case .muted: muted(at: now, &actions)
        case .connect:
            connectionsAllowed = true
            hasDiverged = false
        case .disconnect:
            connectionsAllowed = false
            hasDiverged = false
            closeLink(.disconnected, at: now, &actions)
        default: preconditionFailure("not a command")
        }
    }

    mutating func refusePromotion(_ reason: PromotionRefusal, _ actions: inout [ReplicaAction]) {
        promotionWanted = false
        actions.append(.promotionRefused(reason))
    }

    mutating func promoteCommand(
        suspecting: Bool = false, at now: Instant, _ actions: inout [ReplicaAction]
    ) {
        guard !isPrimary else {
            if roleStage == .settled, !isDiskFailed {
                actions.append(.roleChanged(isPrimary: true))
            } else {
                actions.append(.promotionRefused(.stuck))
            }
            return
        }
        if let reason = promotionObstacle {
            refusePromotion(reason, &actions)
            return
        }
        promotionWanted = true
        guard link == .up else {
            wantAsk(.takeOver, at: now, &actions)
            return
        }
        if suspecting, record?.holder == me.peer {
            // From here on the old holder's frames are refused, until the arbiter refuses (R6).
            wantAsk(.takeOver, at: now, &actions)
        } else if record?.holder == me {
            wantAsk(.promote, at: now, &actions)
        } else {
            send(.handOverWanted, &actions)
        }
    }

    private var promotionObstacle: PromotionRefusal? {
        guard isStarted, roleStage == .settled, !isDiskFailed, superblock.condition == .consistent,
            record?.copies.contains(me) == true
        else { return .notUpToDate }
        if superblock.intent != nil || adopting != nil { return .requestOpen }
        guard case .none = narrowStage else { return .requestOpen }
        if sync != .none { return .resyncRunning }
        switch link {
        case .settling, .greeted, .preparing: return .resyncRunning
        case .up: if record?.copies != .both, !isOnlyCopyOfPeer { return .resyncRunning }
        case .down: if isRestarted, waitingForPeer { return .waitingForPeer }
        }
        if configuration.hasArbiter, !arbiterReachable { return .noArbiter }
        return nil
    }

    /// The grant to be Primary is here: stored with the generation before the device may be made.
    mutating func promote(under new: ArbiterRecord, at now: Instant, _ actions: inout [ReplicaAction]) {
        roleStage = .promoting
        adopting = new
        superblock.record = new
        if new.copies == mySet {
            if link != .down { closeLink(.recordChanged, at: now, &actions) }
            rotateGeneration()
        }
        store(
            [.bitmap(.bitmapGoingAlone), .superblock(.superblockGoingAlone)],
            then: .becamePrimary(epoch: new.epoch),
            at: now, &actions)
    }

    mutating func becamePrimary(epoch: UInt64, at now: Instant, _ actions: inout [ReplicaAction]) {
        guard let new = adopting, new.epoch == epoch, roleStage == .promoting else { return }
        promotionWanted = false
        record = new
        adopting = nil
        roleStage = .settled
        if isDiskFailed {
            refusePromotion(.notUpToDate, &actions)
            return
        }
        isPrimary = true
        if new.copies == mySet {
            isRestarted = false
        } else if link == .up {
            send(.record(new), &actions)
        }
        actions.append(.roleChanged(isPrimary: true))
        if new.copies == .both, link == .down { freeze(at: now, &actions) }
    }

    private mutating func handOverCommand(at now: Instant, _ actions: inout [ReplicaAction]) {
        guard link == .up, sync == .none, record?.copies == .both || isDiskless && !isFrozen,
            record?.holder == me, roleStage == .settled
        else {
            actions.append(.promotionRefused(sync == .none ? .notUpToDate : .resyncRunning))
            return
        }
        if isPrimary {
            roleStage = .demoting(thenHandOver: true)
        } else {
            wantAsk(.handOver, at: now, &actions)
        }
    }

    mutating func peerWantsToHold(at now: Instant, _ actions: inout [ReplicaAction]) {
        let mayAsk =
            !isPrimary && roleStage == .settled && link == .up && sync == .none && record?.holder == me
        guard mayAsk, record?.copies == .both || isDiskless, superblock.intent == nil,
            case .none = narrowStage
        else {
            send(.handOverRefused, &actions)
            return
        }
        wantAsk(.handOver, at: now, &actions)
    }

    // MARK: in steps

    mutating func advanceRole(at now: Instant, _ actions: inout [ReplicaAction]) {
        switch roleStage {
        case .settled, .promoting, .clearingLog, .marking, .muting: break
        case .demoting(let handOver): advanceDemotion(thenHandOver: handOver, at: now, &actions)
        case .deposing:
            if active.contains(where: { requests[$0].state.contains(.localPending) }) { return }
            roleStage = .marking
            if !has(.deposedNotMarked) { markUnflushed() }
            store([.bitmap(.bitmapDeposed), .superblock(.record)], then: .deposedMarked, at: now, &actions)
        }
    }

    private mutating func advanceDemotion(
        thenHandOver: Bool, at now: Instant, _ actions: inout [ReplicaAction]
    ) {
        guard active.isEmpty, waiting.isEmpty, covered.isEmpty, flush.queued.isEmpty, !flush.isActive,
            !isFrozen,
            case .none = narrowStage, adopting == nil, logStage == .idle
        else { return }
        // A request that came after all, behind that flush, is flushed too.
        if !recent.isEmpty { isFlushedForRole = false }
        if !flush.isForRole, !isFlushedForRole {
            flush.isForRole = true
            flush.isWanted = true
            return
        }
        guard isFlushedForRole else { return }
        isFlushedForRole = false
        roleStage = .clearingLog(thenHandOver: thenHandOver)
        // The log may go when nothing that it covers can be missing anywhere (DESIGN 5.6).
        let bothHaveAll = link == .up && sync == .none && record?.copies == .both && dirty.isEmpty
        var steps: [MetaStep] = [.bitmap(.evictionBitmap)]
        if bothHaveAll || record?.copies == mySet, !log.isEmpty {
            logQueue += log.clear()
            steps += logQueue.map { _ in .log(.logCleared) }
        }
        store(steps, then: .logCleared(thenHandOver: thenHandOver), at: now, &actions)
    }

    mutating func logCleared(thenHandOver: Bool, at now: Instant, _ actions: inout [ReplicaAction]) {
        guard case .clearingLog = roleStage else { return }
        roleStage = .settled
        isPrimary = false
        actions.append(.roleChanged(isPrimary: false))
        if thenHandOver, link == .up, sync == .none, record?.copies == .both || isDiskless {
            if isDiskless { reach(.handedOverWithoutDisk, &actions) }
            wantAsk(.handOver, at: now, &actions)
        }
    }

    /// The grant is gone, or no verdict came: settle, mark, mute, fail, become Secondary.
    mutating func depose(at now: Instant, _ actions: inout [ReplicaAction]) {
        guard isPrimary, roleStage == .settled || isDemoting else { return }
        roleStage = .deposing
        if link != .down { closeLink(.recordChanged, at: now, &actions) }
        advanceRole(at: now, &actions)
    }

    mutating func deposedMarked(at now: Instant, _ actions: inout [ReplicaAction]) {
        guard roleStage == .marking else { return }
        if let new = adopting, mayActOn(new) {
            record = new
            adopting = nil
        }
        roleStage = .muting
        actions.append(.mute)
    }

    /// The address is gone: now, and not before, the device may fail.
    private mutating func muted(at now: Instant, _ actions: inout [ReplicaAction]) {
        guard roleStage == .muting else { return }
        for slot in SlotLayout.client where requests[slot].kind != .free {
            release(slot)
            actions.append(.complete(slot: slot, .failed))
        }
        waiting.removeAll { SlotLayout.client.contains($0) }
        flush.queued.removeAll()
        flush.clients.removeAll()
        flush.isActive = false
        flush.isWanted = false
        flush.isForLog = false
        flush.isForRole = false
        isFlushedForRole = false
        if logStage == .flushing { logStage = .idle }
        isPrimary = false
        isFrozen = false
        roleStage = .settled
        actions.append(.roleChanged(isPrimary: false))
    }

    mutating func timerFired(_ timer: ReplicaTimer, at now: Instant, _ actions: inout [ReplicaAction]) {
        switch timer {
        case .freeze:
            guard isFrozen, isPrimary else { return }
            guard adopting == nil else {
                // A verdict that is being stored is a verdict, if it thaws.
                actions.append(.setTimer(.freeze, now + configuration.askAgain))
                return
            }
            actions.append(.note(.verdictTimeout))
            depose(at: now, &actions)
        case .waitForPeer: waitingForPeer = false
        case .askAgain:
            if superblock.intent != nil {
                askOrRead(&actions)
                actions.append(.setTimer(.askAgain, now + configuration.askAgain))
            } else if isFrozen {
                wantNarrow(&actions)
                actions.append(.setTimer(.askAgain, now + configuration.askAgain))
            } else if sync == .source, resync.stage == .widening {
                wantAsk(.widen, at: now, &actions)
                actions.append(.setTimer(.askAgain, now + configuration.askAgain))
            }
        }
    }
}
