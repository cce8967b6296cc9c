import Basics
import Quorum
import Replication
import WireFormat

// The network: streams that keep their order, stall while a direction is cut and end at any moment.
extension World {
    private var delay: Int { 1 + network.below(swarm.networkMicroseconds) }

    /// Delivers in order of sending; while the direction is cut, holds.
    func transmit(_ direction: Direction, _ body: @escaping (World) -> Void) {
        var time = now + .microseconds(UInt64(delay))
        if let last = lastDelivery[direction], last > time { time = last }
        lastDelivery[direction] = time
        schedule(at: time) { world in
            if world.cut.contains(direction) {
                world.held[direction, default: []].append(body)
            } else {
                body(world)
            }
        }
    }

    func send(_ message: NodeMessage, from node: SimNode) {
        guard let connection = node.connection else { return }
        let peer = nodes[Int(node.index.peer.rawValue)]
        transmit(Direction(from: Int(node.index.rawValue), to: Int(peer.index.rawValue))) { world in
            world.whenAwake(peer) { world in
                guard peer.connection == connection, peer.isUp else { return }
                peer.lastHeard = world.now
                world.receive(message, at: peer)
            }
        }
    }

    func sendData(_ kind: NodeMessage.DataKind, _ slot: SlotIndex, from node: SimNode) {
        send(
            .data(
                kind: kind, tag: node.replica.tag(of: slot), range: node.replica.range(of: slot),
                values: node.values[slot], tainted: kind == .resync ? node.taints[slot] : [],
                stamp: node.replica.stamp), from: node)
    }

    private func receive(_ message: NodeMessage, at node: SimNode) {
        switch message {
        case .data(let kind, let tag, let range, let values, let tainted, let stamp):
            guard let slot = node.freePeerSlots.popLast() else {
                fail(Violation("I22", "\(node.index) has no place for a frame"))
                return
            }
            node.values[slot] = values
            node.taints[slot] = tainted
            switch kind {
            case .write: deliver(.peerWrite(slot: slot, tag: tag, range, stamp), to: node)
            case .zero: deliver(.peerZero(slot: slot, tag: tag, range, stamp), to: node)
            case .resync: deliver(.peerResync(slot: slot, tag: tag, range, stamp), to: node)
            }
        case .read(let tag, let range, let stamp):
            guard let slot = node.freePeerSlots.popLast() else {
                fail(Violation("I22", "\(node.index) has no place for a frame"))
                return
            }
            deliver(.peerRead(slot: slot, tag: tag, range, stamp), to: node)
        case .readAnswer(let tag, let ok, let values, let tainted):
            if ok, let slot = node.replica.slot(awaitingRead: tag) {
                node.values[slot] = values
                node.taints[slot] = tainted
            }
            deliver(.readAnswered(tag: tag, ok: ok), to: node)
        case .flush(let tag, let settled, let stamp):
            deliver(.peerFlush(tag: tag, settled: settled, stamp), to: node)
        case .acknowledgement(let tag, let ok): deliver(.acknowledged(tag: tag, ok: ok), to: node)
        case .flushDone(let tag, let ok): deliver(.flushDone(tag: tag, ok: ok), to: node)
        case .control(let frame): deliver(.control(frame), to: node)
        }
    }

    // MARK: connections

    func close(from node: SimNode) {
        guard let connection = node.connection else { return }
        node.connection = nil
        peerNotices(node, connection: connection)
    }

    /// The other end learns that this one has gone: by a reset, or by silence.
    func peerNotices(_ node: SimNode, connection: Int?) {
        let peer = nodes[Int(node.index.peer.rawValue)]
        let wait = network.chance(in: 2) ? delay : 50_000 + network.below(600_000)
        schedule(after: wait) { $0.lose(peer, connection: connection) }
    }

    func lose(_ node: SimNode, connection: Int?) {
        whenAwake(node) { world in
            guard connection != nil, node.connection == connection, node.isUp else { return }
            node.connection = nil
            world.log("\(node.index) loses the link")
            world.deliver(.linkLost, to: node)
        }
    }

    /// Tries to connect now and then; an end may still believe in the connection before.
    func tickConnect() {
        schedule(after: 20_000 + network.below(200_000)) { world in
            world.tryConnect()
            world.tickConnect()
        }
    }

    private func tryConnect() {
        guard !nodes.allSatisfy(\.replica.standsAlone) else { return }
        let open = !cut.contains(Direction(from: 0, to: 1)) && !cut.contains(Direction(from: 1, to: 0))
        guard open, nodes.allSatisfy(\.isUp), nodes.contains(where: { $0.connection == nil }) else { return }
        // Mostly both ends know that the old one is gone; sometimes the new one tells.
        if nodes.contains(where: { $0.connection != nil }), !network.chance(in: 4) { return }
        connectionCount += 1
        let connection = connectionCount
        for node in nodes {
            let life = node.life
            node.connection = connection
            schedule(after: delay) { world in
                world.whenAwake(node) { world in
                    guard node.life == life, node.connection == connection else { return }
                    world.deliver(.linkUp, to: node)
                }
            }
        }
        // Nothing of the new stream arrives before both ends have it.
        let ready = now + .microseconds(UInt64(swarm.networkMicroseconds + 1))
        lastDelivery[Direction(from: 0, to: 1)] = max(ready, lastDelivery[Direction(from: 0, to: 1)] ?? ready)
        lastDelivery[Direction(from: 1, to: 0)] = max(ready, lastDelivery[Direction(from: 1, to: 0)] ?? ready)
    }

    /// A cut direction: both ends of whatever used it notice by silence, each in its own time.
    func setCut(_ directions: [Direction]) {
        log("cut \(directions.map { "\($0.from)>\($0.to)" })")
        for direction in directions {
            cut.insert(direction)
            if direction.from < 2, direction.to < 2 {
                for node in nodes {
                    let connection = node.connection
                    schedule(after: 50_000 + network.below(800_000)) { world in
                        guard !world.cut.isDisjoint(with: directions) else { return }
                        world.lose(node, connection: connection)
                    }
                }
            } else {
                let node = nodes[min(direction.from, direction.to)]
                oracle.cutOffFromArbiter(node.index)
                let session = node.session
                schedule(after: 50_000 + network.below(800_000)) { world in
                    guard !world.cut.isDisjoint(with: directions) else { return }
                    world.endSession(of: node, session)
                }
            }
        }
    }

    func healCuts() {
        cut.removeAll()
        let waiting = held
        held.removeAll()
        for direction in waiting.keys.sorted(by: { ($0.from, $0.to) < ($1.from, $1.to) }) {
            for body in waiting[direction] ?? [] { transmit(direction, body) }
        }
    }
}
