import Basics
import BlockStore
import DiskFormat
import FuseDevice
import Glibc
import LinuxSystem
import NodeRuntime
import Quorum
import Replication
import Synchronization
import Testing

/// The arbiter of a story: grants what is asked from the record that stands.
final class StoryArbiter: Sendable {
    private struct State {
        var record: ArbiterRecord
        var volumes: [NodeIndex: @Sendable (VolumeOrder) -> Void] = [:]
    }

    private let state: Mutex<State>
    private let log: DurabilityLog

    init(_ record: ArbiterRecord, log: DurabilityLog) {
        state = Mutex(State(record: record))
        self.log = log
    }

    /// The node can be heard from now on; nil: no more.
    func connect(_ node: NodeIndex, _ post: (@Sendable (VolumeOrder) -> Void)?) {
        state.withLock { $0.volumes[node] = post }
        post?(.event(.arbiterUp))
    }

    func hear(_ report: VolumeReport, from node: NodeIndex) {
        state.withLock { state in
            guard let post = state.volumes[node] else { return }
            switch report {
            case .readRecord: post(.event(.recordRead(state.record)))
            case .ask(let request):
                let isNext =
                    request.expectedEpoch == state.record.epoch && request.expectedGrant == state.record.grant
                guard isNext else {
                    post(
                        .event(
                            .arbiterAnswered(
                                identifier: request.identifier, .refused(.recordChanged, state.record))))
                    return
                }
                state.record = ArbiterRecord(
                    epoch: request.expectedEpoch + 1, grant: Mark(high: 5, low: request.expectedEpoch),
                    holder: request.holder, copies: request.copies)
                log.append(.granted(state.record))
                post(.event(.arbiterAnswered(identifier: request.identifier, .granted(state.record))))
            default: break
            }
        }
    }
}

/// Two machines, an arbiter and a client whose every disk call and answer is recorded.
final class DurabilityStory {
    static let size: UInt64 = 32 << 20
    static let firstRecord = ArbiterRecord(
        epoch: 1, grant: Mark(high: 1, low: 2), holder: .first, copies: .both)

    let folder: Folder
    let log = DurabilityLog()
    let metadata: [[UInt8]]
    /// Called where a story that is known to be lost may end.
    var checkpoint: () throws -> Void = {}
    private let arbiter: StoryArbiter
    private let omitted: Set<SyncPoint>
    private var volumes: [Volume] = []
    private var reports: [Reports] = []
    private var lives = [0, 0]
    private var mount: FuseMount?
    private var device: Descriptor?
    /// Whose device is served.
    private(set) var primary: NodeIndex?
    private(set) var isLinked = false
    private var stamp: UInt64 = 0
    /// The last answered write of each block, and the last that was flushed.
    private var answered: [Int: UInt64] = [:]
    private var flushed: [Int: UInt64] = [:]

    /// `logCapacity`: extents that an activity log holds; the volume has 8.
    init(logCapacity: UInt32, omitting omitted: Set<SyncPoint>, in parent: String) throws {
        folder = try Folder(in: parent)
        self.omitted = omitted
        arbiter = StoryArbiter(Self.firstRecord, log: log)
        metadata = NodeIndex.allCases.map { node in
            VolumeMetadata.initialBytes(
                Superblock(
                    size: Self.size, node: node, logCapacity: logCapacity,
                    generations: GenerationTuple(current: .zeroes, bitmap: .none, history: []),
                    condition: .consistent, record: Self.firstRecord, intent: nil, ownership: 7))
        }
        for node in NodeIndex.allCases {
            try BackingFile.create(path(node), size: Self.size)
            try MetadataFile.create(
                MetadataFile.path(besides: path(node)), bytes: metadata[Int(node.rawValue)])
            reports.append(try Reports())
            volumes.append(try start(node))
        }
        for node in NodeIndex.allCases { hear(node) }
    }

    private func path(_ node: NodeIndex) -> String {
        "\(folder.path)/\(node == .first ? "data.img" : "peer.img")"
    }

    private func start(_ node: NodeIndex) throws -> Volume {
        let life = lives[Int(node.rawValue)]
        let (log, arbiter, reports) = (log, arbiter, reports[Int(node.rawValue)])
        let replica = ReplicaConfiguration(
            me: node, hasArbiter: true, freezeTimeout: .seconds(20), waitForPeer: .milliseconds(1))
        let configuration = VolumeConfiguration(
            name: "story \(node)", replica: replica, seed: UInt64(life) << 8 | UInt64(node.rawValue) + 77,
            omittedSyncs: omitted
        ) { log.append(.machine(node, life: life, .disk($0))) }
        return try Volume(
            configuration, backing: try BackingFile.open(path(node), size: Self.size),
            metadata: try MetadataFile.open(MetadataFile.path(besides: path(node)), size: nil)
        ) { report in
            switch report {
            case .ask(let request): log.append(.machine(node, life: life, .asked(request)))
            case .note(let note): log.append(.machine(node, life: life, .note(note)))
            case .roleChanged(let isPrimary):
                log.append(.machine(node, life: life, .role(isPrimary: isPrimary)))
            case .linkClosed: log.append(.machine(node, life: life, .linkClosed))
            default: break
            }
            arbiter.hear(report, from: node)
            reports.take(report)
        }
    }

    private func hear(_ node: NodeIndex) {
        let volume = volumes[Int(node.rawValue)]
        arbiter.connect(node) { volume.post($0) }
    }

    // MARK: judging

    func judge(_ entries: [DurabilityEntry]) -> DurabilityJudge {
        DurabilityJudge(entries, metadata: metadata, record: Self.firstRecord, seed: 1)
    }

    /// What the images of all that was recorded so far contradict.
    func finding() -> DurabilityFinding? {
        let entries = log.all
        var judge = judge(entries)
        return judge.judge(entries)
    }

    // MARK: waiting

    func wait<Value>(_ node: NodeIndex, _ what: String, _ match: (ReplicaNote) -> Value?) throws -> Value {
        try reports[Int(node.rawValue)].first("\(what) of \(node)", within: .seconds(8)) { report in
            if case .note(let note) = report { match(note) } else { nil }
        }
    }

    private func waitRole(_ node: NodeIndex, isPrimary: Bool) throws {
        let _: Bool = try reports[Int(node.rawValue)].first("the role of \(node)", within: .seconds(8)) {
            if case .roleChanged(isPrimary) = $0 { true } else { nil }
        }
    }

    func waitResync(_ node: NodeIndex) throws {
        let _: Bool = try wait(node, "the resync's end") { if case .resyncEnded = $0 { true } else { nil } }
    }

    func waitAlone(_ node: NodeIndex) throws {
        let _: Bool = try wait(node, "the grant") { if case .narrowed = $0 { true } else { nil } }
    }

    func waitBoth(_ node: NodeIndex) throws {
        let _: Bool = try wait(node, "the wider record") { if case .widened = $0 { true } else { nil } }
    }

    // MARK: what happens

    func connect() throws {
        isLinked = true
        var ends: [Int32] = [-1, -1]
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        try #require(socketpair(AF_UNIX, kind, 0, &ends) == 0)
        volumes[0].post(.link(PeerSocket(socket: Descriptor(adopting: ends[0]), channel: nil)))
        volumes[1].post(.link(PeerSocket(socket: Descriptor(adopting: ends[1]), channel: nil)))
        for node in NodeIndex.allCases {
            let _: Bool = try wait(node, "the handshake") { if case .handshake = $0 { true } else { nil } }
        }
    }

    func disconnect() throws {
        isLinked = false
        for node in NodeIndex.allCases { volumes[Int(node.rawValue)].post(.dropLink) }
        for reports in reports {
            let _: Bool = try reports.first("the connection's end") {
                if case .linkClosed = $0 { true } else { nil }
            }
        }
    }

    func promote(_ node: NodeIndex) throws {
        let deadline = Instant.now() + .seconds(8)
        while true {
            volumes[Int(node.rawValue)].post(.event(.promote))
            let refusal: PromotionRefusal? = try reports[Int(node.rawValue)].first(
                "an answer to promote", within: .seconds(8)
            ) { report in
                switch report {
                case .roleChanged(isPrimary: true): .some(nil)
                case .promotionRefused(let reason): .some(reason)
                default: nil
                }
            }
            guard let refusal else { break }
            guard Instant.now() < deadline else {
                Issue.record("the promotion of \(node) was refused: \(refusal)")
                throw Reports.Missing()
            }
        }
        try serve(node)
    }

    private func serve(_ node: NodeIndex) throws {
        primary = node
        let path = "\(folder.path)/mount"
        _ = mkdir(path, 0o700)
        let mount = try FuseMount(at: path)
        let number = dup(mount.descriptor.raw)
        volumes[Int(node.rawValue)].post(.device(MountedDevice(Descriptor(adopting: number))))
        let _: Bool = try reports[Int(node.rawValue)].first("the device") {
            if case .deviceServing = $0 { true } else { nil }
        }
        self.mount = consume mount
        let file = open("\(path)/\(FuseSession.fileName)", O_RDWR | O_CLOEXEC)
        try #require(file >= 0)
        device = Descriptor(adopting: file)
    }

    @discardableResult
    private func unmount() throws -> NodeIndex {
        let node = try #require(primary)
        primary = nil
        device = nil
        mount = nil
        volumes[Int(node.rawValue)].post(.dropDevice)
        let _: Bool = try reports[Int(node.rawValue)].first("the session's end") {
            if case .deviceEnded = $0 { true } else { nil }
        }
        return node
    }

    /// Writes whole blocks and waits for the answer.
    func write(_ block: Int, count: Int = 1) throws {
        stamp += 1
        log.append(.issued(stamp: stamp, blocks: block..<block + count))
        let sector = DurabilityStamp.bytes(stamp)
        let bytes = [UInt8](
            (0..<count * DurabilityStamp.sectorsPerBlock).map { _ in sector }.joined())
        let file = device?.raw ?? -1
        let written = pwrite(file, bytes, bytes.count, off_t(block) * off_t(BlockSize.block))
        try #require(written == bytes.count)
        log.append(.answered(stamp: stamp))
        for block in block..<block + count { answered[block] = stamp }
    }

    func flush() throws {
        log.append(.flushing)
        let file = device?.raw ?? -1
        try #require(fsync(file) == 0)
        log.append(.flushed)
        flushed = answered
    }

    /// Reads all that was ever flushed from the device: nothing older is there.
    func readAll() throws {
        let file = device?.raw ?? -1
        for (block, stamp) in flushed {
            var bytes = [UInt8](repeating: 0, count: Int(BlockSize.block))
            let count = pread(file, &bytes, bytes.count, off_t(block) * off_t(BlockSize.block))
            try #require(count == bytes.count)
            for start in stride(from: 0, to: bytes.count, by: DurabilityStamp.sector) {
                let found = DurabilityStamp.stamp(of: bytes, at: start)
                if let found, found >= stamp { continue }
                throw DurabilityFinding(
                    rule: "I1", text: "block \(block) holds write \(found ?? 0), write \(stamp) was flushed")
            }
        }
    }

    func demote() throws {
        let node = try unmount()
        volumes[Int(node.rawValue)].post(.event(.demote))
        try waitRole(node, isPrimary: false)
    }

    /// A switchover, as far as the volume goes.
    func handOver() throws {
        let old = try unmount()
        volumes[Int(old.rawValue)].post(.event(.handOver))
        try waitRole(old, isPrimary: false)
        let _: Bool = try reports[Int(old.peer.rawValue)].first("the invitation", within: .seconds(8)) {
            if case .invitedToPromote = $0 { true } else { nil }
        }
        try promote(old.peer)
    }

    /// Cuts a machine's power: of what no fdatasync covers it keeps what is chosen, and starts again from that.
    func cutPower(
        _ node: NodeIndex, data: DurabilityChoice = .none, metadata: DurabilityChoice = .none
    ) throws {
        arbiter.connect(node, nil)
        volumes[Int(node.rawValue)].post(.event(.arbiterLost))
        if isLinked { try disconnect() }
        log.append(.cut(node, data: data, metadata: metadata))
        // What was answered and not flushed may be gone for good.
        answered = flushed
        lives[Int(node.rawValue)] += 1
        if primary == node { try unmount() }
        volumes[Int(node.rawValue)].stop()
        try leaveImage(node)
        volumes[Int(node.rawValue)] = try start(node)
        hear(node)
    }

    /// Overwrites both files with what the cut leaves.
    private func leaveImage(_ node: NodeIndex) throws {
        let entries = log.all
        var machine = DurabilityMachine(places: judge(entries).places, metadata: metadata[Int(node.rawValue)])
        for entry in entries {
            switch entry {
            case .machine(node, machine.life, .disk(let call)): machine.take(call)
            case .cut(node, let data, let metadata): machine.cut(data: data, metadata: metadata)
            default: break
            }
        }
        let data = Descriptor(adopting: open(path(node), O_RDWR | O_CLOEXEC))
        for (block, place) in machine.places {
            let first = place * DurabilityStamp.sectorsPerBlock
            let stamps = machine.data[first..<first + DurabilityStamp.sectorsPerBlock]
            let bytes = [UInt8](stamps.map(DurabilityStamp.bytes).joined())
            let offset = off_t(block) * off_t(BlockSize.block)
            try #require(pwrite(data.raw, bytes, bytes.count, offset) == bytes.count)
        }
        let file = Descriptor(
            adopting: open(MetadataFile.path(besides: path(node)), O_RDWR | O_CLOEXEC))
        let bytes = machine.metadata
        try #require(pwrite(file.raw, bytes, bytes.count, 0) == bytes.count)
    }

    /// Ends everything; true when both copies are alike.
    func end() throws -> Bool {
        stop()
        return try contents(.first) == contents(.second)
    }

    private func stop() {
        device = nil
        mount = nil
        for volume in volumes { volume.stop() }
    }

    private func contents(_ node: NodeIndex) throws -> [UInt8] {
        let file = Descriptor(adopting: open(path(node), O_RDONLY | O_CLOEXEC))
        var bytes = [UInt8](repeating: 0, count: Int(Self.size))
        try #require(pread(file.raw, &bytes, bytes.count, 0) == bytes.count)
        return bytes
    }

    deinit { stop() }
}
