import Basics
import DiskFormat
import Quorum
import Replication
import WireFormat

/// One run: two nodes, a witness, clients, a disk each, a network and a clock, all made from one seed.
///
/// One thread, one queue ordered by time and sequence; randomness is split by label, so that a draw added in one
/// place does not shift the others. The machines are the daemon's own; only what surrounds them is made up.
public final class World {
    static let blocks = 64
    static let extentBlocks = 8

    let profile: Profile
    let seed: UInt64
    var now = Instant(nanoseconds: 1_000_000_000)
    private var queue = EventQueue<(World) -> Void>()
    var nodes: [SimNode] = []
    var witness: SimWitness
    var oracle: Oracle
    public internal(set) var coverage = Coverage()
    public internal(set) var violation: Violation?
    public internal(set) var eventCount = 0
    /// One line for each change of state, kept when asked for.
    public internal(set) var trace: [String] = []
    let isTracing: Bool
    public private(set) var traceHash: UInt64 = 0xCBF2_9CE4_8422_2325

    var network: SeededGenerator
    var diskRandom: SeededGenerator
    var clientRandom: SeededGenerator
    var faults: SeededGenerator
    var swarm = Swarm()

    // The links: a direction that is cut holds what was sent.
    var cut: Set<Direction> = []
    var connectionCount = 0
    var lastDelivery: [Direction: Instant] = [:]
    var held: [Direction: [(World) -> Void]] = [:]
    var isHealed = false
    var areClientsStopped = false
    /// Whether reads that never all pause run on each device: in one world of sixteen, told by the seed, so that seeds on
    /// file run as they did.
    var hasSteadyReaders: Bool { seed % 16 == 5 }
    var epochGrants: [UInt64: Mark] = [:]
    /// The connection whose ends were seen under one record.
    var judgedConnection: Int?
    /// Since when its ends know two grants of one epoch.
    var twoGrantsSince: Instant?

    struct Direction: Hashable {
        /// 0 and 1 are the nodes, 2 the witness.
        var from: Int
        var to: Int
    }

    /// A run of `seed`; `tracing` keeps every line.
    public init(seed: UInt64, profile: Profile, tracing: Bool = false) {
        self.seed = seed
        self.profile = profile
        isTracing = tracing
        network = SeededGenerator(seed: seed, label: "network")
        diskRandom = SeededGenerator(seed: seed, label: "disk")
        clientRandom = SeededGenerator(seed: seed, label: "client")
        faults = SeededGenerator(seed: seed, label: "faults")
        oracle = Oracle(cells: Self.blocks * SimDisk.cellsPerBlock)
        var setup = SeededGenerator(seed: seed, label: "setup")
        swarm = Self.drawSwarm(&setup)
        let record = ArbiterRecord(epoch: 1, grant: Mark(high: 1, low: 1), holder: .first, copies: .both)
        witness = SimWitness(record: record)
        epochGrants[1] = record.grant
        let origins = Origin.draw(profile, &setup)
        for (index, origin) in zip(NodeIndex.allCases, origins) {
            let superblock = Superblock(
                size: UInt64(Self.blocks) * BlockSize.block, node: index,
                logCapacity: UInt32(swarm.logCapacity),
                generations: origin.generations, condition: origin.condition, record: record, intent: nil,
                ownership: 0)
            var disk = SimDisk(blocks: Self.blocks, superblock: superblock)
            disk.skipped = profile.fault?.skippedSync
            let replica = Self.replica(of: disk, profile, swarm, seed: setup.next())
            nodes.append(SimNode(index: index, disk: disk, replica: replica ?? Self.unreadable(disk)))
        }
        for (node, origin) in zip(nodes, origins) where origin.hasData {
            let write = oracle.issue(on: node.index, 0..<Self.blocks * SimDisk.cellsPerBlock)
            node.disk.fill(with: write)
            oracle.stored(write, by: node.index)
            oracle.completed(write, bothNamed: false, died: [])
        }
    }

    private static func drawSwarm(_ random: inout SeededGenerator) -> Swarm {
        func rate(_ values: [Int]) -> Int { values[random.below(values.count)] }
        return Swarm(
            crash: rate([0, 0, 8, 4, 2]), crashWitness: rate([0, 0, 16, 6]),
            loseWitnessDisk: rate([0, 0, 24, 8]),
            cut: rate([0, 6, 3, 2]), diskError: rate([0, 0, 0, 0, 250]), operatorAction: rate([0, 8, 4]),
            connectionBreak: rate([0, 8, 3]), slowDisk: rate([0, 0, 50]), actionCrash: rate([0, 3, 1]),
            crashAgain: rate([0, 0, 3]), pause: rate([0, 0, 8, 4]),
            diskMicroseconds: rate([100, 500, 3000]), networkMicroseconds: rate([100, 1000, 20000]),
            thinkMilliseconds: rate([2, 8, 30]), logCapacity: random.chance(in: 24) ? 2000 : rate([2, 3, 7]),
            waitMilliseconds: rate([100, 2000, 2000]), silenceMilliseconds: rate([700, 700, 3000]))
    }

    static func replica(of disk: SimDisk, _ profile: Profile, _ swarm: Swarm, seed: UInt64) -> Replica? {
        guard let log = disk.replay(capacity: Int(disk.superblock.logCapacity)) else { return nil }
        var configuration = ReplicaConfiguration(
            me: disk.superblock.node, hasArbiter: profile.hasArbiter, freezeTimeout: .seconds(4),
            waitForPeer: .milliseconds(UInt64(swarm.waitMilliseconds)), askAgain: .milliseconds(400),
            transferLogBlocks: 48,
            extent: UInt64(extentBlocks) * BlockSize.block, breaks: profile.fault?.replica ?? [])
        configuration.tellsBranches = true
        return Replica(
            configuration: configuration, superblock: disk.superblock, dirtyWords: disk.bitmap,
            loggedExtents: log.extents, nextLogNumber: log.nextNumber, seed: seed)
    }

    /// A log that cannot be replayed names every extent.
    static func unreadable(_ disk: SimDisk) -> Replica {
        preconditionFailure("a fresh disk replays")
    }

    // MARK: time

    func schedule(after microseconds: Int, _ event: @escaping (World) -> Void) {
        queue.insert(event, at: now + .microseconds(UInt64(max(1, microseconds))))
    }

    func schedule(at time: Instant, _ event: @escaping (World) -> Void) {
        queue.insert(event, at: max(time, now))
    }

    func log(_ line: @autoclosure () -> String) {
        guard isTracing else { return }
        trace.append("\(now.nanoseconds / 1000) \(line())")
    }

    func hash(_ value: UInt64) { traceHash = (traceHash ^ value) &* 0x100_0000_01B3 }

    func fail(_ violation: Violation) {
        guard self.violation == nil else { return }
        self.violation = violation
        log("VIOLATION \(violation.invariant): \(violation.text)")
    }

    /// Runs to the end: faults, then everything heals and must converge (I23, I24). Returns the first violation.
    public func run() -> Violation? {
        begin()
        let healing = now + .seconds(profile.faultSeconds)
        let end = healing + .seconds(40)
        while violation == nil, let (time, event) = queue.removeFirst() {
            now = time
            eventCount += 1
            if !isHealed, now >= healing { heal() }
            if now > end {
                fail(Violation("I24", "no convergence in 40 s after everything healed: \(summary)"))
                break
            }
            event(self)
            if isHealed, hasConverged() { break }
        }
        if violation == nil { judgeEnd() }
        coverage.countSeed(events: eventCount)
        return violation
    }

    private func begin() {
        for node in nodes {
            deliver(.start, to: node)
            connectWitness(node, after: 1000)
            tickElector(node)
            tickHeartbeat(node)
            tickClient(node)
        }
        witness.start(at: now, self)
        tickConnect()
        tickFaults()
        tickReseed()
        log("seed \(seed) \(swarm)")
    }

    /// What stands at the end, for the message.
    var summary: String {
        let record =
            witness.machine?.record.map { "e\($0.epoch) \($0.holder) copies \($0.copies.rawValue)" } ?? "-"
        let isRolledBack = witness.machine?.isRolledBack ?? false
        return nodes.map(Self.summary).joined(separator: "; ")
            + "; witness \(record)\(isRolledBack ? ", rolled back" : "")"
    }

    private static func summary(of node: SimNode) -> String {
        let replica = node.replica
        let record = replica.record.map { "e\($0.epoch) \($0.holder) copies \($0.copies.rawValue)" } ?? "-"
        let intent = replica.openRequest.map { "\($0.purpose)" } ?? "-"
        return "\(node.index): up \(node.isUp) primary \(replica.isPrimary) \(record) link \(replica.link)"
            + " sync \(replica.sync) \(replica.superblock.condition) dirty \(replica.dirty.count)"
            + " frozen \(replica.isFrozen) asks \(intent) open \(node.openWrites.count)+\(node.openFlushes.count)"
            + " \(replica.pendingWork)"
    }
}
