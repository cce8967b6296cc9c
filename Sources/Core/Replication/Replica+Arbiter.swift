import Basics
import WireFormat
import DiskFormat
import Quorum

// Requests to the arbiter and records from it (R2, R3, R5, R6).
extension Replica {
    /// Starts asking for a new record, unless a request is open or being prepared: never two (R3).
    mutating func wantAsk(_ purpose: ArbiterPurpose, at now: Instant, _ actions: inout [ReplicaAction]) {
        guard case .none = narrowStage, superblock.intent == nil else { return }
        narrowStage = .draining(purpose)
        advanceAsking(at: now, &actions)
    }

    mutating func wantNarrow(_ actions: inout [ReplicaAction]) {
        guard case .none = narrowStage, superblock.intent == nil, adopting == nil, isPrimary,
            record?.copies == .both
        else { return }
        narrowStage = .draining(.narrow)
    }

    /// Moves the asking on when what it waits for is over.
    mutating func advanceAsking(at now: Instant, _ actions: inout [ReplicaAction]) {
        guard case .draining(let purpose) = narrowStage, adopting == nil else { return }
        guard arbiterReachable || !configuration.hasArbiter else { return }
        switch purpose {
        case .narrow:
            // The peer is back before anything was asked: it is heard first.
            if link != .down, !isDiskFailed {
                narrowStage = .none
                return
            }
            if hasLocalPending { return }
        case .takeOver, .promote:
            if sync != .none {
                narrowStage = .none
                refusePromotion(.resyncRunning, &actions)
                return
            }
            // What was received is drained; nothing more is taken (R6).
            if !active.isEmpty || !waiting.isEmpty || peerFlush.isSyncing { return }
        case .widen:
            if link != .up {
                narrowStage = .none
                return
            }
        case .handOver, .leave: break
        }
        narrowStage = .storing(purpose)
        let needsFlush = purpose == .narrow && !isDiskFailed || purpose == .takeOver || purpose == .promote
        if needsFlush, !has(.askWithoutFlush) {
            reach(.flushedBeforeAsking, &actions)
            store([.data(.dataBeforeAsking)], then: .flushedForAsking, at: now, &actions)
        } else {
            storeIntent(at: now, &actions)
        }
    }

    /// The own data is on its disk: the request is stored, then sent.
    mutating func storeIntent(at now: Instant, _ actions: inout [ReplicaAction]) {
        guard case .storing(let purpose) = narrowStage, let record else { return }
        guard mayAsk(purpose) else { return abandonAsking(&actions) }
        var holder = me
        var copies = NodeSet.both
        switch purpose {
        case .narrow: copies = isDiskFailed ? peerSet : mySet
        case .takeOver: copies = mySet
        case .widen, .promote: break
        case .handOver:
            holder = me.peer
            if isDiskless { copies = peerSet }
        case .leave:
            holder = me.peer
            copies = peerSet
        }
        superblock.intent = ArbiterRequest(
            identifier: Mark(using: &generator), purpose: purpose, asker: me, expectedEpoch: record.epoch,
            expectedGrant: record.grant, holder: holder, copies: copies, restarted: isRestarted)
        intentWasSent = false
        intentMayBeGranted = false
        store([.superblock(.intent)], then: .sendIntent, at: now, &actions)
    }

    mutating func intentStored(at now: Instant, _ actions: inout [ReplicaAction]) {
        guard let intent = superblock.intent else { return }
        guard mayAsk(intent.purpose) || intentWasSent else {
            // Never sent, so not open: the disk failed while the request was being stored on it.
            closeIntent()
            return abandonAsking(&actions)
        }
        narrowStage = .open
        actions.append(.note(.asked(intent.purpose)))
        if !configuration.hasArbiter {
            let own = ArbiterRecord(
                epoch: intent.expectedEpoch + 1, grant: Mark(using: &generator), holder: intent.holder,
                copies: intent.copies)
            answered(intent, .granted(own), at: now, &actions)
            return
        }
        if intent.purpose == .widen, link != .up, !intentWasSent {
            // Never sent, so not open: the peer that it was for is gone.
            withdrawWidening(at: now, &actions)
            return
        }
        askOrRead(&actions)
        actions.append(.setTimer(.askAgain, now + configuration.askAgain))
    }

    mutating func askOrRead(_ actions: inout [ReplicaAction]) {
        guard arbiterReachable else { return }
        if superblock.intent != nil, case .open = narrowStage {
            if intentWasSent {
                intentMayBeGranted = true
                reach(.askedAgainSameIdentifier, &actions)
            }
            intentWasSent = true
            actions.append(.askArbiter)
        } else {
            actions.append(.readRecord)
        }
    }

    /// Without its disk a node asks for nothing that would name it as a copy (R2).
    private func mayAsk(_ purpose: ArbiterPurpose) -> Bool {
        switch purpose {
        case .takeOver, .promote, .widen: !isDiskFailed
        case .narrow, .handOver, .leave: true
        }
    }

    /// The data could not be made durable: nothing is asked (R2).
    mutating func abandonAsking(_ actions: inout [ReplicaAction]) {
        reach(.didNotAskFlushFailed, &actions)
        narrowStage = .none
        if promotionWanted { refusePromotion(.notUpToDate, &actions) }
        // Its copy leaves instead (R2).
        if isDiskFailed, isFrozen { wantNarrow(&actions) }
    }

    private mutating func closeIntent() {
        superblock.intent = nil
        narrowStage = .none
        intentWasSent = false
        intentMayBeGranted = false
    }

    mutating func handleArbiter(_ event: ReplicaEvent, at now: Instant, _ actions: inout [ReplicaAction]) {
        switch event {
        case .arbiterUp:
            arbiterReachable = true
            if isStarted { askOrRead(&actions) }
        case .arbiterLost: arbiterReachable = false
        case .recordRead(let record): recordRead(record, at: now, &actions)
        case .arbiterAnswered(let identifier, let answer):
            guard let intent = superblock.intent, intent.identifier == identifier, case .open = narrowStage
            else {
                return
            }
            answered(intent, answer, at: now, &actions)
        default: preconditionFailure("not an event of the arbiter")
        }
    }

    private mutating func recordRead(
        _ read: ArbiterRecord?, at now: Instant, _ actions: inout [ReplicaAction]
    ) {
        guard let read, isStarted else { return }
        let known = adopting ?? record
        if read.epoch > known?.epoch ?? 0 {
            adopt(read, at: now, &actions)
        } else if read.epoch == known?.epoch, superblock.intent != nil {
            // An unchanged record proves nothing: the request may still arrive (R3).
            reach(.keptOpenByUnchangedRecord, &actions)
            if has(.unchangedRecordIsRefusal), let intent = superblock.intent, case .open = narrowStage {
                answered(intent, .refused(.recordChanged, read), at: now, &actions)
            }
        }
    }

    private mutating func answered(
        _ intent: ArbiterRequest, _ answer: ArbiterAnswer, at now: Instant, _ actions: inout [ReplicaAction]
    ) {
        switch answer {
        case .granted(let new):
            actions.append(.note(.answered(granted: true, reason: 0)))
            granted(intent, new, at: now, &actions)
        case .refused(let reason, let standing):
            actions.append(.note(.answered(granted: false, reason: reason.rawValue)))
            // An arbiter that has lost its record has lost what it granted too: unless this was the only time that it
            // was asked, its refusal proves nothing (R3).
            if intentMayBeGranted, reason == .noRecord || reason == .rolledBack {
                if promotionWanted { refusePromotion(.arbiterRefused, &actions) }
                return
            }
            if reason == .otherMemberIntact { reach(.soloGrantRefusedOtherIntact, &actions) }
            if asksToHold { reach(.resumedAfterRefusal, &actions) }
            if let standing, standing.epoch > (adopting ?? record)?.epoch ?? 0 {
                closeIntent()
                adopt(standing, at: now, &actions)
            } else if intent.purpose == .widen {
                withdrawWidening(at: now, &actions)
            } else {
                closeIntent()
                store([.superblock(.intent)], then: .nothing, at: now, &actions)
            }
            switch intent.purpose {
            case .takeOver, .promote: refusePromotion(.arbiterRefused, &actions)
            case .narrow: actions.append(.setTimer(.askAgain, now + configuration.askAgain))
            case .widen: actions.append(.setTimer(.askAgain, now + configuration.askAgain))
            case .handOver, .leave: break
            }
        }
    }

    /// A widening that was refused, or never sent, is off when the disk no longer has it: a restart would ask again, and
    /// the grant would name a peer that lacks what was answered alone meanwhile.
    private mutating func withdrawWidening(at now: Instant, _ actions: inout [ReplicaAction]) {
        closeIntent()
        withdrawals += 1
        store([.superblock(.intent)], then: .wideningWithdrawn, at: now, &actions)
    }

    mutating func wideningWithdrawn(at now: Instant, _ actions: inout [ReplicaAction]) {
        withdrawals -= 1
        resumeAlone(at: now, &actions)
    }

    /// The old record stands: what waited for the peer need not.
    mutating func resumeAlone(at now: Instant, _ actions: inout [ReplicaAction]) {
        guard isPrimary, link == .down, record?.copies == mySet, !needsPeer, isFrozen else { return }
        isFrozen = false
        actions.append(.note(.verdictAlone))
        markUnflushed()
        settleAlone(&actions)
    }

    private mutating func granted(
        _ intent: ArbiterRequest, _ new: ArbiterRecord, at now: Instant, _ actions: inout [ReplicaAction]
    ) {
        closeIntent()
        guard new.epoch > (adopting ?? record)?.epoch ?? 0 else {
            store([.superblock(.intent)], then: .nothing, at: now, &actions)
            return
        }
        switch intent.purpose {
        case .takeOver, .promote:
            if promotionWanted, !isPrimary, roleStage == .settled, !isDiskFailed {
                promote(under: new, at: now, &actions)
            } else {
                adopt(new, at: now, &actions)
            }
        case .narrow, .widen, .handOver, .leave: adopt(new, at: now, &actions)
        }
    }

    // MARK: records

    /// A newer record: stored, then acted on (R6). It closes a request that was asked from an older one (R3).
    mutating func adopt(_ new: ArbiterRecord, at now: Instant, _ actions: inout [ReplicaAction]) {
        if let intent = superblock.intent, new.epoch > intent.expectedEpoch {
            reach(.closedByHigherEpoch, &actions)
            closeIntent()
            if promotionWanted, !(new.holder == me && new.copies.contains(me)) {
                refusePromotion(.arbiterRefused, &actions)
            }
        } else if superblock.intent == nil, case .draining = narrowStage {
            narrowStage = .none
        }
        if roleStage == .promoting {
            roleStage = .settled
            refusePromotion(.arbiterRefused, &actions)
        }
        reach(.recordStoredBeforeActing, &actions)
        adopting = new
        superblock.record = new
        if new.copies.contains(me), superblock.condition == .awaitingRecord {
            superblock.condition = .consistent
        }
        if isPrimary, roleStage == .settled || isDemoting {
            if new.holder != me {
                actions.append(.note(.verdictDeposed))
                depose(at: now, &actions)
                return
            }
            if new.copies == mySet {
                goAlone(new, at: now, &actions)
                return
            }
        }
        var steps: [MetaStep] = [.superblock(.record)]
        if new.copies == mySet, new.holder == me.peer, !has(.failedCopyNotMarked) {
            // The holder's copy has failed: even if its disk works again, it gets everything (DESIGN 5).
            reach(.wholeBitmapForFailedCopy, &actions)
            mark(0..<dirty.capacity)
            // What it takes from here on is a state of its own: without an arbiter only that tells it later (G7).
            rotateGeneration()
            steps = [.bitmap(.bitmapGoingAlone), .superblock(.record)]
        }
        store(steps, then: .recordAdopted, at: now, &actions)
    }

    /// Whether the record is on the disk (R6). If it came while another was being stored, its own store will act;
    /// without a disk the last one that was to be stored acts.
    func mayActOn(_ new: ArbiterRecord) -> Bool {
        isDiskFailed ? !jobs.contains(where: \.storesRecord) : durableRecord == new
    }

    mutating func recordStored(at now: Instant, _ actions: inout [ReplicaAction]) {
        // A newer one may be on its way to the disk; it will act.
        guard let new = adopting, mayActOn(new) else { return }
        record = new
        adopting = nil
        actions.append(.note(.recordAdopted(epoch: new.epoch)))
        if new.copies == .both, new.holder == me, isPrimary || sync == .source { widened(at: now, &actions) }
        if isPrimary, new.holder == me {
            if new.copies == peerSet { leftOwnDisk(new, at: now, &actions) }
            if isDiskFailed { wantNarrow(&actions) }
            return
        }
        if new.copies.contains(me), superblock.condition == .consistent, sync == .target, link == .up {
            sync = .none
            isRestarted = false
            waitingForPeer = false
        }
        let servesHolder = isOnlyCopyOfPeer && link == .up && sync == .none
        if link == .greeted {
            markForRestartedPeer(at: now, &actions)
        } else if link == .up || link == .preparing, !servesHolder, new.copies != .both {
            closeLink(.recordChanged, at: now, &actions)
        } else if link == .up, new.holder == me.peer {
            send(.record(new), &actions)
        }
        if new.holder == me, new.copies.contains(me), superblock.condition == .consistent, !isPrimary {
            if promotionWanted {
                promotionWanted = false
                promoteCommand(at: now, &actions)
            } else {
                actions.append(.invitedToPromote)
            }
        }
    }

    /// The record names both again: the peer learns it, leftovers of the marks go with the next flush.
    private mutating func widened(at now: Instant, _ actions: inout [ReplicaAction]) {
        reach(.widenedAfterResync, &actions)
        actions.append(.note(.widened))
        sync = .none
        if link == .up, let record {
            send(.record(record), &actions)
            flush.isWanted = isPrimary
        } else if link == .down, isPrimary {
            freeze(at: now, &actions)
        }
    }

    /// A record that the peer sent.
    mutating func heardRecord(_ new: ArbiterRecord, at now: Instant, _ actions: inout [ReplicaAction]) {
        if new == record, adopting == nil {
            // Either side may have learnt it first; the holder without a disk waits to hear that the copy has it.
            if isDiskless, isPrimary, isFrozen, link == .up {
                goThroughPeer(at: now, &actions)
            } else if isOnlyCopyOfPeer, link == .up {
                send(.record(new), &actions)
            }
            return
        }
        let known = adopting ?? record
        if let known, new.epoch == known.epoch, new.grant != known.grant, distrustsEqualEpochs {
            closeLink(.recordChanged, at: now, &actions)
            return
        }
        guard new.epoch > known?.epoch ?? 0 else { return }
        adopt(new, at: now, &actions)
    }

    /// The grant is here: marks and a new generation first, then what was frozen (DESIGN 5.6).
    mutating func goAlone(_ new: ArbiterRecord, at now: Instant, _ actions: inout [ReplicaAction]) {
        adopting = new
        narrowStage = .none
        if link != .down { closeLink(.recordChanged, at: now, &actions) }
        markUnflushed()
        rotateGeneration()
        store(
            [.bitmap(.bitmapGoingAlone), .superblock(.superblockGoingAlone)],
            then: .goneAlone(epoch: new.epoch), at: now, &actions)
    }

    /// The data from here on is a state of its own; the bitmap counts from the state that both had.
    mutating func rotateGeneration() {
        guard superblock.generations.bitmap == .none else { return }
        superblock.generations.bitmap = superblock.generations.current
        superblock.generations.current = Generation(rawValue: generator.next() | 2)
    }

    mutating func goneAlone(epoch: UInt64, at now: Instant, _ actions: inout [ReplicaAction]) {
        // A newer record that came meanwhile acts in its stead.
        guard let new = adopting, new.epoch == epoch else { return }
        record = new
        adopting = nil
        reach(.narrowedPeerAway, &actions)
        actions.append(.note(.narrowed))
        guard isPrimary, roleStage == .settled || isDemoting else { return }
        if isFrozen { actions.append(.note(.verdictAlone)) }
        isFrozen = false
        settleAlone(&actions)
    }
}

extension Job {
    /// Whether its end acts on a record.
    var storesRecord: Bool {
        switch then {
        case .recordAdopted, .goneAlone, .becamePrimary, .deposedMarked: true
        default: false
        }
    }
}
