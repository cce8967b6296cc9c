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
            for node in nodes {
                schedule(after: 1 + network.below(100_000)) { $0.lose(node, connection: connection) }
            }
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
        if swarm.crash > 0, faults.chance(in: swarm.crash * 12) {
            log("the power of the whole site goes")
            for node in nodes { crash(node) }
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
        func both(_ a: Int, _ b: Int) -> [Direction] {
            [Direction(from: a, to: b), Direction(from: b, to: a)]
        }
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
            let bothKnow =
                known != nil
                && nodes.allSatisfy {
                    // What a dead disk did not store is forgotten with the process.
                    $0.isUp && $0.replica.record == known && $0.session != nil && !$0.isDiskDead
                }
            let mayGoBack = bothKnow || profile.kind == .beyond
            crashWitness(losingDisk: faults.chance(in: 2) || !mayGoBack, settingBack: mayGoBack)
        }
    }

    /// The operator looks now and then, and runs `witness reseed` when the witness grants nothing.
    func tickReseed() {
        schedule(after: 500_000 + faults.below(1_000_000)) { world in
            if world.isHealed || world.faults.chance(in: 3) { world.reseedIfPossible() }
            world.tickReseed()
        }
    }

    /// With both nodes present: the highest record wins; by force, outside G3, whatever somebody present knows.
    private func reseedIfPossible() {
        guard var machine = witness.machine, machine.record == nil || machine.isRolledBack else { return }
        let isForced = profile.kind == .beyond && !isHealed && faults.chance(in: 2)
        // A process that is stopped, or whose session belongs to an older witness, is not present.
        let isPresent = { (node: SimNode) in
            node.isUp && node.pausedUntil <= self.now && node.backlog.isEmpty && node.session != nil
                && self.witness.sessions[Int(node.index.rawValue)] == node.session
        }
        guard isForced || nodes.allSatisfy(isPresent) else { return }
        let present = nodes.filter(\.isUp).compactMap { $0.replica.superblock.record }
        let known = present + [machine.record].compactMap { $0 }
        let highest = known.max { $0.epoch < $1.epoch }
        guard let chosen = isForced && !known.isEmpty ? known[faults.below(known.count)] : highest else {
            return
        }
        log("reseed e\(chosen.epoch)\(isForced ? " by force" : "")")
        machine.reseed(chosen)
        witness.machine = machine
        witness.durable = chosen
        witness.wasSetBack = true
        witness.durableGranted = .none
        witness.history.removeAll()
    }

    private func strikeOperator() {
        guard let node = nodes.first(where: { $0.isUp && $0.hasDevice && !$0.isDeviceClosing }) else {
            return
        }
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
        schedule(after: 3_000_000) { $0.areClientsStopped = true }
    }

    /// Whether the pair is whole again: one Primary, both copies named, nothing under way; or, where the promises
    /// end, both say that they are not.
    func hasConverged() -> Bool {
        guard areClientsStopped, nodes.allSatisfy({ $0.isUp && !$0.hasOpenRequests }) else { return false }
        if isLost { return true }
        if !profile.keepsGuarantees {
            if nodes.allSatisfy(\.replica.standsAlone) { return true }
            // Two empty copies wait for an operator.
            if nodes.allSatisfy({ $0.replica.superblock.generations.current == .none }) { return true }
        }
        guard let primary = nodes.first(where: { $0.replica.isPrimary }) else { return false }
        let records = nodes.map(\.replica.record)
        return records[0] == records[1] && records[0]?.copies == .both && records[0]?.holder == primary.index
            && nodes.allSatisfy {
                $0.replica.link == .up && $0.replica.sync == .none && $0.replica.openRequest == nil
            }
    }

    /// The only copy that the record names was on the disk that died: two failures, outside the fault model.
    private var isLost: Bool {
        guard nodes.contains(where: \.wasRepaired) else { return false }
        guard profile.hasArbiter else { return true }
        guard let copies = witness.machine?.record?.copies else { return false }
        return !nodes.contains { copies.contains($0.index) && $0.replica.superblock.condition == .consistent }
    }
}
