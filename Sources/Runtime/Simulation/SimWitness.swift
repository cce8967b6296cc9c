import Basics
import Quorum
import Replication

/// The witness: its file, which survives or is lost, and the process that answers.
struct SimWitness {
    /// What its disk holds.
    var durable: ArbiterRecord?
    var durableGranted = Mark.none
    /// States that the disk held before, for setting it back.
    var history: [(ArbiterRecord, Mark)] = []
    /// What a power cut leaves, where the store's fdatasync is left out by a deliberate break.
    var beforeUnsynced: (ArbiterRecord?, Mark)?
    /// Its disk was lost or set back, or an operator seeded it anew: what it told before, it may contradict.
    var wasSetBack = false
    /// Grants that were told, by their epoch.
    var told: [UInt64: Mark] = [:]
    var machine: Witness?
    var life = 0
    /// The session of each node, as the witness sees it.
    var sessions: [Int?] = [nil, nil]
    var sessionCount = 0

    init(record: ArbiterRecord) { durable = record }

    /// Starts the process, unless it runs: healing may have started it before its own time came.
    mutating func start(at now: Instant, _ world: World) {
        guard machine == nil else { return }
        machine = Witness(
            record: durable, granted: durableGranted,
            configuration: WitnessConfiguration(promise: .milliseconds(1100)),
            at: now, breaks: world.profile.fault?.quorum ?? [])
    }
}

extension World {
    private static let witnessPlace = 2

    func connectWitness(_ node: SimNode, after microseconds: Int) {
        let life = node.life
        schedule(after: microseconds) { world in
            guard node.life == life, node.isUp, node.session == nil, world.profile.hasArbiter else { return }
            let out = Direction(from: Int(node.index.rawValue), to: Self.witnessPlace)
            let back = Direction(from: Self.witnessPlace, to: Int(node.index.rawValue))
            guard world.witness.machine != nil, !world.cut.contains(out), !world.cut.contains(back) else {
                world.connectWitness(node, after: 50_000 + world.network.below(200_000))
                return
            }
            world.witness.sessionCount += 1
            let session = world.witness.sessionCount
            node.session = session
            world.witness.sessions[Int(node.index.rawValue)] = session
            world.tell(node)
            world.deliver(.arbiterUp, to: node)
        }
    }

    /// The node says what it knows and that it lives.
    func tell(_ node: SimNode) {
        guard let session = node.session else { return }
        let record = node.replica.record
        let holding = node.replica.isPrimary && !node.replica.isFrozen ? record?.epoch ?? 0 : 0
        let restarted = node.replica.isRestarted
        transmit(Direction(from: Int(node.index.rawValue), to: Self.witnessPlace)) { world in
            guard world.witness.sessions[Int(node.index.rawValue)] == session else { return }
            world.witness.machine?.heard(node.index, isRestarted: restarted, holding: holding, at: world.now)
            let before = world.witness.machine?.record
            if let record { world.witness.machine?.told(record) }
            if world.witness.machine?.record != before {
                // DESIGN 7: a record is created by `init` or `adopt` only, never because a node tells one.
                world.fail(Violation("I20", "the witness took a record over from \(node.index)"))
            }
        }
    }

    func endSession(of node: SimNode, _ session: Int?) {
        guard let session else { return }
        if node.session == session, node.isUp {
            node.session = nil
            deliver(.arbiterLost, to: node)
            connectWitness(node, after: 20_000 + network.below(200_000))
        }
        schedule(after: 1 + network.below(500_000)) { world in
            let place = Int(node.index.rawValue)
            if world.witness.sessions[place] == session { world.witness.sessions[place] = nil }
        }
    }

    func ask(from node: SimNode) {
        guard let session = node.session, let request = node.replica.openRequest else { return }
        log("\(node.index) asks \(request.purpose) from e\(request.expectedEpoch)")
        judgeRequest(request, of: node)
        transmit(Direction(from: Int(node.index.rawValue), to: Self.witnessPlace)) { world in
            // A request whose session has ended is dropped.
            guard world.witness.sessions[Int(node.index.rawValue)] == session else { return }
            world.decide(request, for: node, session)
        }
    }

    private func decide(_ request: ArbiterRequest, for node: SimNode, _ session: Int) {
        guard var machine = witness.machine else { return }
        let before = machine.record
        let answer = machine.decide(request, mark: Mark(using: &network), at: now)
        witness.machine = machine
        log("witness \(answer)")
        guard case .granted(let record) = answer, before != record else {
            reply(to: node, session, .arbiterAnswered(identifier: request.identifier, answer))
            return
        }
        judgeWidening(request, record)
        judgeGrant(record)
        let life = witness.life
        let granted = machine.granted
        let isSynced = !(profile.fault?.quorum.contains(.grantNotStored) ?? false)
        if !isSynced, witness.beforeUnsynced == nil {
            witness.beforeUnsynced = (witness.durable, witness.durableGranted)
        }
        // Durable before it is answered; a crash in between may have stored it or not.
        let isStored = faults.chance(in: 2)
        if isStored { storeWitness(record, granted) }
        schedule(after: 1 + diskRandom.below(5000)) { world in
            guard world.witness.life == life else { return }
            // Once only: the next record may have been read, asked from and stored meanwhile.
            if !isStored { world.storeWitness(record, granted) }
            world.witness.told[record.epoch] = record.grant
            world.reply(to: node, session, .arbiterAnswered(identifier: request.identifier, answer))
        }
    }

    private func storeWitness(_ record: ArbiterRecord, _ granted: Mark) {
        if let old = witness.durable { witness.history.append((old, witness.durableGranted)) }
        witness.durable = record
        witness.durableGranted = granted
    }

    private func reply(to node: SimNode, _ session: Int, _ event: ReplicaEvent) {
        transmit(Direction(from: Self.witnessPlace, to: Int(node.index.rawValue))) { world in
            guard node.session == session else { return }
            world.deliver(event, to: node)
        }
    }

    func readRecord(from node: SimNode) {
        guard let session = node.session else { return }
        transmit(Direction(from: Int(node.index.rawValue), to: Self.witnessPlace)) { world in
            guard world.witness.sessions[Int(node.index.rawValue)] == session else { return }
            let record = world.witness.durable == world.witness.machine?.record ? world.witness.durable : nil
            world.reply(to: node, session, .recordRead(record))
        }
    }

    /// I20: never two grants of one epoch.
    private func judgeGrant(_ record: ArbiterRecord) {
        guard profile.keepsGuarantees else { return }
        if let other = epochGrants[record.epoch], other != record.grant, witness.history.isEmpty == false,
            witness.history.contains(where: { $0.0.epoch == record.epoch })
                || witness.durable?.epoch == record.epoch
        {
            fail(Violation("I20", "the witness granted epoch \(record.epoch) twice"))
        }
        if let told = witness.told[record.epoch], told != record.grant, !witness.wasSetBack {
            fail(Violation("I20", "the witness granted epoch \(record.epoch) twice, and told both"))
        }
        epochGrants[record.epoch] = record.grant
    }

    func crashWitness(losingDisk: Bool, settingBack: Bool) {
        guard witness.machine != nil else { return }
        log("witness crashes\(losingDisk ? ", emptied" : settingBack ? ", set back" : "")")
        witness.machine = nil
        witness.life += 1
        if let (record, granted) = witness.beforeUnsynced {
            witness.durable = record
            witness.durableGranted = granted
            witness.beforeUnsynced = nil
        }
        witness.wasSetBack = witness.wasSetBack || losingDisk || settingBack
        if losingDisk {
            witness.durable = nil
            witness.durableGranted = .none
        } else if settingBack, let old = witness.history.last {
            witness.durable = old.0
            witness.durableGranted = old.1
        }
        for node in nodes {
            let session = node.session
            witness.sessions[Int(node.index.rawValue)] = nil
            schedule(after: 1 + network.below(300_000)) { $0.endSession(of: node, session) }
        }
        schedule(after: 1 + faults.below(1_500_000)) { world in world.witness.start(at: world.now, world) }
    }
}
