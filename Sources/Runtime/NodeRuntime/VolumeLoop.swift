import Basics
import BlockStore
import DiskFormat
import FuseDevice
import LinuxSystem
import Quorum
import Replication
import Synchronization
import WireFormat

/// The one thread of a volume (DESIGN 5.1): owns the ring, the FUSE session, the peer's socket, the buffers and the
/// replica. It moves bytes and decides nothing; it sleeps only in the ring.
///
/// The files: `+Device` requests of FUSE, `+Disk` data and metadata, `+Peer` the stream, `+Orders` the inbox.
struct VolumeLoop: ~Copyable {
    /// What a completion of the ring is for; the rest of the tag is a slot, a point or a serial number.
    enum Operation: UInt8 {
        case inbox = 1
        case device, receive, send, writeData, readData, zeroData, zeroPiece, syncData, writeMetadata,
            syncMetadata
        case cancel

        func tag(_ value: Int = 0) -> UInt64 { UInt64(rawValue) << 56 | UInt64(value) }
    }

    /// What happened while the replica's actions were carried out, to be told to it afterwards.
    enum FollowUp {
        case disk(SlotIndex, ok: Bool)
        case synced(SyncPoint, ok: Bool)
        case stored(ok: Bool)
        /// The next part of a long zero.
        case zero(SlotIndex)
    }

    let configuration: VolumeConfiguration
    let backing: BackingFile
    let metadata: MetadataFile
    let inbox: VolumeInbox
    let shared: VolumeShared
    let report: @Sendable (VolumeReport) -> Void

    var ring: Ring
    let slots: VolumeSlots
    var replica: Replica
    var now = Instant.now()
    var actions: [ReplicaAction] = []
    var followUps: [FollowUp] = []
    var timers = [Instant](repeating: .never, count: ReplicaTimer.allCases.count)
    var counters = VolumeCounters()
    var isStopping = false
    /// Requests of the ring that read or write files; the thread does not end before they have.
    var diskInFlight = 0

    // The device.
    var session: FuseSession?
    var sessionSerial = 0
    var isPolling = false
    /// Requests may wait that nobody has looked for.
    var mayHaveRequests = false
    var clients = [ClientRequest](repeating: ClientRequest(), count: SlotLayout.client.count)
    var freeClients = [SlotIndex](SlotLayout.client.reversed())

    // The disk.
    var progress = [Int](repeating: 0, count: SlotLayout.count)
    var zeroByWriting = false
    let zeroes: PageBuffer
    var store = MetadataStore()
    let storeBuffer: PageBuffer
    var longStoreBuffer: PageBuffer?

    // The peer.
    var link: VolumeLink
    var nextSocket: PeerSocket?
    var freePeers = [SlotIndex](SlotLayout.peer.reversed())
    /// The slot that the frame which is being received lies in.
    var arriving: SlotIndex?
    /// The slot of the device's read whose answer is being received into its buffer.
    var arrivingAnswer: SlotIndex?
    /// Slots of the peer's reads whose answers wait to leave memory.
    var answering = BitSet(capacity: SlotLayout.count)
    /// Frames of the slot that wait to be sent: until then its buffer is not used again.
    var queuedFrames = [UInt8](repeating: 0, count: SlotLayout.count)
    /// The parser waits for a slot.
    var isStalled = false
    var lastHeard = Instant.now()
    var lastPing = Instant.now()
    var closeDeadline = Instant.never
    var pingNonce: UInt64 = 0

    var isChanged = true
    var nextPublication = Instant(nanoseconds: 0)

    /// Memory and descriptors that are made before anything else; on the loop's own thread.
    struct Means: ~Copyable {
        let ring: Ring
        let slots: VolumeSlots
        let zeroes: PageBuffer
        let storeBuffer: PageBuffer
        let link: VolumeLink

        static func make() throws(SystemError) -> Means {
            Means(
                ring: try Ring(entries: 256), slots: try VolumeSlots.make(),
                zeroes: try PageBuffer(count: Int(BlockSize.requestMaximum)),
                storeBuffer: try PageBuffer(count: MetadataStore.bufferPages * MetadataLayout.blockSize),
                link: try VolumeLink.make())
        }
    }

    init(
        _ configuration: VolumeConfiguration, start: VolumeMetadata, files: consuming VolumeParts.Files,
        means: consuming Means, inbox: VolumeInbox, shared: VolumeShared,
        report: @escaping @Sendable (VolumeReport) -> Void
    ) {
        self.configuration = configuration
        backing = files.backing
        metadata = files.metadata
        self.inbox = inbox
        self.shared = shared
        self.report = report
        ring = means.ring
        slots = means.slots
        zeroes = means.zeroes
        storeBuffer = means.storeBuffer
        link = means.link
        store.sequence = start.sequence
        store.nextSlot = start.nextSlot
        replica = Replica(
            configuration: configuration.replica, superblock: start.superblock, dirtyWords: start.dirtyWords,
            loggedExtents: start.loggedExtents, nextLogNumber: start.nextLogNumber, seed: configuration.seed)
        actions.reserveCapacity(1024)
        followUps.reserveCapacity(1024)
    }

    /// Runs until it is told to stop.
    mutating func run() throws(SystemError) {
        ring.pollReadable(inbox.wake.descriptor.raw, tag: Operation.inbox.tag())
        deliver(.start)
        while true {
            drainDevice()
            pumpLink()
            publish()
            // Memory that an operation of the ring still uses must not go.
            if isStopping, diskInFlight == 0, link.isVacant { break }
            counters.wakeUps &+= 1
            try ring.wait(until: nextDeadline())
            now = .now()
            while let completion = ring.next() { take(completion) }
            fireTimers()
        }
        session = nil
        nextPublication = now
        publish()
    }

    private func nextDeadline() -> Instant {
        var deadline = min(timers[0], min(timers[1], timers[2]))
        if isChanged { deadline = min(deadline, nextPublication) }
        if link.isOpen {
            deadline = min(deadline, lastPing + configuration.pingInterval)
            if !isStalled { deadline = min(deadline, lastHeard + configuration.peerSilence) }
        }
        return min(deadline, closeDeadline)
    }

    private mutating func take(_ completion: Ring.Completion) {
        let value = Int(completion.tag & 0xFF_FFFF_FFFF_FFFF)
        guard let operation = Operation(rawValue: UInt8(completion.tag >> 56)) else { return }
        switch operation {
        case .device:
            if value == sessionSerial {
                isPolling = false
                mayHaveRequests = true
            }
        case .receive: receiveEnded(completion.result)
        case .send: sendEnded(completion.result)
        case .writeData: writeEnded(value, completion.result)
        case .readData: readEnded(value, completion.result)
        case .zeroData: zeroEnded(value, completion.result)
        case .zeroPiece: zeroPieceEnded(value, completion.result)
        case .syncData: syncEnded(value, completion.result)
        case .writeMetadata: storeWriteEnded(value, completion.result)
        case .syncMetadata: storeSyncEnded(completion.result)
        case .inbox:
            ring.pollReadable(inbox.wake.descriptor.raw, tag: Operation.inbox.tag())
            takeOrders()
        case .cancel: break
        }
    }

    private mutating func fireTimers() {
        for timer in ReplicaTimer.allCases where timers[Int(timer.rawValue)] <= now {
            timers[Int(timer.rawValue)] = .never
            deliver(.timer(timer))
        }
        watchLink()
    }

    // MARK: the replica

    /// Tells the replica what happened and does what it says, until nothing follows.
    mutating func deliver(_ event: ReplicaEvent) {
        replica.handle(event, at: now, into: &actions)
        carryOut()
        var next = 0
        while next < followUps.count {
            switch followUps[next] {
            case .disk(let slot, let ok):
                replica.handle(.diskDone(slot: slot, ok: ok), at: now, into: &actions)
            case .synced(let point, let ok):
                replica.handle(.dataSynced(point, ok: ok), at: now, into: &actions)
            case .stored(let ok): replica.handle(.metadataStored(ok: ok), at: now, into: &actions)
            case .zero(let slot): continueZero(slot)
            }
            next += 1
            carryOut()
        }
        followUps.removeAll(keepingCapacity: true)
        isChanged = true
    }

    private mutating func carryOut() {
        var index = 0
        while index < actions.count {
            carryOut(actions[index])
            index += 1
        }
        actions.removeAll(keepingCapacity: true)
    }

    private mutating func carryOut(_ action: ReplicaAction) {
        switch action {
        case .writeData(let slot): writeData(slot)
        case .complete(let slot, let status): complete(slot, status)
        case .sendWrite(let slot):
            send(slot, .write(replica.range(of: slot), tag: replica.tag(of: slot), stamp: replica.stamp))
        case .sendAcknowledgement(let tag, let ok):
            link.send(.acknowledgement(tag: tag, ok: ok, stamp: replica.stamp))
        case .readData(let slot): readData(slot)
        case .zeroData(let slot): zeroData(slot)
        case .syncData(let point): syncData(point)
        case .storeSuperblock(let point): storeSuperblock(point)
        case .storeBitmap(let point): storeBitmap(point)
        case .storeLog(let point): storeLog(point)
        case .sendZero(let slot):
            link.send(.zero(replica.range(of: slot), tag: replica.tag(of: slot), stamp: replica.stamp))
        case .sendResync(let slot):
            send(slot, .resync(replica.range(of: slot), tag: replica.tag(of: slot), stamp: replica.stamp))
        case .sendRead(let slot):
            link.send(.read(replica.range(of: slot), tag: replica.tag(of: slot), stamp: replica.stamp))
        case .sendReadAnswer(let slot, let ok): sendAnswer(slot, ok: ok)
        case .sendFlush(let tag, let settled):
            link.send(.flush(tag: tag, settled: settled, stamp: replica.stamp))
        case .sendFlushDone(let tag, let ok): link.send(.flushDone(tag: tag, ok: ok, stamp: replica.stamp))
        case .sendControl:
            if let frame = replica.takeControl() { link.send(frame, stamp: replica.stamp) }
        case .closeLink(let reason): closeLink(reason)
        case .setTimer(let timer, let instant): timers[Int(timer.rawValue)] = instant
        case .askArbiter:
            if let request = replica.openRequest { report(.ask(request)) }
        case .readRecord: report(.readRecord)
        case .roleChanged(let isPrimary):
            if !isPrimary { endSession() }
            report(.roleChanged(isPrimary: isPrimary))
        case .mute: report(.mute)
        case .invitedToPromote: report(.invitedToPromote)
        case .promotionRefused(let reason): report(.promotionRefused(reason))
        case .note(let note): report(.note(note))
        }
    }

    // MARK: status

    private mutating func publish() {
        guard isChanged, now >= nextPublication else { return }
        isChanged = false
        nextPublication = now + .milliseconds(50)
        var status = VolumeStatus()
        status.size = replica.superblock.size
        status.isPrimary = replica.isPrimary
        status.isFrozen = replica.isFrozen
        status.isRestarted = replica.isRestarted
        status.isDiskFailed = replica.isDiskFailed
        status.isDiskless = replica.isPrimary && replica.isDiskless
        status.link = replica.link
        status.sync = replica.sync
        status.condition = replica.superblock.condition
        status.record = replica.record
        status.openRequest = replica.openRequest
        status.current = replica.superblock.generations.current
        status.dirtyBlocks = replica.dirty.count
        status.resyncBytesSent = replica.resyncBytesSent
        status.isServing = isServing
        status.counters = counters
        shared.status.withLock { $0 = status }
    }
}
