public import Basics
public import DiskFormat
public import Quorum
public import WireFormat

/// What the settings say of one volume, and the faults a test has switched on.
public struct ReplicaConfiguration: Sendable {
    public var me: NodeIndex
    /// Whether a witness grants; otherwise `arbiter: none`, and the node grants itself.
    public var hasArbiter: Bool
    public var freezeTimeout: Interval
    public var waitForPeer: Interval
    /// How long an unanswered request waits before it is sent again.
    public var askAgain: Interval
    /// Blocks acknowledged and not flushed; at half of them the replica flushes on its own.
    public var transferLogBlocks: Int
    /// What one slot of the activity log stands for, in bytes; a multiple of 4096. Smaller only in the simulator,
    /// where few blocks shall meet many extents.
    public var extent: UInt64
    public var breaks: ReplicaBreaks
    /// Whether each branch of the rules that is taken is told as a note; for the simulator's counts, off elsewhere.
    public var tellsBranches = false

    public init(
        me: NodeIndex, hasArbiter: Bool = true, freezeTimeout: Interval = .seconds(60),
        waitForPeer: Interval = .seconds(10), askAgain: Interval = .milliseconds(500),
        transferLogBlocks: Int = 16384, extent: UInt64 = BlockSize.extent, breaks: ReplicaBreaks = []
    ) {
        self.me = me
        self.hasArbiter = hasArbiter
        self.freezeTimeout = freezeTimeout
        self.waitForPeer = waitForPeer
        self.askAgain = askAgain
        self.transferLogBlocks = transferLogBlocks
        self.extent = extent
        self.breaks = breaks
    }
}

/// One node's view of one volume.
///
/// Decides: when a write, flush or read is issued, sent and answered; what is marked as possibly different; when a
/// node may go on alone, become Primary, must stop; what a reconnect copies (DESIGN 5 to 7, rules R1 to R6).
/// Does not decide: when to suspect the peer (Election), what promote and demote do beyond the device (Failover),
/// what the arbiter answers (Witness). It has no clock, no disk, no socket: events in, actions out, in order.
///
/// The files: `+Write` issue and answer, `+Flush`, `+Metadata` what is stored in which order, `+Link` the
/// connection, `+Handshake` and `+Resync`, `+Arbiter` requests and records, `+Role` promote, demote, depose.
public struct Replica: Sendable {
    public let configuration: ReplicaConfiguration
    /// As it is stored next; what is acted on is `record`.
    public internal(set) var superblock: Superblock
    /// Blocks that may differ between the copies.
    public internal(set) var dirty: BitSet
    /// The bitmap pages that the present `storeBitmap` writes.
    public internal(set) var storingPages: BitSet
    /// What the present `storeLog` writes.
    public internal(set) var logTransaction = ActivityLogTransaction(
        number: 0, updates: [], contextStart: 0, context: [])
    /// The record that this node acts on; stored before (R6).
    public internal(set) var record: ArbiterRecord?
    public internal(set) var isPrimary = false
    public internal(set) var link = LinkState.down
    public internal(set) var sync = SyncState.none
    /// Whether the process has restarted and not completed a handshake with its resync since (R4).
    public internal(set) var isRestarted = true
    public internal(set) var isFrozen = false
    /// Widenings that are off, and that the disk still has.
    var withdrawals = 0
    public internal(set) var isDiskFailed = false
    /// Bytes of data that resyncs sent in this life.
    public internal(set) var resyncBytesSent: UInt64 = 0

    // The write path.
    var requests = [Request](repeating: Request(), count: SlotLayout.count)
    var active: [SlotIndex] = []
    /// Writes that the running resync copies: without locks, answered at its end.
    var covered: [SlotIndex] = []
    var waiting: [SlotIndex] = []
    var sequence: UInt64 = 0
    var log: ActivityLog
    var logStage = LogStage.idle
    var wantedExtents: [Int] = []
    /// The transfer log: acknowledged since the last flush began, and being flushed.
    var recent: BitSet
    var flushing: BitSet
    var flush = FlushState()
    var changedPages: BitSet

    // Metadata, one store at a time.
    var jobs: [Job] = []
    var jobRunning = false
    /// The record in the superblock that is being written, and in the one that is on the disk.
    var storingRecord: ArbiterRecord?
    var durableRecord: ArbiterRecord?
    var logQueue: [ActivityLogTransaction] = []

    // The connection.
    var connectionsAllowed = true
    /// It stands alone because the data has diverged.
    var hasDiverged = false
    var peerHello: Hello?
    var greetingSent: Hello?
    var control: [ControlFrame] = []
    var controlHead = 0
    var peerReady = false
    var selfReady = false
    var peerBitmapComplete = false
    var selfBitmapSent = false
    var agreed: HandshakeOutcome?
    var resync = ResyncState()
    var peerFlush = PeerFlushState()

    // The arbiter and the role.
    var arbiterReachable = false
    var isStarted = false
    var intentWasSent = false
    /// It may have reached an arbiter before this process, or this answer, knew.
    var intentMayBeGranted = false
    var adopting: ArbiterRecord?
    var narrowStage = AskStage.none
    var roleStage = RoleStage.settled
    var waitingForPeer = true
    var promotionWanted = false
    /// Both have flushed for the demotion that runs.
    var isFlushedForRole = false
    var generator: SeededGenerator

    /// A replica as its disk describes it. `loggedExtents` is what the activity log's ring replays to; `seed` feeds
    /// the random marks and must differ between lives.
    public init(
        configuration: ReplicaConfiguration, superblock: Superblock, dirtyWords: [UInt64],
        loggedExtents: [UInt32],
        nextLogNumber: UInt32, seed: UInt64
    ) {
        self.configuration = configuration
        self.superblock = superblock
        let blocks = Int(superblock.size / BlockSize.block)
        let extents = Int((superblock.size + configuration.extent - 1) / configuration.extent)
        let pages = max(1, (blocks + MetadataPages.blocksPerPage - 1) / MetadataPages.blocksPerPage)
        dirty = BitSet(capacity: blocks, words: dirtyWords)
        recent = BitSet(capacity: blocks)
        flushing = BitSet(capacity: blocks)
        storingPages = BitSet(capacity: pages)
        changedPages = BitSet(capacity: pages)
        log = ActivityLog(
            capacity: Int(superblock.logCapacity), extents: extents, nextNumber: nextLogNumber)
        replayed = loggedExtents
        record = superblock.record
        storingRecord = superblock.record
        durableRecord = superblock.record
        generator = SeededGenerator(seed: seed, label: "replica")
        active.reserveCapacity(SlotLayout.count)
        waiting.reserveCapacity(SlotLayout.count)
    }

    /// Extents that the ring named at the start; or-ed into the bitmap before anything else.
    var replayed: [UInt32]

    /// Handles one event and appends what shall be done, in order. Called by the volume's one thread.
    public mutating func handle(_ event: ReplicaEvent, at now: Instant, into actions: inout [ReplicaAction]) {
        switch event {
        case .write(let slot, let range): admit(slot, .write, range, at: now, &actions)
        case .acknowledged(let tag, let ok): acknowledged(tag, ok: ok, at: now, &actions)
        case .diskDone(let slot, let ok): diskDone(slot, ok: ok, at: now, &actions)
        case .peerWrite(let slot, let tag, let range, let stamp):
            takeFrame(slot, .peerWrite, tag, range, stamp, at: now, &actions)
        case .read(let slot, let range): admit(slot, .read, range, at: now, &actions)
        case .zero(let slot, let range): admit(slot, .zero, range, at: now, &actions)
        case .flush(let slot): admitFlush(slot, at: now, &actions)
        case .peerZero(let slot, let tag, let range, let stamp):
            takeFrame(slot, .peerZero, tag, range, stamp, at: now, &actions)
        case .peerResync(let slot, let tag, let range, let stamp):
            takeFrame(slot, .peerResync, tag, range, stamp, at: now, &actions)
        case .peerRead(let slot, let tag, let range, let stamp):
            takeFrame(slot, .peerRead, tag, range, stamp, at: now, &actions)
        case .readAnswered(let tag, let ok): readAnswered(tag, ok: ok, at: now, &actions)
        case .peerFlush(let tag, let settled, let stamp):
            takeFlush(tag, settled: settled, stamp, at: now, &actions)
        case .flushDone(let tag, let ok): peerFlushed(tag, ok: ok, at: now, &actions)
        case .dataSynced(let point, let ok): dataSynced(point, ok: ok, at: now, &actions)
        case .metadataStored(let ok): metadataStored(ok: ok, at: now, &actions)
        case .start: start(at: now, &actions)
        case .linkUp: linkUp(at: now, &actions)
        case .linkLost: linkLost(at: now, &actions)
        case .control(let frame): takeControlFrame(frame, at: now, &actions)
        case .arbiterUp, .arbiterLost, .recordRead, .arbiterAnswered: handleArbiter(event, at: now, &actions)
        case .promote, .takeOver, .demote, .handOver, .leave, .muted, .connect, .disconnect:
            handleCommand(event, at: now, &actions)
        case .timer(let timer): timerFired(timer, at: now, &actions)
        }
        advance(at: now, &actions)
    }

    /// What may have become possible by the event, in the order in which one enables the next.
    mutating func advance(at now: Instant, _ actions: inout [ReplicaAction]) {
        if link == .settling { greetIfSettled(at: now, &actions) }
        if narrowStage != .none { advanceAsking(at: now, &actions) }
        if roleStage != .settled { advanceRole(at: now, &actions) }
        if !waiting.isEmpty { pump(at: now, &actions) }
        if sync != .none { advanceResync(at: now, &actions) }
        if has(.clearBeforeDurable), sync != .none, jobs.isEmpty, !changedPages.isEmpty {
            store([.bitmap(.evictionBitmap)], then: .nothing, at: now, &actions)
        }
        if flush.isWanted { startFlushIfPossible(at: now, &actions) }
    }

    /// The range of the request in a slot.
    public func range(of slot: SlotIndex) -> ByteRange { requests[slot].range }

    /// The tag that the slot's frame carries and its acknowledgement echoes.
    public func tag(of slot: SlotIndex) -> UInt64 { requests[slot].tag }

    /// The slot whose read the peer has been asked under that tag and has not answered; nil for any other tag.
    public func slot(awaitingRead tag: UInt64) -> SlotIndex? {
        let slot = Int(tag & 0xFF)
        guard SlotLayout.client.contains(slot), requests[slot].kind == .read, requests[slot].tag == tag,
            requests[slot].state.contains(.peerPending)
        else { return nil }
        return slot
    }

    /// The stamp of frames sent now.
    public var stamp: EpochStamp { record.map(EpochStamp.init) ?? EpochStamp(epoch: 0, grant: 0) }

    /// The next control frame to send; one for each `sendControl`.
    public mutating func takeControl() -> ControlFrame? {
        guard controlHead < control.count else { return nil }
        let frame = control[controlHead]
        controlHead += 1
        if controlHead == control.count {
            control.removeAll(keepingCapacity: true)
            controlHead = 0
        }
        return frame
    }

    /// Whether this node's disk has failed and the record, naming it as holder, says that the peer's copy is the only
    /// one: it reads and writes through the peer, or not at all.
    public var isDiskless: Bool { isDiskFailed && record?.holder == me && record?.copies == peerSet }

    /// Whether no connection is wanted: by order, or because the data has diverged.
    public var standsAlone: Bool { !connectionsAllowed }

    /// The request that is open (R3).
    public var openRequest: ArbiterRequest? { superblock.intent }

    /// What is under way, for a person who looks for what is stuck.
    public var pendingWork: String {
        let slots = active.map { "\($0):\(requests[$0].kind) \(requests[$0].state.rawValue)" }
        return
            "active \(slots) waiting \(waiting) covered \(covered) jobs \(jobs.count) running \(jobRunning)"
            + " flush \(flush.isActive) wanted \(flush.isWanted) queued \(flush.queued.count)"
            + " asking \(narrowStage) role \(roleStage) resync \(resync.stage) log \(logStage) adopting \(adopting != nil)"
    }

    var me: NodeIndex { configuration.me }
    var mySet: NodeSet { NodeSet(configuration.me) }
    var peerSet: NodeSet { NodeSet(configuration.me.peer) }

    /// Whose completion an answer needs: the record's copies, and while a request is open those of the old record
    /// and the new one together (R3).
    var effectiveCopies: NodeSet {
        guard let record else { return mySet }
        var copies = record.copies
        if let adopting { copies.formUnion(adopting.copies) }
        if let intent = superblock.intent, !configuration.breaks.contains(.widenOnlyWhenAnswered) {
            if intent.purpose == .widen { copies.formUnion(intent.copies) }
        }
        return withdrawals > 0 ? .both : copies
    }

    var needsPeer: Bool { effectiveCopies.contains(me.peer) }

    /// Whether the own disk has not answered what changes it, or what others wait for. The device's reads change nothing:
    /// who waited for them too would wait for ever where readers never pause.
    var hasLocalPending: Bool {
        active.contains { requests[$0].kind != .read && requests[$0].state.contains(.localPending) }
    }

    mutating func reach(_ branch: RuleBranch, _ actions: inout [ReplicaAction]) {
        if configuration.tellsBranches { actions.append(.note(.ruleReached(branch))) }
    }

    func has(_ fault: ReplicaBreaks) -> Bool { configuration.breaks.contains(fault) }
}

/// How the bitmap is cut into pages; the disk format's constants.
public enum MetadataPages {
    /// Blocks that one 4 KiB page of the bitmap covers: 510 words of 64 bits.
    public static let blocksPerPage = 510 * 64
}
