import Basics
import DiskFormat
import Quorum
import Replication
import WireFormat

/// Two replicas over a fake link, with fake disks and the real arbiter: events go one at a time, nothing takes time.
///
/// A test may hold the link, a disk or the arbiter, and crash a node; what is held waits in its order.
final class Pair {
    enum Place: Hashable {
        case disk(NodeIndex)
        /// The disk's answers to reads of the device.
        case reads(NodeIndex)
        /// Frames to that node.
        case link(NodeIndex)
        case arbiter
    }

    struct Side {
        var replica: Replica
        /// The content of each block, as read now and after a power cut.
        var blocks: [UInt32]
        var durable: [UInt32]
        var superblock: Superblock
        var bitmap: [UInt64]
        var logged: [UInt32] = []
        var nextLogNumber: UInt32 = 0
        var values = [UInt32](repeating: 0, count: SlotLayout.count)
        var freePeerSlots = Array(SlotLayout.peer)
        /// What this node did, in the words of the actions that matter to a story.
        var story: [String] = []
        var answers: [SlotIndex: ReplyStatus] = [:]
        var stores: [SyncPoint] = []
        /// Blocks that resync frames brought here, in their order.
        var resynced: [Int] = []
        var isConnected = false
        var failsDisk = false
        /// What the device's reads brought, by slot.
        var read: [SlotIndex: UInt32] = [:]
    }

    static let blockCount = 64
    static let extentBlocks = 8
    var now = Instant(nanoseconds: 10_000_000_000)
    var sides: [Side] = []
    var witness: Witness
    var held: Set<Place> = []
    private var queue: [(place: Place, body: (Pair) -> Void)] = []
    private var lives: UInt64 = 0
    private let breaks: ReplicaBreaks
    let logCapacity: UInt32

    init(logCapacity: UInt32 = 3, breaks: ReplicaBreaks = []) {
        self.breaks = breaks
        self.logCapacity = logCapacity
        let record = ArbiterRecord(epoch: 1, grant: Mark(high: 1, low: 1), holder: .first, copies: .both)
        witness = Witness(
            record: record, granted: .none, configuration: WitnessConfiguration(promise: .milliseconds(1)),
            at: Instant(nanoseconds: 0))
        for node in NodeIndex.allCases {
            let superblock = Superblock(
                size: UInt64(Self.blockCount) * BlockSize.block, node: node, logCapacity: logCapacity,
                generations: GenerationTuple(current: .zeroes, bitmap: .none, history: []),
                condition: .consistent,
                record: record, intent: nil, ownership: 0)
            let bitmap = [UInt64](repeating: 0, count: 1)
            let zeroes = [UInt32](repeating: 0, count: Self.blockCount)
            sides.append(
                Side(
                    replica: replica(superblock, bitmap, [], 0), blocks: zeroes, durable: zeroes,
                    superblock: superblock, bitmap: bitmap))
        }
        for node in NodeIndex.allCases { boot(node) }
    }

    /// Connected, and the first node Primary.
    static func serving(logCapacity: UInt32 = 3, breaks: ReplicaBreaks = []) -> Pair {
        let pair = Pair(logCapacity: logCapacity, breaks: breaks)
        pair.connect()
        pair.tell(.first, .promote)
        pair.settle()
        return pair
    }

    private func replica(
        _ superblock: Superblock, _ bitmap: [UInt64], _ logged: [UInt32], _ next: UInt32
    ) -> Replica {
        lives += 1
        return Replica(
            configuration: ReplicaConfiguration(
                me: superblock.node, transferLogBlocks: 1000,
                extent: UInt64(Self.extentBlocks) * BlockSize.block,
                breaks: breaks),
            superblock: superblock, dirtyWords: bitmap, loggedExtents: logged, nextLogNumber: next,
            seed: lives)
    }

    private func boot(_ node: NodeIndex) {
        tell(node, .start)
        tell(node, .arbiterUp)
        settle()
    }

    subscript(_ node: NodeIndex) -> Side {
        get { sides[Int(node.rawValue)] }
        set { sides[Int(node.rawValue)] = newValue }
    }

    // MARK: running

    func tell(_ node: NodeIndex, _ event: ReplicaEvent) {
        var actions: [ReplicaAction] = []
        self[node].replica.handle(event, at: now, into: &actions)
        for action in actions { perform(action, on: node) }
    }

    /// Carries out the oldest thing that is not held; false if there is none.
    @discardableResult
    func step() -> Bool {
        guard let index = queue.firstIndex(where: { !held.contains($0.place) }) else { return false }
        let next = queue.remove(at: index)
        next.body(self)
        return true
    }

    func settle() { while step() {} }

    func connect() {
        for node in NodeIndex.allCases { self[node].isConnected = true }
        for node in NodeIndex.allCases { tell(node, .linkUp) }
        settle()
    }

    /// The connection ends for one node, or for both.
    func disconnect(_ nodes: [NodeIndex] = NodeIndex.allCases) {
        queue.removeAll { entry in nodes.contains { entry.place == .link($0) } }
        for node in nodes {
            self[node].isConnected = false
            tell(node, .linkLost)
        }
        settle()
    }

    /// The power of a node is cut: what was not synced is gone.
    func crash(_ node: NodeIndex) {
        queue.removeAll { [.disk(node), .reads(node), .link(node)].contains($0.place) }
        self[node].blocks = self[node].durable
        self[node].isConnected = false
        self[node].answers = [:]
        self[node].freePeerSlots = Array(SlotLayout.peer)
    }

    func restart(_ node: NodeIndex) {
        let side = self[node]
        self[node].replica = replica(side.superblock, side.bitmap, side.logged, side.nextLogNumber)
        boot(node)
    }

    @discardableResult
    func write(_ block: Int, _ value: UInt32, slot: SlotIndex, on node: NodeIndex = .first) -> ReplyStatus? {
        self[node].values[slot] = value
        self[node].answers[slot] = nil
        tell(
            node,
            .write(slot: slot, ByteRange(offset: UInt64(block) * BlockSize.block, length: BlockSize.block)))
        settle()
        return self[node].answers[slot]
    }

    /// What a read of the block brings; nil while it is not answered, or when it failed.
    func read(_ block: Int, slot: SlotIndex, on node: NodeIndex = .first) -> UInt32? {
        self[node].answers[slot] = nil
        self[node].values[slot] = .max
        tell(
            node,
            .read(slot: slot, ByteRange(offset: UInt64(block) * BlockSize.block, length: BlockSize.block)))
        settle()
        return self[node].answers[slot] == .done ? self[node].read[slot] : nil
    }

    @discardableResult
    func flush(slot: SlotIndex, on node: NodeIndex = .first) -> ReplyStatus? {
        self[node].answers[slot] = nil
        tell(node, .flush(slot: slot))
        settle()
        return self[node].answers[slot]
    }

    // MARK: actions

    private func later(_ place: Place, _ body: @escaping (Pair) -> Void) { queue.append((place, body)) }

    private func blocks(_ slot: SlotIndex, _ node: NodeIndex) -> Range<Int> {
        self[node].replica.range(of: slot).units(of: BlockSize.block)
    }

    private func perform(_ action: ReplicaAction, on node: NodeIndex) {
        switch action {
        case .writeData(let slot), .zeroData(let slot): writeData(slot, node)
        case .readData(let slot):
            later(SlotLayout.client.contains(slot) ? .reads(node) : .disk(node)) { pair in
                pair[node].values[slot] = pair[node].blocks[pair.blocks(slot, node).lowerBound]
                pair.tell(node, .diskDone(slot: slot, ok: !pair[node].failsDisk))
            }
        case .syncData(let point):
            later(.disk(node)) { pair in
                if !pair[node].failsDisk { pair[node].durable = pair[node].blocks }
                pair.tell(node, .dataSynced(point, ok: !pair[node].failsDisk))
            }
        case .storeSuperblock(let point):
            let value = self[node].replica.superblock
            store(point, node) { $0.superblock = value }
        case .storeBitmap(let point):
            let words = self[node].replica.dirty.words
            store(point, node) { $0.bitmap = words }
        case .storeLog(let point):
            let transaction = self[node].replica.logTransaction
            store(point, node) { side in
                side.logged = transaction.context.filter { $0 != ActivityLogTransaction.emptyExtent }
                side.nextLogNumber = transaction.number + 1
            }
        case .complete(let slot, let status):
            if SlotLayout.client.contains(slot) {
                self[node].read[slot] = self[node].values[slot]
                self[node].answers[slot] = status
                self[node].story.append("\(status)")
            } else if SlotLayout.peer.contains(slot) {
                self[node].freePeerSlots.append(slot)
            }
        case .askArbiter: ask(node)
        case .readRecord:
            later(.arbiter) { $0.tell(node, .recordRead($0.witness.record)) }
        case .roleChanged(let isPrimary): self[node].story.append(isPrimary ? "Primary" : "Secondary")
        case .mute:
            self[node].story.append("mute")
            later(.arbiter) { $0.tell(node, .muted) }
        case .closeLink(let reason): closed(reason, node)
        case .promotionRefused(let reason): self[node].story.append("refused: \(reason)")
        case .note(.frozen(let ownDiskFailed)):
            self[node].story.append(ownDiskFailed ? "frozen by its own disk" : "frozen")
        case .note(.verdictThroughPeer): self[node].story.append("through the peer")
        case .setTimer, .invitedToPromote, .note: break
        default: send(action, from: node)
        }
    }

    private func writeData(_ slot: SlotIndex, _ node: NodeIndex) {
        later(.disk(node)) { pair in
            if !pair[node].failsDisk {
                for block in pair.blocks(slot, node) { pair[node].blocks[block] = pair[node].values[slot] }
            }
            pair.tell(node, .diskDone(slot: slot, ok: !pair[node].failsDisk))
        }
    }

    private func store(_ point: SyncPoint, _ node: NodeIndex, _ change: @escaping (inout Side) -> Void) {
        self[node].stores.append(point)
        later(.disk(node)) { pair in
            if !pair[node].failsDisk { change(&pair[node]) }
            pair.tell(node, .metadataStored(ok: !pair[node].failsDisk))
        }
    }

    private func ask(_ node: NodeIndex) {
        guard let request = self[node].replica.openRequest else { return }
        later(.arbiter) { pair in
            pair.lives += 1
            let answer = pair.witness.decide(request, mark: Mark(high: 77, low: pair.lives), at: pair.now)
            pair.tell(node, .arbiterAnswered(identifier: request.identifier, answer))
        }
    }

    private func closed(_ reason: CloseReason, _ node: NodeIndex) {
        self[node].story.append("closed: \(reason)")
        self[node].isConnected = false
        queue.removeAll { $0.place == .link(node) }
        later(.link(node.peer)) { pair in
            guard pair[node.peer].isConnected else { return }
            pair[node.peer].isConnected = false
            pair.tell(node.peer, .linkLost)
        }
    }

    private func send(_ action: ReplicaAction, from node: NodeIndex) {
        let peer = node.peer
        guard self[node].isConnected else { return }
        switch action {
        case .sendWrite(let slot), .sendZero(let slot), .sendResync(let slot):
            sendData(action, slot, from: node)
        case .sendRead(let slot):
            let (range, tag) = (self[node].replica.range(of: slot), self[node].replica.tag(of: slot))
            let stamp = self[node].replica.stamp
            later(.link(peer)) { pair in
                guard let place = pair[peer].freePeerSlots.popLast() else { return }
                pair.tell(peer, .peerRead(slot: place, tag: tag, range, stamp))
            }
        case .sendReadAnswer(let slot, let ok):
            let (tag, value) = (self[node].replica.tag(of: slot), self[node].values[slot])
            self[node].freePeerSlots.append(slot)
            later(.link(peer)) { pair in
                if let place = pair[peer].replica.slot(awaitingRead: tag) { pair[peer].values[place] = value }
                pair.tell(peer, .readAnswered(tag: tag, ok: ok))
            }
        case .sendFlush(let tag, let settled):
            let stamp = self[node].replica.stamp
            later(.link(peer)) { $0.tell(peer, .peerFlush(tag: tag, settled: settled, stamp)) }
        case .sendAcknowledgement(let tag, let ok):
            later(.link(peer)) { $0.tell(peer, .acknowledged(tag: tag, ok: ok)) }
        case .sendFlushDone(let tag, let ok):
            later(.link(peer)) { $0.tell(peer, .flushDone(tag: tag, ok: ok)) }
        case .sendControl:
            guard let frame = self[node].replica.takeControl() else { return }
            later(.link(peer)) { $0.tell(peer, .control(frame)) }
        default: break
        }
    }

    private func sendData(_ action: ReplicaAction, _ slot: SlotIndex, from node: NodeIndex) {
        let peer = node.peer
        let range = self[node].replica.range(of: slot)
        let tag = self[node].replica.tag(of: slot)
        let stamp = self[node].replica.stamp
        // A resync frame carries what was read, a run at a time.
        let first = range.units(of: BlockSize.block)
        let values = Array(self[node].blocks[first])
        let value = self[node].values[slot]
        later(.link(peer)) { pair in
            guard let place = pair[peer].freePeerSlots.popLast() else { return }
            pair[peer].values[place] = value
            switch action {
            case .sendResync:
                pair[peer].resynced += first
                pair.tell(peer, .peerResync(slot: place, tag: tag, range, stamp))
                pair.overwriteRun(first, values, on: peer)
            case .sendZero: pair.tell(peer, .peerZero(slot: place, tag: tag, range, stamp))
            default: pair.tell(peer, .peerWrite(slot: place, tag: tag, range, stamp))
            }
        }
    }

    /// The run's own content goes in behind the one value that a slot keeps here.
    private func overwriteRun(_ run: Range<Int>, _ values: [UInt32], on node: NodeIndex) {
        later(.disk(node)) { pair in
            for (block, value) in zip(run, values) { pair[node].blocks[block] = value }
        }
    }
}
