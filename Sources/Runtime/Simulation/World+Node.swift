import Basics
import DiskFormat
import Quorum
import Replication
import WireFormat

// A node's runtime, as the real one does it: events in, actions carried out in order.
extension World {
    func deliver(_ event: ReplicaEvent, to node: SimNode) {
        guard node.isUp, violation == nil else { return }
        if node.pausedUntil > now || !node.backlog.isEmpty, !node.isDraining {
            let life = node.life
            whenAwake(node) { world in
                if node.life == life { world.deliver(event, to: node) }
            }
            return
        }
        node.actions.removeAll(keepingCapacity: true)
        node.replica.handle(event, at: now, into: &node.actions)
        judgeState(of: node)
        let actions = node.actions
        for action in actions {
            if let left = node.actionsUntilCrash {
                if left == 0 {
                    crash(node)
                    return
                }
                node.actionsUntilCrash = left - 1
            }
            perform(action, on: node)
            if violation != nil || !node.isUp { return }
        }
    }

    /// Runs the body when the process is not stopped: a stopped one handles everything late, in its order.
    func whenAwake(_ node: SimNode, _ body: @escaping (World) -> Void) {
        if node.isDraining || node.pausedUntil <= now && node.backlog.isEmpty { return body(self) }
        node.backlog.append(body)
        if node.backlog.count == 1 { schedule(at: node.pausedUntil) { $0.drainBacklog(of: node) } }
    }

    private func drainBacklog(of node: SimNode) {
        guard node.pausedUntil <= now else {
            return schedule(at: node.pausedUntil) { $0.drainBacklog(of: node) }
        }
        let backlog = node.backlog
        node.backlog.removeAll()
        node.isDraining = true
        for body in backlog { body(self) }
        node.isDraining = false
    }

    private func later(_ node: SimNode, _ microseconds: Int, _ body: @escaping (World, SimNode) -> Void) {
        let life = node.life
        schedule(after: microseconds) { world in
            guard node.life == life, node.isUp else { return }
            body(world, node)
        }
    }

    private var diskLatency: Int {
        let base = 1 + diskRandom.below(swarm.diskMicroseconds)
        return swarm.slowDisk > 0 && diskRandom.chance(in: swarm.slowDisk) ? base + 300_000 : base
    }

    private func diskFails(_ node: SimNode) -> Bool {
        if node.isDiskDead { return true }
        guard !isHealed, swarm.diskError > 0, diskRandom.chance(in: swarm.diskError) else { return false }
        // One bad disk is the fault model; two are not survivable.
        guard !nodes.contains(where: \.isDiskDead), witness.machine?.record?.copies == .both,
            nodes.allSatisfy({ $0.replica.superblock.condition == .consistent && $0.replica.sync == .none })
        else { return false }
        node.isDiskDead = true
        oracle.crashed(node.index)
        log("\(node.index) disk dies")
        return true
    }

    private func perform(_ action: ReplicaAction, on node: SimNode) {
        hash(UInt64(truncatingIfNeeded: action.discriminator) ^ now.nanoseconds)
        switch action {
        case .writeData(let slot), .zeroData(let slot): write(slot, on: node)
        case .readData(let slot): read(slot, on: node)
        case .syncData(let point): syncData(point, on: node)
        case .storeSuperblock(let point): storeMeta(.superblock(node.replica.superblock), point, on: node)
        case .storeBitmap(let point): storeMeta(.bitmap(node.replica.dirty.words), point, on: node)
        case .storeLog(let point):
            judgeDifferences(if: node.replica.logTransaction, of: node)
            storeMeta(.log(node.replica.logTransaction), point, on: node)
        case .sendWrite(let slot): sendData(.write, slot, from: node)
        case .sendZero(let slot): sendData(.zero, slot, from: node)
        case .sendResync(let slot):
            judgeSending(slot, from: node)
            sendData(.resync, slot, from: node)
        case .sendRead(let slot):
            let (tag, range) = (node.replica.tag(of: slot), node.replica.range(of: slot))
            send(.read(tag: tag, range: range, stamp: node.replica.stamp), from: node)
        case .sendReadAnswer(let slot, let ok):
            send(
                .readAnswer(
                    tag: node.replica.tag(of: slot), ok: ok, values: node.values[slot],
                    tainted: node.taints[slot]),
                from: node)
            node.freePeerSlots.append(slot)
        case .sendFlush(let tag, let settled):
            send(.flush(tag: tag, settled: settled, stamp: node.replica.stamp), from: node)
        case .sendAcknowledgement(let tag, let ok): send(.acknowledgement(tag: tag, ok: ok), from: node)
        case .sendFlushDone(let tag, let ok): send(.flushDone(tag: tag, ok: ok), from: node)
        case .sendControl:
            if let frame = node.replica.takeControl() { send(.control(frame), from: node) }
        case .closeLink(let reason):
            log("\(node.index) closes the link: \(reason)")
            close(from: node)
        case .complete(let slot, let status): complete(slot, status, on: node)
        case .askArbiter: ask(from: node)
        case .readRecord: readRecord(from: node)
        case .setTimer(let timer, let at): setTimer(timer, at, on: node)
        case .roleChanged(let isPrimary): roleChanged(isPrimary, on: node)
        case .mute: later(node, 1 + network.below(20_000)) { $0.deliver(.muted, to: $1) }
        case .invitedToPromote: later(node, 1 + network.below(50_000)) { $0.deliver(.promote, to: $1) }
        case .promotionRefused(let reason):
            node.isDemoting = false
            log("\(node.index) promotion refused: \(reason)")
        case .note(let note):
            coverage.count(note)
            judgeSource(note, of: node)
            switch note {
            case .frozen: node.isFrozen = true
            case .verdictAlone, .verdictPeerBack, .verdictThroughPeer: node.isFrozen = false
            case .narrowed where node.isFrozen: node.frozenWrites = node.issuedWrites
            default: break
            }
            log("\(node.index) \(note)")
        }
    }

    // MARK: disk

    private func write(_ slot: SlotIndex, on node: SimNode) {
        let range = node.replica.range(of: slot)
        let cells = SimNode.cells(of: range)
        let values = node.values[slot]
        let taints = node.taints[slot]
        if let write = node.openWrites[slot] {
            node.issuedWrites.insert(write)
            judgeLog(range, on: node)
        }
        if SlotLayout.peer.contains(slot) { judgeOverwriting(slot, on: node) }
        let write = node.disk.begin(Array(zip(cells, values)))
        let fails = diskFails(node)
        later(node, diskLatency) { world, node in
            if !fails {
                node.disk.finish(write, taintedCells: taints.isEmpty ? nil : taints)
                for value in Set(values) where value > 0 { world.oracle.stored(value, by: node.index) }
            }
            world.deliver(.diskDone(slot: slot, ok: !fails), to: node)
        }
    }

    private func read(_ slot: SlotIndex, on node: SimNode) {
        let cells = SimNode.cells(of: node.replica.range(of: slot))
        let fails = diskFails(node)
        let latency = node.steadyReads[slot] == nil ? diskLatency : 10_000 + diskRandom.below(30_000)
        later(node, latency) { world, node in
            node.values[slot] = Array(node.disk.current[cells])
            node.taints[slot] = Array(node.disk.tainted[cells])
            world.deliver(.diskDone(slot: slot, ok: !fails), to: node)
        }
    }

    private func syncData(_ point: SyncPoint, on node: SimNode) {
        let mark = node.disk.flushMark
        let fails = diskFails(node)
        later(node, diskLatency * 2) { world, node in
            if !fails { node.disk.flush(upTo: mark, point) }
            world.deliver(.dataSynced(point, ok: !fails), to: node)
        }
    }

    private func storeMeta(_ write: SimDisk.MetaWrite, _ point: SyncPoint, on node: SimNode) {
        node.disk.beginMeta(write)
        let fails = diskFails(node)
        later(node, diskLatency * 2) { world, node in
            if !fails { node.disk.finishMeta(point) }
            world.deliver(.metadataStored(ok: !fails), to: node)
        }
    }

    /// I10: a write to a cold extent is not submitted before that extent is durably in the log.
    private func judgeLog(_ range: ByteRange, on node: SimNode) {
        let logged = node.disk.loggedExtents(capacity: swarm.logCapacity)
        for extent in range.units(of: UInt64(Self.extentBlocks) * BlockSize.block)
        where !logged.contains(UInt32(extent)) {
            fail(
                Violation("I10", "\(node.index) writes to extent \(extent), which is not in the durable log"))
        }
    }

    // MARK: timers and roles

    private func setTimer(_ timer: ReplicaTimer, _ at: Instant, on node: SimNode) {
        node.timerStamps[Int(timer.rawValue)] += 1
        let stamp = node.timerStamps[Int(timer.rawValue)]
        let life = node.life
        schedule(at: at) { world in
            guard node.life == life, node.isUp, node.timerStamps[Int(timer.rawValue)] == stamp else { return }
            world.deliver(.timer(timer), to: node)
        }
    }

    private func roleChanged(_ isPrimary: Bool, on node: SimNode) {
        log("\(node.index) is \(isPrimary ? "Primary" : "Secondary") e\(node.replica.record?.epoch ?? 0)")
        node.hasDevice = isPrimary
        node.isFrozen = false
        node.isDeviceClosing = false
        node.isDemoting = false
        node.closingCommand = nil
        guard isPrimary else {
            if node.hasOpenRequests || !node.steadyReads.isEmpty {
                fail(Violation("I23", "\(node.index) is Secondary with requests that were never answered"))
            }
            return
        }
        // I14, G4: only a whole copy that the record names is promoted.
        if node.replica.superblock.condition != .consistent
            || node.replica.record?.copies.contains(node.index) != true
        {
            fail(
                Violation(
                    "I14", "\(node.index) is Primary with a copy that is \(node.replica.superblock.condition)"
                ))
        }
        judge(node)
        if profile.keepsGuarantees, violation == nil { oracle.epochStarts(from: node.disk) }
    }

    /// I1 to I3 on what the recorded holder would serve now.
    func judge(_ node: SimNode) {
        guard profile.keepsGuarantees, let standing = witness.durable, standing.holder == node.index,
            standing.epoch == node.replica.record?.epoch, !node.hasOpenRequests
        else { return }
        // A holder without a disk serves what the other's copy holds.
        let served = standing.copies.contains(node.index) ? node : nodes[Int(node.index.peer.rawValue)]
        guard !served.isDiskDead else { return }
        do throws(Violation) { try oracle.judge(served.disk, of: node.index) } catch { fail(error) }
    }

    // MARK: crash

    func crash(_ node: SimNode) {
        guard node.isUp else { return }
        log("\(node.index) crashes")
        node.isUp = false
        node.life += 1
        node.actionsUntilCrash = nil
        node.disk.crash(&diskRandom)
        oracle.crashed(node.index)
        dropClient(of: node)
        let old = node.connection
        node.connection = nil
        node.session = nil
        node.freePeerSlots = Array(SlotLayout.peer)
        if old != nil { peerNotices(node, connection: old) }
        judgeDifferences()
        schedule(after: 1 + faults.below(faults.chance(in: 3) ? 5_000_000 : 400_000)) { $0.restart(node) }
    }

    func restart(_ node: SimNode) {
        guard !node.isUp, violation == nil else { return }
        if node.isDiskDead {
            // The operator puts in a new disk: nothing of the old one counts.
            guard isHealed else {
                schedule(after: 200_000) { $0.restart(node) }
                return
            }
            if faults.chance(in: 3), node.disk.replay(capacity: swarm.logCapacity) != nil {
                // A loose cable: it works again, with what it had. The rules must not trust it. One whose log has holes
                // is refused at the start.
                node.isDiskDead = false
                node.wasRepaired = true
                log("\(node.index) disk works again")
            } else {
                replaceDisk(of: node)
            }
        }
        guard let replica = Self.replica(of: node.disk, profile, swarm, seed: diskRandom.next()) else {
            fail(Violation("I16", "\(node.index) cannot replay its activity log after a crash"))
            return
        }
        log("\(node.index) restarts")
        node.replica = replica
        node.isUp = true
        if !isHealed, swarm.crashAgain > 0, faults.chance(in: swarm.crashAgain) {
            node.actionsUntilCrash = faults.below(12)
        }
        deliver(.start, to: node)
        connectWitness(node, after: 1 + network.below(20_000))
    }

    private func replaceDisk(of node: SimNode) {
        node.isDiskDead = false
        node.wasRepaired = true
        node.replacedUnder = (witness.machine?.record ?? witness.durable)?.epoch ?? 0
        var superblock = node.disk.superblock
        superblock.condition = .failed
        superblock.intent = nil
        superblock.generations = GenerationTuple(
            current: superblock.generations.current, bitmap: .none, history: [])
        let skipped = node.disk.skipped
        node.disk = SimDisk(blocks: Self.blocks, superblock: superblock)
        node.disk.skipped = skipped
    }
}

extension ReplicaAction {
    /// A number for the trace's hash.
    var discriminator: Int {
        switch self {
        case .writeData(let slot): slot
        case .zeroData(let slot): 1000 + slot
        case .readData(let slot): 2000 + slot
        case .complete(let slot, let status): 3000 + slot * 2 + Int(status.rawValue)
        case .syncData(let point): 4000 + Int(point.rawValue)
        case .sendFlush(let tag, _): 5000 + Int(truncatingIfNeeded: tag)
        case .roleChanged(let isPrimary): isPrimary ? 6001 : 6000
        default: 7000
        }
    }
}
