import Basics
import WireFormat
import Quorum
import DiskFormat

/// One thing to make durable.
enum MetaStep: Sendable {
    case superblock(SyncPoint)
    case bitmap(SyncPoint)
    /// The next transaction of `logQueue`.
    case log(SyncPoint)
    /// fdatasync of the backing file.
    case data(SyncPoint)

    /// Whether it may take marks away that an earlier step, if that failed, has not put elsewhere: a disk that has
    /// failed may well take this one, and work again later.
    var relaxesEarlier: Bool {
        switch self {
        case .bitmap, .log: true
        case .superblock, .data: false
        }
    }
}

/// What follows when all steps of a job are durable.
enum Continuation: Sendable {
    case nothing
    case started
    case logReady
    case flushedForAsking
    case sendIntent
    case wideningWithdrawn
    case recordAdopted
    case goneAlone(epoch: UInt64)
    case becamePrimary(epoch: UInt64)
    case deposedMarked
    case sourceFlushed
    case resyncPrepared
    case targetStored
    case logCleared(thenHandOver: Bool)
}

/// Steps in order, each durable before the next begins.
struct Job: Sendable {
    var steps: [MetaStep]
    var next = 0
    var then: Continuation
}

// What is stored, one store at a time, in the order in which it was asked for.
extension Replica {
    mutating func store(
        _ steps: [MetaStep], then: Continuation, at now: Instant, _ actions: inout [ReplicaAction]
    ) {
        jobs.append(Job(steps: steps, then: then))
        runJobs(at: now, &actions)
    }

    mutating func mark(_ blocks: Range<Int>) {
        dirty.insert(blocks)
        changedPages.insert(pages(of: blocks))
    }

    func pages(of blocks: Range<Int>) -> Range<Int> {
        guard !blocks.isEmpty else { return 0..<0 }
        let unit = MetadataPages.blocksPerPage
        return blocks.lowerBound / unit..<(blocks.upperBound - 1) / unit + 1
    }

    mutating func runJobs(at now: Instant, _ actions: inout [ReplicaAction]) {
        while !jobRunning, let job = jobs.first {
            guard job.next < job.steps.count else {
                jobs.removeFirst()
                finish(job.then, at: now, &actions)
                continue
            }
            jobs[0].next += 1
            if isDiskFailed, job.steps[job.next].relaxesEarlier { continue }
            switch job.steps[job.next] {
            case .superblock(let point):
                jobRunning = true
                storingRecord = superblock.record
                actions.append(.storeSuperblock(point))
            case .bitmap(let point):
                guard !changedPages.isEmpty else { continue }
                storingPages = changedPages
                changedPages.removeAll()
                jobRunning = true
                actions.append(.storeBitmap(point))
            case .log(let point):
                guard !logQueue.isEmpty else { continue }
                logTransaction = logQueue.removeFirst()
                jobRunning = true
                actions.append(.storeLog(point))
            case .data(let point):
                jobRunning = true
                actions.append(.syncData(point))
            }
        }
    }

    mutating func metadataStored(ok: Bool, at now: Instant, _ actions: inout [ReplicaAction]) {
        jobRunning = false
        if ok { durableRecord = storingRecord } else { ownDiskFailed(at: now, &actions) }
        runJobs(at: now, &actions)
    }

    mutating func dataSynced(_ point: SyncPoint, ok: Bool, at now: Instant, _ actions: inout [ReplicaAction])
    {
        if !ok { ownDiskFailed(at: now, &actions) }
        switch point {
        case .clientFlush: ownFlushed(ok: ok, at: now, &actions)
        case .peerFlush: appliedPeerFlush(ok: ok, at: now, &actions)
        default:
            jobRunning = false
            if !ok, case .flushedForAsking? = jobs.first?.then {
                jobs.removeFirst()
                abandonAsking(&actions)
            }
            runJobs(at: now, &actions)
        }
    }

    private mutating func finish(_ then: Continuation, at now: Instant, _ actions: inout [ReplicaAction]) {
        if isDiskFailed {
            finishWithoutDisk(then, at: now, &actions)
            return
        }
        switch then {
        case .nothing: break
        case .started: startedUp(at: now, &actions)
        case .logReady: logStored(at: now, &actions)
        case .flushedForAsking: storeIntent(at: now, &actions)
        case .sendIntent: intentStored(at: now, &actions)
        case .wideningWithdrawn: wideningWithdrawn(at: now, &actions)
        case .recordAdopted: recordStored(at: now, &actions)
        case .goneAlone(let epoch): goneAlone(epoch: epoch, at: now, &actions)
        case .becamePrimary(let epoch): becamePrimary(epoch: epoch, at: now, &actions)
        case .deposedMarked: deposedMarked(at: now, &actions)
        case .sourceFlushed: sourceFlushed(at: now, &actions)
        case .resyncPrepared: resyncPrepared(at: now, &actions)
        case .targetStored: targetStored(at: now, &actions)
        case .logCleared(let handOver): logCleared(thenHandOver: handOver, at: now, &actions)
        }
    }

    /// Nothing that needed to be durable is: only what gives the role and the record away goes on.
    private mutating func finishWithoutDisk(
        _ then: Continuation, at now: Instant, _ actions: inout [ReplicaAction]
    ) {
        switch then {
        case .flushedForAsking: storeIntent(at: now, &actions)
        case .sendIntent: intentStored(at: now, &actions)
        case .recordAdopted: recordStored(at: now, &actions)
        case .deposedMarked: deposedMarked(at: now, &actions)
        case .logCleared(let handOver): logCleared(thenHandOver: handOver && isDiskless, at: now, &actions)
        case .logReady: logStored(at: now, &actions)
        case .becamePrimary(let epoch): becamePrimary(epoch: epoch, at: now, &actions)
        case .goneAlone(let epoch):
            guard adopting?.epoch == epoch else { return }
            record = adopting ?? record
            adopting = nil
            depose(at: now, &actions)
        case .nothing, .started, .wideningWithdrawn, .sourceFlushed, .resyncPrepared, .targetStored: break
        }
    }

    // MARK: start

    mutating func start(at now: Instant, _ actions: inout [ReplicaAction]) {
        precondition(!isStarted, "a replica starts once")
        // Without an arbiter a request that was not granted by its own store has reached nobody.
        if has(.intentForgottenByRestart) || !configuration.hasArbiter { superblock.intent = nil }
        if superblock.intent != nil {
            superblock.intent?.restarted = true
            reach(.intentSurvivedRestart, &actions)
        }
        // A sole copy has all there is: it needs no peer to be whole (R4); unless an open request may have named the
        // peer too, which then holds what this node answered and lost.
        // But the only copy of a holder that has no disk answered for that holder, which may live and remember.
        if effectiveCopies == mySet, !isOnlyCopyOfPeer {
            isRestarted = superblock.condition != .consistent
            if !isRestarted { reach(.soleMemberNeededNoPeer, &actions) }
        }
        var steps: [MetaStep] = []
        if !replayed.isEmpty {
            if !has(.logNotReplayed) {
                for extent in replayed { mark(blocks(ofExtent: Int(extent))) }
            }
            actions.append(.note(.logReplayed(extents: replayed.count)))
            steps.append(.bitmap(.logReplay))
            logQueue = log.clear()
            steps += logQueue.map { _ in .log(.logCleared) }
            replayed = []
        }
        store(steps, then: .started, at: now, &actions)
    }

    private mutating func startedUp(at now: Instant, _ actions: inout [ReplicaAction]) {
        isStarted = true
        if isRestarted, effectiveCopies == .both || isOnlyCopyOfPeer {
            reach(.waitedForPeerFirst, &actions)
            actions.append(.setTimer(.waitForPeer, now + configuration.waitForPeer))
        } else {
            waitingForPeer = false
        }
        if superblock.intent != nil {
            narrowStage = .open
            intentMayBeGranted = true
            actions.append(.setTimer(.askAgain, now + configuration.askAgain))
        }
        if arbiterReachable { askOrRead(&actions) }
    }

    // MARK: own disk

    /// The own copy is not to be trusted any more: a failed fdatasync is never retried into success (DESIGN 5.5).
    mutating func ownDiskFailed(at now: Instant, _ actions: inout [ReplicaAction]) {
        guard !isDiskFailed else { return }
        isDiskFailed = true
        superblock.condition = .failed
        actions.append(.note(.diskFailed))
        guard isPrimary else {
            closeLink(.diskFailed, at: now, &actions)
            return
        }
        // Who greets now would greet as what this copy is no more.
        if link != .up { closeLink(.diskFailed, at: now, &actions) }
        // The peer's copy goes on under a record that says so; the only copy cannot go on (R2).
        if record?.copies == mySet {
            depose(at: now, &actions)
        } else if sync == .gatedSource {
            // The peer is named and is not whole: no copy is left that may be named alone (R5).
            depose(at: now, &actions)
        } else {
            freeze(at: now, &actions)
            wantNarrow(&actions)
        }
    }
}
