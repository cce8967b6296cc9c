import Basics
import LinuxSystem
import Replication
import WireFormat

// The stream to the peer: one gathered send of all that is queued, all frames of one receive.
extension VolumeLoop {
    private static let politeness = Interval.milliseconds(500)

    /// Uses that connection from now on, instead of any before.
    mutating func takeSocket(_ socket: PeerSocket) {
        nextSocket = socket
        if link.isOpen {
            link.close(politely: false)
            afterClosing()
            report(.linkClosed(.lost, detail: "a new connection took its place"))
            deliver(.linkLost)
        }
        adoptNext()
    }

    private mutating func adoptNext() {
        guard link.isVacant, let contents = nextSocket?.take() else { return }
        nextSocket = nil
        link.adopt(contents)
        isStalled = false
        closeDeadline = .never
        lastHeard = now
        lastPing = now
        deliver(.linkUp)
    }

    /// The replica ends the connection.
    mutating func closeLink(_ reason: CloseReason) {
        guard link.isOpen else { return }
        link.close(politely: true)
        closeDeadline = now + Self.politeness
        afterClosing()
        report(.linkClosed(reason, detail: ""))
    }

    /// The network, the peer or its silence has ended the connection.
    mutating func loseLink(_ reason: CloseReason, _ detail: String) {
        guard link.isOpen else { return }
        link.close(politely: false)
        afterClosing()
        report(.linkClosed(reason, detail: detail))
        deliver(.linkLost)
    }

    private mutating func afterClosing() {
        isStalled = false
        freeDeparted()
    }

    /// The slot of a frame that was cut off; a receive into it may be in flight until the link is vacant.
    private mutating func freeArriving() {
        if let slot = arriving { freePeers.append(slot) }
        arriving = nil
        if let slot = arrivingAnswer { letGo(slot) }
        arrivingAnswer = nil
    }

    /// Slots whose frames have left memory may be used again.
    private mutating func freeDeparted() {
        for slot in link.departed {
            letGo(slot)
        }
        link.clearDeparted()
    }

    /// One use less of the slot's buffer; the last one makes it free again, if nothing else holds it.
    private mutating func letGo(_ slot: SlotIndex) {
        queuedFrames[slot] -= 1
        guard queuedFrames[slot] == 0 else { return }
        if SlotLayout.client.contains(slot) {
            if clients[slot].kind == .free { freeClients.append(slot) }
        } else if answering.contains(slot) {
            answering.remove(slot)
            freePeers.append(slot)
        }
    }

    /// Answers a read of the peer straight from the slot, which is free again when the frame has left memory.
    mutating func sendAnswer(_ slot: SlotIndex, ok: Bool) {
        let header = FrameHeader.readAnswer(
            replica.range(of: slot), tag: replica.tag(of: slot), ok: ok, stamp: replica.stamp)
        if ok {
            send(slot, header)
        } else {
            link.send(header)
        }
        if queuedFrames[slot] == 0 { freePeers.append(slot) } else { answering.insert(slot) }
    }

    /// Queues a frame with the slot's payload.
    mutating func send(_ slot: SlotIndex, _ header: FrameHeader) {
        slots.store(header, slot)
        let count = FrameHeader.byteCount + Int(header.payloadLength)
        if link.send(slot: slot, frame: slots.frame(slot), count: count) { queuedFrames[slot] += 1 }
    }

    /// Gives the ring what there is to send and to receive; lets go of a connection that has ended.
    mutating func pumpLink() {
        if isStalled, !freePeers.isEmpty { parse() }
        if let problem = link.pump(&ring, tag: Operation.send.tag()) { loseLink(.lost, problem) }
        freeDeparted()
        if !isStalled { link.receive(&ring, tag: Operation.receive.tag()) }
        if link.isClosing {
            if link.isSent { link.shutDown() }
            if link.finishClosing() {
                freeArriving()
                freeDeparted()
                closeDeadline = .never
                adoptNext()
                // The next connection's first frames leave now, not at the next wake-up.
                if link.isOpen { pumpLink() }
            }
        }
    }

    mutating func sendEnded(_ result: Int32) {
        if !link.sent(result) { loseLink(.lost, describe(result)) }
        freeDeparted()
    }

    mutating func receiveEnded(_ result: Int32) {
        lastHeard = now
        guard link.received(result) else {
            loseLink(.lost, result == 0 ? "the peer closed the connection" : describe(result))
            return
        }
        parse()
    }

    private func describe(_ result: Int32) -> String {
        "\(SystemError(operation: "the connection to", subject: "the peer", code: -result))"
    }

    /// Takes all whole frames of what was received.
    private mutating func parse() {
        isStalled = false
        while link.isOpen {
            switch link.step() {
            case .needsBytes:
                return
            case .needsPlace(let header):
                guard header.kind == .readAnswer ? placeAnswer(header) : placeFrame() else { return }
            case .frame(let header):
                take(header)
            case .control(let frame):
                take(frame)
            case .broken(let problem):
                loseLink(.protocolError, problem)
            }
        }
    }

    /// Gives the frame one of the peer's slots; false when it must wait for one.
    private mutating func placeFrame() -> Bool {
        guard let slot = freePeers.popLast() else {
            isStalled = true
            return false
        }
        arriving = slot
        link.give(page: slots.page(slot))
        return true
    }

    /// Gives the answer the buffer of the read that waits for it; false when there is none: the connection has ended.
    private mutating func placeAnswer(_ header: FrameHeader) -> Bool {
        guard let slot = replica.slot(awaitingRead: header.tag), replica.range(of: slot) == header.range
        else {
            loseLink(.protocolError, "the answer to a read that was not asked")
            return false
        }
        arrivingAnswer = slot
        queuedFrames[slot] += 1
        link.give(page: slots.page(slot))
        return true
    }

    private mutating func take(_ header: FrameHeader) {
        switch header.kind {
        case .readAnswer:
            if let slot = arrivingAnswer { letGo(slot) }
            arrivingAnswer = nil
            deliver(.readAnswered(tag: header.tag, ok: header.ok))
        case .acknowledgement:
            deliver(.acknowledged(tag: header.tag, ok: header.ok))
        case .write, .resync, .zero, .read:
            guard let slot = arriving else { preconditionFailure("a frame without a place") }
            arriving = nil
            counters.framesReceived &+= 1
            switch header.kind {
            case .write:
                deliver(.peerWrite(slot: slot, tag: header.tag, header.range, header.stamp))
            case .resync:
                deliver(.peerResync(slot: slot, tag: header.tag, header.range, header.stamp))
            case .read:
                deliver(.peerRead(slot: slot, tag: header.tag, header.range, header.stamp))
            default:
                deliver(.peerZero(slot: slot, tag: header.tag, header.range, header.stamp))
            }
        case .flush:
            deliver(.peerFlush(tag: header.tag, settled: header.offset, header.stamp))
        case .flushDone:
            deliver(.flushDone(tag: header.tag, ok: header.ok))
        case .control:
            preconditionFailure("a control frame without its payload")
        }
    }

    private mutating func take(_ frame: ControlFrame) {
        switch frame {
        case .ping(let nonce): link.send(.alive(nonce: nonce), stamp: replica.stamp)
        case .alive: break
        default: deliver(.control(frame))
        }
    }

    /// Sends a sign of life now and then, and ends a connection on which nothing comes.
    mutating func watchLink() {
        if now >= closeDeadline {
            closeDeadline = .never
            link.shutDown()
        }
        guard link.isOpen else { return }
        if isStalled {
            // We do not listen: silence is ours.
            lastHeard = now
        } else if now >= lastHeard + configuration.peerSilence {
            loseLink(.lost, "the peer was silent for \(configuration.peerSilence.wholeMilliseconds) ms")
            return
        }
        if now >= lastPing + configuration.pingInterval {
            lastPing = now
            pingNonce &+= 1
            link.send(.ping(nonce: pingNonce), stamp: replica.stamp)
        }
    }
}
