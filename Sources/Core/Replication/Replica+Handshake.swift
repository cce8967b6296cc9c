import Basics
import DiskFormat
import Quorum
import WireFormat

// Two nodes meet: greetings, marks, the table's answer, bitmaps (DESIGN 6).
extension Replica {
    /// Greets when nothing is under way that the greeting should tell: own writes in flight, an open request (R3),
    /// a record being stored.
    mutating func greetIfSettled(at now: Instant, _ actions: inout [ReplicaAction]) {
        // A demotion that is frozen needs the peer, or the arbiter, to end.
        guard isStarted, adopting == nil, roleStage == .settled || isDemoting && isFrozen, jobs.isEmpty,
            !jobRunning
        else { return }
        guard superblock.intent == nil else {
            reach(.handshakeWaitedForRequest, &actions)
            return
        }
        if case .storing = narrowStage { return }
        if hasLocalPending { return }
        if peerFlush.isSyncing { return }
        // A narrowing that has not been stored need not happen now.
        if case .draining = narrowStage { narrowStage = .none }
        link = .greeted
        greetingSent = greeting
        if let greetingSent { send(.hello(greetingSent), &actions) }
        if peerHello != nil { compareRecords(at: now, &actions) }
    }

    private var greeting: Hello {
        var unflushed = recent
        unflushed.formUnion(flushing)
        for slot in active {
            switch requests[slot].kind {
            case .write, .zero: unflushed.insert(requests[slot].blocks)
            default: break
            }
        }
        return Hello(
            node: me, size: superblock.size, record: record, current: superblock.generations.current,
            bitmap: superblock.generations.bitmap, history: superblock.generations.history,
            condition: superblock.condition.rawValue, isPrimary: isPrimary, isRestarted: isRestarted,
            dirtyBlocks: UInt64(dirty.count), unflushedBlocks: UInt64(isPrimary ? unflushed.count : 0))
    }

    mutating func send(_ frame: ControlFrame, _ actions: inout [ReplicaAction]) {
        control.append(frame)
        actions.append(.sendControl)
    }

    mutating func takeControlFrame(_ frame: ControlFrame, at now: Instant, _ actions: inout [ReplicaAction]) {
        guard link != .down else { return }
        switch frame {
        case .hello(let hello):
            guard peerHello == nil, hello.node == me.peer else {
                closeLink(.protocolError, at: now, &actions)
                return
            }
            peerHello = hello
            if link == .greeted { compareRecords(at: now, &actions) }
        case .bitmap(let start, let words): takeBitmap(start, words, at: now, &actions)
        case .bitmapEnd:
            peerBitmapComplete = true
            if link == .preparing, agreed != nil { prepareResync(at: now, &actions) }
        case .resyncReady:
            peerReady = true
            startResyncIfReady(at: now, &actions)
        case .resyncDone(let current, let history):
            resyncDone(current, history, at: now, &actions)
        case .resyncDoneStored: peerStored(at: now, &actions)
        case .record(let record): heardRecord(record, at: now, &actions)
        case .handOverWanted: peerWantsToHold(at: now, &actions)
        case .handOverRefused:
            if promotionWanted { refusePromotion(.peerIsPrimary, &actions) }
        case .ping, .alive: break
        case .goodbye: closeLink(.lost, at: now, &actions)
        }
    }

    /// First the record decides: the lower one gives way, durably, before anything is compared.
    private mutating func compareRecords(at now: Instant, _ actions: inout [ReplicaAction]) {
        guard let hello = peerHello else { return }
        if let theirs = hello.record, configuration.hasArbiter, theirs.epoch > record?.epoch ?? 0 {
            adopt(theirs, at: now, &actions)
            return
        }
        markForRestartedPeer(at: now, &actions)
    }

    /// A peer that has restarted may have lost what it acknowledged: marked before the tuples are compared, durably
    /// (`bitmapBeforeResync`) before anything is done about it.
    mutating func markForRestartedPeer(at now: Instant, _ actions: inout [ReplicaAction]) {
        guard link == .greeted, let hello = peerHello else { return }
        if isDiskless, isPrimary {
            if hello.isRestarted, mayLackAnswered, !has(.restartedCopyTrusted) {
                stopForRestartedCopy(at: now, &actions)
            } else {
                conclude(at: now, &actions)
            }
            return
        }
        if hello.isRestarted, !has(.restartedPeerNotMarked) {
            if isPrimary {
                for slot in active where requests[slot].kind == .write || requests[slot].kind == .zero {
                    mark(requests[slot].blocks)
                }
            }
            markUnflushed()
        }
        conclude(at: now, &actions)
    }

    /// Both greetings are known, all marks are durable: the table's answer.
    mutating func conclude(at now: Instant, _ actions: inout [ReplicaAction]) {
        guard link == .greeted, let hello = peerHello, var mine = greetingSent else { return }
        // Without an arbiter both look at what was greeted with: who reconciles must not change the question.
        if configuration.hasArbiter { mine.record = record }
        var theirs = hello
        if configuration.hasArbiter, (theirs.record?.epoch ?? 0) < (record?.epoch ?? 0) {
            theirs.record = record
        }
        // A target that ended its resync is whole as soon as the record names it, also if it learns that just now.
        if record?.copies == .both, configuration.hasArbiter {
            let awaiting = CopyCondition.awaitingRecord.rawValue
            if mine.condition == awaiting { mine.condition = CopyCondition.consistent.rawValue }
            if theirs.condition == awaiting { theirs.condition = CopyCondition.consistent.rawValue }
        }
        let (row, outcome) = Handshake.decide(
            mine, theirs, hasArbiter: configuration.hasArbiter,
            grantsOfOneEpochEqual: has(.grantsOfOneEpochEqual))
        if !configuration.hasArbiter, let common = Handshake.reconciled(mine, theirs, outcome),
            common != record
        {
            // Back here when it is stored.
            adopt(common, at: now, &actions)
            return
        }
        actions.append(.note(.handshake(row)))
        agreed = outcome
        switch outcome {
        case .inSync, .throughPeer:
            connectionsAllowed = true
            // Frames may flow only when the other has concluded too.
            link = .preparing
            selfReady = true
            send(.resyncReady, &actions)
            startResyncIfReady(at: now, &actions)
        case .resync(let source, let full): agreeResync(source, full: full, row, at: now, &actions)
        case .splitBrain:
            closeLink(.splitBrain, at: now, &actions)
            if isDiskless { depose(at: now, &actions) }
        case .unrelated: closeLink(.unrelatedData, at: now, &actions)
        case .sizeMismatch: closeLink(.sizeMismatch, at: now, &actions)
        case .noSource: closeLink(.lost, at: now, &actions)
        }
    }

    /// Nothing may differ: what was in flight is sent again, what was frozen goes on.
    mutating func establish(at now: Instant, _ actions: inout [ReplicaAction]) {
        link = .up
        isRestarted = false
        waitingForPeer = false
        if isPrimary, isDiskless {
            reach(.peerBackWithoutDisk, &actions)
            goThroughPeer(at: now, &actions)
            return
        }
        if isPrimary, isFrozen { actions.append(.note(.verdictPeerBack)) }
        isFrozen = false
        resendInFlight(&actions)
        if !flush.queued.isEmpty || flush.isForLog || !recent.isEmpty { flush.isWanted = isPrimary }
    }

    /// The frames whose acknowledgement was lost, in their order. The peer applies them again: the same bytes.
    mutating func resendInFlight(_ actions: inout [ReplicaAction]) {
        guard isPrimary else { return }
        for slot in active.sorted(by: { requests[$0].tag < requests[$1].tag }) {
            let kind = requests[slot].kind
            guard kind == .write || kind == .zero, !requests[slot].state.contains(.coveredByResync) else {
                continue
            }
            resend(slot, &actions)
        }
    }

    mutating func resend(_ slot: SlotIndex, _ actions: inout [ReplicaAction]) {
        requests[slot].state.insert([.mirrored, .peerPending, .firstEdgeEqual, .lastEdgeEqual])
        actions.append(requests[slot].kind == .zero ? .sendZero(slot: slot) : .sendWrite(slot: slot))
    }

    private mutating func agreeResync(
        _ source: NodeIndex, full: Bool, _ row: HandshakeRow, at now: Instant,
        _ actions: inout [ReplicaAction]
    ) {
        switch row {
        case .recordDecides, .recordDecidesFull: reach(.recordDecidedSource, &actions)
        case .sameOneRestarted: reach(.memoryDecidedSource, &actions)
        case .sameHolderDecides: reach(.holderDecidedSource, &actions)
        default: break
        }
        if isPrimary, source != me {
            closeLink(.splitBrain, at: now, &actions)
            if isDiskless { depose(at: now, &actions) }
            return
        }
        // Who stood alone as a Primary that would have been overwritten, and is none now, has not diverged.
        connectionsAllowed = true
        link = .preparing
        if full { mark(0..<dirty.capacity) }
        // What is in flight is copied with it (R5).
        for slot in active {
            switch requests[slot].kind {
            case .write, .zero: mark(requests[slot].blocks)
            default: break
            }
        }
        if !has(.restartedPeerNotMarked) { markUnflushed() }
        guard source == me else { return sendBitmap(at: now, &actions) }
        // The target prepares when it has the bitmap: by then the source's data is durable (R5).
        reach(.sourceFlushedBeforeTarget, &actions)
        store([.data(.sourceBeforeResync)], then: .sourceFlushed, at: now, &actions)
    }

    mutating func sourceFlushed(at now: Instant, _ actions: inout [ReplicaAction]) {
        guard link == .preparing, case .resync(let source, _) = agreed, source == me else { return }
        sendBitmap(at: now, &actions)
    }

    private mutating func sendBitmap(at now: Instant, _ actions: inout [ReplicaAction]) {
        selfBitmapSent = true
        var word = 0
        while word < dirty.words.count {
            let end = min(word + ControlFrame.bitmapWordsMaximum, dirty.words.count)
            if dirty.words[word..<end].contains(where: { $0 != 0 }) {
                send(.bitmap(start: UInt32(word), words: Array(dirty.words[word..<end])), &actions)
            }
            word = end
        }
        send(.bitmapEnd, &actions)
        if peerBitmapComplete { prepareResync(at: now, &actions) }
    }

    private mutating func takeBitmap(
        _ start: UInt32, _ words: [UInt64], at now: Instant, _ actions: inout [ReplicaAction]
    ) {
        guard Int(start) + words.count <= dirty.words.count, peerHello != nil, !peerBitmapComplete else {
            closeLink(.protocolError, at: now, &actions)
            return
        }
        for (index, word) in words.enumerated() where word != 0 {
            var bits = word
            while bits != 0 {
                let block = (Int(start) + index) * 64 + bits.trailingZeroBitCount
                if block < dirty.capacity { mark(block..<block + 1) }
                bits &= bits - 1
            }
        }
    }

    /// Both bitmaps are united: bitmap and flags become durable, then the peer is told (R5).
    private mutating func prepareResync(at now: Instant, _ actions: inout [ReplicaAction]) {
        guard case .resync(let source, _) = agreed, link == .preparing, selfBitmapSent, !selfReady else {
            return
        }
        if source == me {
            store([.bitmap(.bitmapBeforeResync)], then: .resyncPrepared, at: now, &actions)
        } else {
            if superblock.condition != .failed { superblock.condition = .inconsistent }
            store(
                [.bitmap(.bitmapBeforeResync), .superblock(.targetInconsistent)], then: .resyncPrepared,
                at: now,
                &actions)
        }
    }
}
