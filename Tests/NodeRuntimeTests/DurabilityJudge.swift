import Basics
import DiskFormat
import NodeRuntime
import Quorum
import Replication

/// What a rebuilt image contradicts.
struct DurabilityFinding: Error, CustomStringConvertible {
    /// The invariant or rule, in the words of the simulator's.
    let rule: String
    let text: String

    var description: String { "\(rule): \(text)" }
}

/// Rebuilds, at every recorded call and answer, what a power cut of either machine could leave, opens it as the product
/// does at its start, and judges it. Knows the client's writes and the machines' words; not which fdatasync is missing.
struct DurabilityJudge {
    /// Metadata as it opens, and which followed blocks a next handshake would copy because of it.
    struct Opened {
        let metadata: VolumeMetadata
        let covers: [Bool]
    }

    /// What all images of a machine have in common at this moment.
    struct Images {
        /// The oldest and the newest stamp that a sector may hold.
        var low: [UInt64]
        var high: [UInt64]
        var opened: [Opened]
        /// Blocks that are covered in every image.
        var covers: [Bool]

        mutating func extend(with write: DurabilityMachine.Pending) {
            for (place, sector) in zip(write.places, write.sectors) {
                guard case .stamp(let stamp) = sector else { continue }
                low[place] = min(low[place], stamp)
                high[place] = max(high[place], stamp)
            }
        }
    }

    private struct State {
        /// The record that the machine acts on.
        var record: ArbiterRecord
        var isTarget = false
        /// From the beginning of a resync the generation is on its way to the target.
        var isSource = false
        var isPrimary = false
    }

    let places: [Int: Int]
    private let blocks: [Int]
    private(set) var machines: [DurabilityMachine]
    private var states: [State]
    private var images: [Images?] = [nil, nil]
    private var opened: [[UInt8]: Opened] = [:]
    private var records: [ArbiterRecord]
    private var random: SeededGenerator

    // The client.
    private var issued: [UInt64: Range<Int>] = [:]
    private var answered: [UInt64]
    /// Whose power was cut since each sector's last answer, and whether both copies had it then.
    private var cutSince: [NodeSet]
    private var wasOnBoth: [Bool]
    private var covered: [UInt64]
    /// What each sector must hold at least: it was flushed.
    private var floor: [UInt64]

    /// The entry that is being judged.
    private(set) var position = 0
    /// How many images were built, and how many of metadata were opened.
    private(set) var imageCount = 0
    var openedCount: Int { opened.count }

    init(_ entries: [DurabilityEntry], metadata: [[UInt8]], record: ArbiterRecord, seed: UInt64) {
        var places: [Int: Int] = [:]
        var blocks: [Int] = []
        for case .issued(_, let range) in entries {
            for block in range where places[block] == nil {
                places[block] = blocks.count
                blocks.append(block)
            }
        }
        self.places = places
        self.blocks = blocks
        machines = metadata.map { DurabilityMachine(places: places, metadata: $0) }
        states = [State(record: record), State(record: record)]
        records = [record]
        random = SeededGenerator(seed: seed)
        let sectors = blocks.count * DurabilityStamp.sectorsPerBlock
        answered = [UInt64](repeating: 0, count: sectors)
        cutSince = [NodeSet](repeating: [], count: sectors)
        wasOnBoth = [Bool](repeating: false, count: sectors)
        covered = answered
        floor = answered
    }

    /// The first contradiction, if any.
    mutating func judge(_ entries: [DurabilityEntry]) -> DurabilityFinding? {
        do throws(DurabilityFinding) {
            for (index, entry) in entries.enumerated() {
                position = index
                try take(entry)
            }
            return nil
        } catch {
            return error
        }
    }

    private mutating func take(_ entry: DurabilityEntry) throws(DurabilityFinding) {
        switch entry {
        case .machine(let node, let life, let event):
            guard life == machines[Int(node.rawValue)].life else { return }
            switch event {
            case .disk(let call): try take(call, node)
            case .asked(let request): try judge(request)
            case .note(let note): try take(note, node)
            case .role(let isPrimary):
                states[Int(node.rawValue)].isPrimary = isPrimary
                if isPrimary {
                    try acts(node, on: granted(to: node))
                    try judgeBeginning(node)
                }
            case .linkClosed:
                states[Int(node.rawValue)].isTarget = false
                states[Int(node.rawValue)].isSource = false
            }
        case .granted(let record): records.append(record)
        case .issued(let stamp, let range): issued[stamp] = range
        case .answered(let stamp):
            let isOnBoth = newestRecord.copies == .both
            for sector in sectors(of: issued[stamp] ?? 0..<0) {
                answered[sector] = stamp
                cutSince[sector] = []
                wasOnBoth[sector] = isOnBoth
            }
            try judgeAnswer()
        case .flushing: covered = answered
        case .flushed:
            for sector in floor.indices { floor[sector] = max(floor[sector], covered[sector]) }
            try judgeFlushed()
        case .cut(let node, let data, let metadata):
            try judgeAll()
            machines[Int(node.rawValue)].cut(data: data, metadata: metadata)
            states[Int(node.rawValue)] = State(record: states[Int(node.rawValue)].record)
            for sector in cutSince.indices { cutSince[sector].insert(NodeSet(node)) }
            images[Int(node.rawValue)] = nil
            try judgeFlushed()
        }
    }

    private func sectors(of blocks: Range<Int>) -> [Int] {
        let unit = DurabilityStamp.sectorsPerBlock
        return blocks.compactMap { places[$0] }.flatMap { $0 * unit..<($0 + 1) * unit }
    }

    private mutating func take(_ call: DiskCall, _ node: NodeIndex) throws(DurabilityFinding) {
        let index = Int(node.rawValue)
        machines[index].take(call)
        if let foreign = machines[index].foreign { throw DurabilityFinding(rule: "bytes", text: foreign) }
        switch call {
        case .written, .sync: return
        case .write(.data, _, _, _, _), .zero:
            // Any sector of it may be there or not; all images without it stay.
            _ = try images(of: node)
            if let write = machines[index].pendingData.last { images[index]?.extend(with: write) }
            if states[index].isTarget { try judgeOverwriting(node) }
        case .write(.metadata, _, _, _, _): images[index] = try refreshed(images[index], node, data: false)
        case .synced: images[index] = nil
        }
        try judgeAll()
        if case .synced = call { try judgeFlushed() }
    }

    private mutating func take(_ note: ReplicaNote, _ node: NodeIndex) throws(DurabilityFinding) {
        let index = Int(node.rawValue)
        switch note {
        case .recordAdopted(let epoch):
            let newest = records.last { $0.epoch == epoch }
            if let newest { try acts(node, on: newest) }
        case .narrowed: try acts(node, on: granted(to: node))
        case .resyncStarted(let isSource, _):
            states[index].isTarget = !isSource
            states[index].isSource = isSource
            let now = try images(of: node)
            // R5: what a named copy is to be overwritten with is durable.
            guard isSource, states[index].record.copies == .both, now.low != now.high else { return }
            throw DurabilityFinding(
                rule: "R5", text: "\(node) is the source of a named copy with data that is not durable")
        case .resyncEnded(let isSource, _):
            guard isSource else {
                states[index].isTarget = false
                return
            }
            try judgeWhole(node.peer)
        default: break
        }
    }

    // MARK: images

    private mutating func images(of node: NodeIndex) throws(DurabilityFinding) -> Images {
        let index = Int(node.rawValue)
        if let known = images[index] { return known }
        let built = try refreshed(nil, node, data: true)
        images[index] = built
        return built
    }

    /// Builds the images again, of one file or, where none are known, of both.
    private mutating func refreshed(
        _ known: Images?, _ node: NodeIndex, data: Bool
    ) throws(DurabilityFinding) -> Images {
        let machine = machines[Int(node.rawValue)]
        var images = known ?? Images(low: [], high: [], opened: [], covers: [])
        if data || known == nil {
            images.low = machine.data
            images.high = machine.data
            for choice in DurabilityMachine.choices(machine.pendingData, seed: random.next()) {
                imageCount += 1
                for (sector, stamp) in machine.dataImage(choice).enumerated() {
                    if stamp < images.low[sector] { images.low[sector] = stamp }
                    if stamp > images.high[sector] { images.high[sector] = stamp }
                }
            }
        }
        if !data || known == nil {
            images.opened = []
            images.covers = [Bool](repeating: true, count: blocks.count)
            for choice in DurabilityMachine.choices(machine.pendingMetadata, seed: random.next()) {
                imageCount += 1
                let found = try open(machine.metadataImage(choice), node)
                images.opened.append(found)
                for block in blocks.indices where !found.covers[block] { images.covers[block] = false }
            }
        }
        return images
    }

    /// I16: as at a start, after any crash a superblock is found and the log is whole.
    private mutating func open(_ bytes: [UInt8], _ node: NodeIndex) throws(DurabilityFinding) -> Opened {
        if let known = opened[bytes] { return known }
        let metadata: VolumeMetadata
        do throws(DiskFormatError) { metadata = try VolumeMetadata(decoding: bytes) } catch {
            throw DurabilityFinding(rule: "I16", text: "\(node) would not start: \(error)")
        }
        if metadata.isLogIncomplete {
            throw DurabilityFinding(rule: "I16", text: "\(node) could not replay its activity log")
        }
        let logged = Set(metadata.loggedExtents)
        let covers = blocks.map { block in
            metadata.dirtyWords[block / 64] >> UInt64(block % 64) & 1 == 1
                || logged.contains(UInt32(block / BlockSize.blocksPerExtent))
        }
        let found = Opened(metadata: metadata, covers: covers)
        opened[bytes] = found
        return found
    }

    // MARK: rules

    /// The newest record that names the node as holder.
    private func granted(to node: NodeIndex) -> ArbiterRecord {
        records.last { $0.holder == node } ?? records[0]
    }

    /// R6: what a machine acts on, its disk has. From here on, for good.
    private mutating func acts(_ node: NodeIndex, on record: ArbiterRecord) throws(DurabilityFinding) {
        if record.epoch > states[Int(node.rawValue)].record.epoch {
            states[Int(node.rawValue)].record = record
        }
        try judgeRecord(node)
    }

    private mutating func judgeRecord(_ node: NodeIndex) throws(DurabilityFinding) {
        let acted = states[Int(node.rawValue)].record
        for image in try images(of: node).opened
        where image.metadata.superblock.record?.epoch ?? 0 < acted.epoch {
            throw DurabilityFinding(
                rule: "R6", text: "\(node) acts on epoch \(acted.epoch), which its disk may not have")
        }
    }

    /// R3, R2, R5: a request is stored before it is sent; what it answers for is durable.
    private mutating func judge(_ request: ArbiterRequest) throws(DurabilityFinding) {
        let node = request.asker
        let now = try images(of: node)
        for image in now.opened where image.metadata.superblock.intent?.identifier != request.identifier {
            throw DurabilityFinding(
                rule: "R3", text: "\(node) sends a request that its disk may not have")
        }
        switch request.purpose {
        case .narrow, .takeOver, .promote:
            guard now.low != now.high else { return }
            throw DurabilityFinding(rule: "R2", text: "\(node) asks with data that is not durable")
        case .widen:
            try judgeWhole(node)
            try judgeWhole(node.peer)
            let other = try images(of: node.peer)
            let current = now.opened[0].metadata.superblock.generations.current
            for image in now.opened + other.opened
            where image.metadata.superblock.generations.current != current {
                throw DurabilityFinding(
                    rule: "I13", text: "both are to be named, and may be of different generations")
            }
        case .handOver, .leave: break
        }
    }

    /// I13, R5: the copy is durably whole.
    private mutating func judgeWhole(_ node: NodeIndex) throws(DurabilityFinding) {
        for image in try images(of: node).opened {
            switch image.metadata.superblock.condition {
            case .consistent, .awaitingRecord: continue
            case .inconsistent, .failed:
                throw DurabilityFinding(
                    rule: "I13", text: "the resync is over, and \(node) may not durably be whole")
            }
        }
    }

    /// I14, I9: a target is durably Inconsistent before it is overwritten, and the source can find again what it
    /// sends, also after one more crash of its own.
    private mutating func judgeOverwriting(_ node: NodeIndex) throws(DurabilityFinding) {
        let target = try images(of: node)
        for image in target.opened where image.metadata.superblock.condition == .consistent {
            throw DurabilityFinding(
                rule: "I14", text: "\(node) is overwritten by a resync and may not durably be Inconsistent")
        }
        guard let write = machines[Int(node.rawValue)].pendingData.last else { return }
        let source = try images(of: node.peer)
        for place in write.places {
            let block = place / DurabilityStamp.sectorsPerBlock
            guard !source.covers[block], source.low[place] != target.low[place] else { continue }
            throw DurabilityFinding(
                rule: "I9", text: "\(node.peer) copies block \(blocks[block]), which its disk may not mark")
        }
    }

    /// I9: whatever may differ between the copies is marked or logged on one of them, whatever each of them keeps.
    private mutating func judgeAll() throws(DurabilityFinding) {
        let first = try images(of: .first)
        let second = try images(of: .second)
        for node in NodeIndex.allCases { try judgeRecord(node) }
        for sector in first.low.indices {
            let value = first.low[sector]
            if value == first.high[sector], value == second.low[sector], value == second.high[sector] {
                continue
            }
            let block = sector / DurabilityStamp.sectorsPerBlock
            if first.covers[block] || second.covers[block] { continue }
            throw DurabilityFinding(
                rule: "I9",
                text: "block \(blocks[block]) may hold write \(value) to \(first.high[sector]) here and "
                    + "\(second.low[sector]) to \(second.high[sector]) there, is in no bitmap and in no log")
        }
    }

    private var newestRecord: ArbiterRecord {
        states[0].record.epoch >= states[1].record.epoch ? states[0].record : states[1].record
    }

    /// I2, I3: an epoch begins with all that was answered, but for what this copy itself lost in a power cut while
    /// nobody else had it, or lost it too. From here on that is gone.
    private mutating func judgeBeginning(_ node: NodeIndex) throws(DurabilityFinding) {
        let current = machines[Int(node.rawValue)].dataImage(.all)
        for sector in current.indices where current[sector] < answered[sector] {
            let isExcused =
                cutSince[sector].contains(node) && (!wasOnBoth[sector] || cutSince[sector] == .both)
            guard isExcused, answered[sector] > floor[sector] else {
                let block = blocks[sector / DurabilityStamp.sectorsPerBlock]
                throw DurabilityFinding(
                    rule: "I3",
                    text: "\(node) begins with write \(current[sector]) of block \(block), "
                        + "write \(answered[sector]) was answered")
            }
            answered[sector] = current[sector]
        }
    }

    /// I1, I17: what an answered flush covered is in every image of every copy that counts.
    private mutating func judgeFlushed() throws(DurabilityFinding) {
        for node in NodeIndex.allCases where newestRecord.copies.contains(node) {
            let now = try images(of: node)
            let isWhole = now.opened.allSatisfy { $0.metadata.superblock.condition == .consistent }
            guard isWhole, !states[Int(node.rawValue)].isTarget else { continue }
            for sector in floor.indices where now.low[sector] < floor[sector] {
                throw DurabilityFinding(
                    rule: "I17",
                    text: "a flush was answered, \(node) may lose write \(floor[sector]) of block "
                        + "\(blocks[sector / DurabilityStamp.sectorsPerBlock])")
            }
        }
    }

    /// A write that is answered alone is answered under a generation of its own.
    private mutating func judgeAnswer() throws(DurabilityFinding) {
        for node in NodeIndex.allCases {
            let state = states[Int(node.rawValue)]
            guard state.isPrimary, !state.isSource, state.record.copies == NodeSet(node) else { continue }
            for image in try images(of: node).opened
            where image.metadata.superblock.generations.bitmap == .none {
                throw DurabilityFinding(
                    rule: "I13", text: "\(node) answers alone, its disk may have the generation of both")
            }
        }
    }
}
