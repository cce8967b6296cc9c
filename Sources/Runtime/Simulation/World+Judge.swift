import Basics
import DiskFormat
import Quorum
import Replication

// What must hold beside what clients see: states and orders that DESIGN names. Nothing here knows which deliberate
// fault is on; the durable images and the public state of the machines are all that is read.
extension World {
    /// R6: a record is stored before it is acted on. DESIGN 7: never two grants of one epoch taken as equal.
    func judgeState(of node: SimNode) {
        guard let record = node.replica.record else { return }
        if !node.isDiskDead, !node.replica.isDiskFailed, node.disk.superblock.record != record,
            node.disk.superblock.record?.epoch ?? 0 <= record.epoch
        {
            fail(Violation("R6", "\(node.index) acts on epoch \(record.epoch), which its disk does not have"))
        }
        let peer = nodes[Int(node.index.peer.rawValue)]
        guard node.replica.link == .up, peer.replica.link == .up, peer.isUp,
            node.connection == peer.connection,
            let other = peer.replica.record
        else { return }
        guard profile.hasArbiter, other.epoch == record.epoch, other.grant != record.grant else {
            judgedConnection = node.connection
            twoGrantsSince = nil
            return
        }
        // A handshake never passes over it; a grant that comes later needs its way to the other, who may be stopped.
        let since = twoGrantsSince ?? now
        twoGrantsSince = since
        if judgedConnection != node.connection || now.since(since) > .seconds(10) {
            fail(Violation("I12", "connected, with two grants of epoch \(record.epoch)"))
        }
    }

    /// R3: a request is stored, with its identifier, before it is sent.
    func judgeRequest(_ request: ArbiterRequest, of node: SimNode) {
        guard !node.isDiskDead, !node.replica.isDiskFailed else { return }
        if node.disk.superblock.intent?.identifier != request.identifier {
            fail(Violation("R3", "\(node.index) sends a request that its disk does not have"))
        }
        // R2: a grant is given to what is on the asker's disk.
        switch request.purpose {
        case .narrow, .takeOver, .promote:
            if node.disk.hasUnflushed {
                fail(Violation("R2", "\(node.index) asks with data that is not durable"))
            }
        case .widen, .handOver, .leave: break
        }
    }

    /// R5, I13: when both are named again, the target's copy is durably whole and of the source's generation.
    func judgeWidening(_ request: ArbiterRequest, _ record: ArbiterRecord) {
        guard request.purpose == .widen, !nodes.contains(where: \.isDiskDead), profile.keepsGuarantees else {
            return
        }
        let current = nodes.map(\.disk.superblock.generations.current)
        let isWhole = nodes.allSatisfy {
            $0.disk.superblock.condition == .consistent || $0.disk.superblock.condition == .awaitingRecord
        }
        guard isWhole, current[0] == current[1] else {
            fail(
                Violation("I13", "both are named, and one copy is not durably whole or of another generation")
            )
            return
        }
    }

    /// DESIGN 5.6: what was in flight when the holder lost its peer is durably marked before it is answered alone,
    /// and what may be on some disk before it is failed.
    func judgeMarks(_ write: UInt32, _ status: ReplyStatus, on node: SimNode) {
        guard !node.isDiskDead, !node.replica.isDiskFailed else { return }
        let cells = oracle.writes[Int(write)].cells
        let blocks = cells.lowerBound / SimDisk.cellsPerBlock...(cells.upperBound - 1) / SimDisk.cellsPerBlock
        let isMarked = blocks.allSatisfy { node.disk.isMarked($0) }
        switch status {
        case .done:
            guard node.frozenWrites.contains(write), !isMarked else { return }
            fail(
                Violation("I9", "\(node.index) answers write \(write) alone, which its bitmap does not mark"))
        case .failed:
            guard node.issuedWrites.contains(write), !isMarked else { return }
            fail(Violation("I15", "\(node.index) fails write \(write), which its bitmap does not mark"))
        }
    }

    /// I14: a copy is durably Inconsistent before a resync overwrites it. I12: what only this node completed is never
    /// overwritten by older data without an order.
    func judgeOverwriting(_ slot: SlotIndex, on node: SimNode) {
        guard node.replica.sync == .target, !node.isDiskDead else { return }
        if node.disk.superblock.condition == .consistent || node.disk.superblock.condition == .awaitingRecord
        {
            if node.replica.superblock.condition == .inconsistent {
                fail(
                    Violation("I14", "\(node.index) is overwritten by a resync and not durably Inconsistent"))
                return
            }
        }
        guard !profile.keepsGuarantees else { return }
        let range = SimNode.cells(of: node.replica.range(of: slot))
        for (cell, value) in zip(range, node.values[slot]) {
            let old = node.disk.current[cell]
            guard old > value, oracle.writes[Int(old)].isCompleted else { continue }
            if !oracle.writes[Int(old)].storedBy.contains(node.index.peer) {
                fail(
                    Violation(
                        "I12", "\(node.index) loses write \(old) of cell \(cell), which only it completed"))
                return
            }
        }
    }

    /// I11: a read that the recorded holder answers shows, in every cell, what was completed before it was issued, or
    /// something newer; wherever it was read.
    func judgeRead(_ slot: SlotIndex, _ least: [UInt32], of node: SimNode) {
        guard profile.keepsGuarantees, let standing = witness.machine?.record ?? witness.durable,
            standing.holder == node.index, standing.epoch == node.replica.record?.epoch
        else { return }
        let cells = SimNode.cells(of: node.replica.range(of: slot))
        for (cell, (value, floor)) in zip(cells, zip(node.values[slot], least)) where value < floor {
            fail(
                Violation(
                    "I11",
                    "\(node.index) reads cell \(cell) = write \(value), write \(floor) was completed before"))
            return
        }
    }

    /// What must hold when everything has settled.
    func judgeEnd() {
        if let node = nodes.first(where: \.hasOpenRequests) {
            fail(Violation("I23", "\(node.index) never answered a request"))
            return
        }
        guard let primary = nodes.first(where: { $0.replica.isPrimary }) else { return }
        judge(primary)
        guard nodes.allSatisfy({ $0.replica.link == .up && $0.replica.sync == .none }) else { return }
        for cell in nodes[0].disk.current.indices
        where nodes[0].disk.current[cell] != nodes[1].disk.current[cell] {
            let block = cell / SimDisk.cellsPerBlock
            if nodes.contains(where: { $0.replica.dirty.contains(block) }) { continue }
            let (first, second) = (nodes[0].disk.current[cell], nodes[1].disk.current[cell])
            fail(Violation("I13", "in sync, but cell \(cell) is write \(first) here and \(second) there"))
            return
        }
    }

    /// R5: a copy that the record names becomes a target only when what its source has is durable.
    func judgeSource(_ note: ReplicaNote, of node: SimNode) {
        guard case .resyncStarted(let isSource, _) = note, isSource, node.replica.record?.copies == .both
        else { return }
        if node.disk.hasUnflushed, !node.isDiskDead {
            fail(Violation("R5", "\(node.index) is the source of a named copy with data that is not durable"))
        }
    }

    /// I9: what a resync copies can be found again after one more crash of its source.
    func judgeSending(_ slot: SlotIndex, from node: SimNode) {
        guard !node.isDiskDead, !node.replica.isDiskFailed else { return }
        let logged = node.disk.loggedExtents(capacity: swarm.logCapacity)
        for block in node.replica.range(of: slot).units(of: BlockSize.block)
        where !node.disk.isMarked(block) && !logged.contains(UInt32(block / Self.extentBlocks)) {
            // A run that waited behind a write of the same block may have become needless.
            let cells = block * SimDisk.cellsPerBlock..<(block + 1) * SimDisk.cellsPerBlock
            if node.disk.current[cells] == nodes[Int(node.index.peer.rawValue)].disk.current[cells] {
                continue
            }
            fail(Violation("I9", "\(node.index) copies block \(block), which its disk does not mark"))
            return
        }
    }

    /// I9: whatever differs on the durable images is in a bitmap or in a logged extent; also if the transaction
    /// that `node` hands to its disk now were all that a crash leaves.
    func judgeDifferences(if transaction: ActivityLogTransaction? = nil, of node: SimNode? = nil) {
        guard profile.keepsGuarantees,
            nodes.allSatisfy({ !$0.isDiskDead && $0.disk.superblock.condition != .failed })
        else { return }
        lazy var logged = nodes.map { each in
            guard let transaction, each === node else {
                return each.disk.loggedExtents(capacity: swarm.logCapacity)
            }
            var disk = each.disk.withLog(transaction)
            return disk.loggedExtents(capacity: swarm.logCapacity)
        }
        for cell in nodes[0].disk.durable.indices
        where nodes[0].disk.durable[cell] != nodes[1].disk.durable[cell] {
            let block = cell / SimDisk.cellsPerBlock
            let extent = UInt32(block / Self.extentBlocks)
            if nodes.contains(where: { $0.disk.isMarked(block) }) { continue }
            if logged.contains(where: { $0.contains(extent) }) { continue }
            let (first, second) = (nodes[0].disk.durable[cell], nodes[1].disk.durable[cell])
            fail(
                Violation(
                    "I9",
                    "block \(block) differs (write \(first) and \(second)), is in no bitmap and in no log"))
            return
        }
    }
}
