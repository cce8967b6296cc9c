import Basics
import Quorum
import Replication

// The clients of each node's device, the elector that promotes, and the sign of life.
extension World {
    func tickClient(_ node: SimNode) {
        schedule(after: 1 + clientRandom.below(swarm.thinkMilliseconds * 1000)) { world in
            world.act(on: node)
            world.tickClient(node)
        }
    }

    private func act(on node: SimNode) {
        guard node.isUp, node.hasDevice, node.pausedUntil <= now, node.backlog.isEmpty, violation == nil
        else { return }
        if hasSteadyReaders { readSteadily(on: node) }
        // A read may have been the last that this process did.
        guard node.hasDevice else { return }
        if node.isDeviceClosing || areClientsStopped {
            if !node.hasOpenRequests, node.steadyReads.isEmpty, let command = node.closingCommand {
                node.closingCommand = nil
                node.isDemoting = true
                deliver(command, to: node)
            }
            return
        }
        guard node.openWrites.count + node.openFlushes.count < 8, let slot = node.freeClientSlot else {
            return
        }
        switch clientRandom.below(20) {
        case 0..<3:
            node.openFlushes[slot] = oracle.flushBegins()
            deliver(.flush(slot: slot), to: node)
        case 3..<5:
            let range = randomRange()
            guard !overlapsOpen(SimNode.cells(of: range), on: node) else { return }
            node.openReads[slot] = oracle.newestCompleted(SimNode.cells(of: range))
            deliver(.read(slot: slot, range), to: node)
        default:
            let range = randomRange()
            let cells = SimNode.cells(of: range)
            guard !overlapsOpen(cells, on: node) else { return }
            let write = oracle.issue(on: node.index, cells)
            node.values[slot] = [UInt32](repeating: write, count: cells.count)
            node.taints[slot] = []
            node.openWrites[slot] = write
            deliver(
                clientRandom.below(8) == 0 ? .zero(slot: slot, range) : .write(slot: slot, range), to: node)
        }
    }

    /// Three readers that overlap for as long as there is a device.
    private func readSteadily(on node: SimNode) {
        // A round at most: where reads fail at once, the next are for later.
        for _ in node.steadyReads.count..<max(3, node.steadyReads.count) {
            guard node.hasDevice, !node.isDeviceClosing, !node.isDemoting, node.backlog.isEmpty,
                node.pausedUntil <= now, let slot = node.freeClientSlot
            else { return }
            let range = randomRange()
            node.steadyReads[slot] = oracle.newestCompleted(SimNode.cells(of: range))
            deliver(.read(slot: slot, range), to: node)
        }
    }

    /// Few places in many extents, so that writes meet and extents are evicted.
    private func randomRange() -> ByteRange {
        let extent = clientRandom.below(Self.blocks / Self.extentBlocks)
        let first = extent * Self.extentBlocks * SimDisk.cellsPerBlock + clientRandom.below(5)
        let count = 1 + clientRandom.below(4)
        return ByteRange(offset: UInt64(first) * SimDisk.cell, length: UInt64(count) * SimDisk.cell)
    }

    private func overlapsOpen(_ cells: Range<Int>, on node: SimNode) -> Bool {
        node.openWrites.values.contains { oracle.writes[Int($0)].cells.overlaps(cells) }
    }

    func complete(_ slot: SlotIndex, _ status: ReplyStatus, on node: SimNode) {
        if SlotLayout.peer.contains(slot) {
            node.freePeerSlots.append(slot)
            return
        }
        if let write = node.openWrites.removeValue(forKey: slot) {
            log("\(node.index) write \(write) \(oracle.writes[Int(write)].cells) \(status)")
            judgeMarks(write, status, on: node)
            node.issuedWrites.remove(write)
            node.frozenWrites.remove(write)
            if status == .done {
                judgeCompletion(write, on: node)
                let died = nodes.filter(\.isDiskDead).reduce(into: NodeSet()) { $0.insert(NodeSet($1.index)) }
                oracle.completed(
                    write, bothNamed: requiredCopies(of: node) == .both, died: died, cutOff: unheard,
                    lacking: judgeLate(write, on: node))
            }
        } else if let covered = node.openFlushes.removeValue(forKey: slot) {
            log("\(node.index) flush \(status)")
            if status == .done {
                judgeFlush(covered, on: node)
                oracle.flushEnds(covered)
            }
        } else if let least = node.openReads.removeValue(forKey: slot) {
            if status == .done { judgeRead(slot, least, of: node) }
        } else if let least = node.steadyReads.removeValue(forKey: slot) {
            if status == .done {
                judgeRead(slot, least, of: node)
                schedule(after: 1) { world in
                    if node.hasDevice, node.isUp, world.violation == nil { world.readSteadily(on: node) }
                }
            }
        } else {
            fail(Violation("I23", "\(node.index) answers slot \(slot), which has no request"))
        }
        if !isHealed || node.replica.isPrimary { judge(node) }
    }

    /// Who is stopped, or cut off from the arbiter in either direction.
    private var unheard: NodeSet {
        let arbiter = 2
        return nodes.filter { node in
            let place = Int(node.index.rawValue)
            return node.pausedUntil > now || cut.contains(Direction(from: place, to: arbiter))
                || cut.contains(Direction(from: arbiter, to: place))
        }.reduce(into: NodeSet()) { $0.insert(NodeSet($1.index)) }
    }

    /// Whose disks must have what is answered: what the arbiter's record says, if it names this holder.
    private func requiredCopies(of node: SimNode) -> NodeSet {
        guard profile.hasArbiter, let standing = witness.machine?.record ?? witness.durable,
            standing.holder == node.index, standing.epoch >= node.replica.record?.epoch ?? 0
        else { return node.replica.record?.copies ?? [] }
        return standing.copies
    }

    /// A completion under a record that has a successor already.
    private func judgeLate(_ write: UInt32, on node: SimNode) -> Set<Int> {
        guard profile.keepsGuarantees, let standing = witness.machine?.record ?? witness.durable,
            standing.holder == node.index.peer, standing.epoch > node.replica.record?.epoch ?? 0
        else { return [] }
        let successor = nodes[Int(standing.holder.rawValue)]
        do throws(Violation) {
            return try oracle.judgeLate(write, successor.disk, of: successor.index)
        } catch {
            fail(error)
            return []
        }
    }

    /// I4: a write is completed only when all of `copies` have it.
    private func judgeCompletion(_ write: UInt32, on node: SimNode) {
        guard profile.keepsGuarantees else { return }
        let missing = requiredCopies(of: node).subtracting(oracle.writes[Int(write)].storedBy)
        guard !missing.isEmpty else { return }
        fail(
            Violation(
                "I4", "\(node.index) completed write \(write), which copy \(missing.rawValue) never had"))
    }

    private func judgeFlush(_ covered: [UInt32], on node: SimNode) {
        guard profile.keepsGuarantees else { return }
        let epoch = (witness.machine?.record ?? witness.durable)?.epoch ?? 0
        for member in nodes where requiredCopies(of: node).contains(member.index) && !member.isDiskDead {
            // It flushed, and then its disk was lost, before the answer was out.
            if let replaced = member.replacedUnder, epoch <= replaced { continue }
            do throws(Violation) {
                try oracle.judgeFlush(covered, member.disk, of: member.index)
            } catch { fail(error) }
        }
    }

    func dropClient(of node: SimNode) {
        node.openWrites.removeAll()
        node.openFlushes.removeAll()
        node.issuedWrites.removeAll()
        node.frozenWrites.removeAll()
        node.openReads.removeAll()
        node.steadyReads.removeAll()
        node.hasDevice = false
        node.isDeviceClosing = false
        node.isDemoting = false
        node.closingCommand = nil
    }

    // MARK: elector

    func tickElector(_ node: SimNode) {
        schedule(after: 200_000 + network.below(300_000)) { world in
            world.elect(node)
            world.tickElector(node)
        }
    }

    private func elect(_ node: SimNode) {
        guard node.isUp, !node.replica.isPrimary, !areClientsStopped || isHealed else { return }
        let peer = nodes[Int(node.index.peer.rawValue)]
        if node.connection == nil {
            let isSilent = now.since(node.lastHeard) > .milliseconds(UInt64(swarm.silenceMilliseconds))
            if isSilent || network.chance(in: profile.hasArbiter ? 20 : 200) {
                deliver(.promote, to: node)
            }
        } else if now.since(node.lastHeard) > .milliseconds(UInt64(swarm.silenceMilliseconds)),
            peer.replica.isPrimary || network.chance(in: 8)
        {
            deliver(.takeOver, to: node)
        } else if network.chance(in: profile.hasArbiter ? 40 : 400) {
            deliver(.takeOver, to: node)
        } else if !peer.replica.isPrimary || !peer.isUp || network.chance(in: 40) {
            deliver(.promote, to: node)
        }
    }

    func tickHeartbeat(_ node: SimNode) {
        schedule(after: 300_000) { world in
            if node.isUp, node.pausedUntil <= world.now {
                world.tell(node)
                world.readRecord(from: node)
            }
            world.tickHeartbeat(node)
        }
    }
}
