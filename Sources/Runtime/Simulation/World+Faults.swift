import Basics
import DiskFormat
import Quorum
import Replication

// What goes wrong, how it heals, and what must hold at the end.
extension World {
    func tickFaults() {
        schedule(after: 30_000 + faults.below(300_000)) { world in
            guard !world.isHealed else { return }
            world.strike()
            world.tickFaults()
        }
    }

    private func strike() {
        if swarm.crash > 0, faults.chance(in: swarm.crash) {
            let node = nodes[faults.below(2)]
            if swarm.actionCrash > 0, faults.chance(in: swarm.actionCrash) {
                node.actionsUntilCrash = faults.below(40)
            } else {
                crash(node)
            }
            if faults.chance(in: 4) { crash(nodes[Int(node.index.peer.rawValue)]) }
        }
        if swarm.connectionBreak > 0, faults.chance(in: swarm.connectionBreak) {
            let connection = nodes[0].connection
            for node in nodes { schedule(after: 1 + network.below(100_000)) { $0.lose(node, connection: connection) } }
        }
        if swarm.cut > 0, faults.chance(in: swarm.cut) { strikeNetwork() }
        if swarm.pause > 0, faults.chance(in: swarm.pause) {
            let node = nodes[faults.below(2)]
            let length = faults.below(faults.chance(in: 4) ? 8_000_000 : 2_000_000)
            // Who is stopped is not heard by the arbiter either.
            oracle.cutOffFromArbiter(node.index)
            node.pausedUntil = now + .microseconds(UInt64(length))
            log("\(node.index) is stopped for \(length / 1000) ms")
        }
        strikeWitness()
        if swarm.operatorAction > 0, faults.chance(in: swarm.operatorAction) { strikeOperator() }
    }

    private func strikeNetwork() {
        guard cut.isEmpty else {
            log("heal")
            healCuts()
            return
        }
        func both(_ a: Int, _ b: Int) -> [Direction] { [Direction(from: a, to: b), Direction(from: b, to: a)] }
        let choices: [[Direction]] = [
            both(0, 1), both(0, 2), both(1, 2), both(0, 1) + both(0, 2), both(0, 1) + both(1, 2),
            both(0, 2) + both(1, 2), [Direction(from: 0, to: 1)], [Direction(from: 1, to: 0)],
            [Direction(from: 0, to: 2)], [Direction(from: 2, to: 0)], [Direction(from: 1, to: 2)],
            [Direction(from: 2, to: 1)], both(0, 1) + both(0, 2) + both(1, 2),
        ]
        setCut(choices[faults.below(choices.count)])
        schedule(after: 100_000 + faults.below(faults.chance(in: 3) ? 6_000_000 : 1_500_000)) { world in
            world.log("heal")
            world.healCuts()
        }
    }

    private func strikeWitness() {
        guard profile.hasArbiter else { return }
        if swarm.crashWitness > 0, faults.chance(in: swarm.crashWitness) {
            crashWitness(losingDisk: false, settingBack: false)
        }
        if swarm.loseWitnessDisk > 0, faults.chance(in: swarm.loseWitnessDisk) {
            // Set back only where somebody present can know it (DESIGN 7: the rest is outside G3).
            let known = witness.machine?.record
            let bothKnow = known != nil && nodes.allSatisfy {
                $0.isUp && $0.disk.superblock.record == known && $0.session != nil
            }
            crashWitness(losingDisk: faults.chance(in: 2) || !bothKnow, settingBack: bothKnow)
            schedule(after: 500_000 + faults.below(3_000_000)) { $0.reseedIfPossible() }
        }
    }

    /// The operator's `witness reseed`, with both nodes present: the highest record wins.
    func reseedIfPossible() {
        guard var machine = witness.machine, machine.record == nil || machine.isRolledBack else { return }
        guard nodes.allSatisfy(\.isUp) else {
            schedule(after: 300_000) { $0.reseedIfPossible() }
            return
        }
        let known = nodes.compactMap { $0.replica.superblock.record } + [machine.record].compactMap { $0 }
        guard let highest = known.max(by: { $0.epoch < $1.epoch }) else { return }
        log("reseed e\(highest.epoch)")
        machine.reseed(highest)
        witness.machine = machine
        witness.durable = highest
        witness.durableGranted = .none
        witness.history.removeAll()
    }

    private func strikeOperator() {
        guard let node = nodes.first(where: { $0.isUp && $0.hasDevice && !$0.isDeviceClosing }) else { return }
        node.isDeviceClosing = true
        node.closingCommand = faults.chance(in: 2) ? .handOver : .demote
        log("operator: \(node.closingCommand.map { "\($0)" } ?? "-") on \(node.index)")
        schedule(after: 3_000_000) { _ in
            // A hand-over that was refused leaves the device as it was.
            if node.hasDevice, node.replica.isPrimary { node.isDeviceClosing = false }
        }
    }

    // MARK: the end

    func heal() {
        isHealed = true
        log("everything heals")
        healCuts()
        for node in nodes {
            node.actionsUntilCrash = nil
            node.pausedUntil = now
            if node.isDiskDead {
                crash(node)
            }
            if !node.isUp { schedule(after: 1000) { $0.restart(node) } }
        }
        if witness.machine == nil { witness.start(at: now, self) }
        schedule(after: 2_000_000) { $0.reseedIfPossible() }
        schedule(after: 3_000_000) { $0.areClientsStopped = true }
    }

    /// Whether the pair is whole again: one Primary, both copies named, nothing under way.
    func hasConverged() -> Bool {
        guard areClientsStopped, nodes.allSatisfy({ $0.isUp && !$0.hasOpenRequests }) else { return false }
        if isLost { return true }
        if !profile.hasArbiter, nodes.allSatisfy({ $0.connection == nil }) { return isSplitEverywhere }
        guard let primary = nodes.first(where: { $0.replica.isPrimary }) else { return false }
        let records = nodes.map(\.replica.record)
        return records[0] == records[1] && records[0]?.copies == .both && records[0]?.holder == primary.index
            && nodes.allSatisfy { $0.replica.link == .up && $0.replica.sync == .none && $0.replica.openRequest == nil }
    }

    /// The only copy that the record names was on the disk that died: two failures, outside the fault model.
    private var isLost: Bool {
        guard nodes.contains(where: \.wasReplaced), let copies = witness.machine?.record?.copies else { return false }
        return !nodes.contains { copies.contains($0.index) && $0.replica.superblock.condition == .consistent }
    }

    /// `arbiter: none` may have diverged: then both stand alone and say so (I12).
    private var isSplitEverywhere: Bool { false }

    func judgeEnd() {
        guard let primary = nodes.first(where: { $0.replica.isPrimary }) else { return }
        judge(primary)
        for cell in nodes[0].disk.current.indices where nodes[0].disk.current[cell] != nodes[1].disk.current[cell] {
            let block = cell / SimDisk.cellsPerBlock
            if nodes.contains(where: { $0.replica.dirty.contains(block) }) { continue }
            fail(
                Violation(
                    "I13",
                    "in sync, but cell \(cell) is write \(nodes[0].disk.current[cell]) here and \(nodes[1].disk.current[cell]) there"
                ))
            return
        }
    }

    /// I9: whatever differs on the durable images is in a bitmap or in a logged extent.
    func judgeDifferences() {
        guard profile.hasArbiter, nodes.allSatisfy({ !$0.isDiskDead && $0.disk.superblock.condition != .failed })
        else { return }
        let logged = nodes.map { Set($0.disk.loggedExtents(capacity: swarm.logCapacity)) }
        for cell in nodes[0].disk.durable.indices
        where nodes[0].disk.durable[cell] != nodes[1].disk.durable[cell] {
            let block = cell / SimDisk.cellsPerBlock
            let isMarked = nodes.contains { $0.disk.bitmap[block / 64] >> UInt64(block % 64) & 1 == 1 }
            let extent = UInt32(block / Self.extentBlocks)
            if isMarked || logged.contains(where: { $0.contains(extent) }) { continue }
            fail(
                Violation(
                    "I9",
                    "block \(block) differs (write \(nodes[0].disk.durable[cell]) and \(nodes[1].disk.durable[cell])), is in no bitmap and in no log"
                ))
            return
        }
    }
}
