import Basics
import DiskFormat
import FuseDevice
import LinuxSystem
import Replication

/// What a slot of the device is being used for.
struct ClientRequest {
    enum Kind: UInt8 {
        case free, write, read, flush, zero
    }

    var kind = Kind.free
    /// FUSE's name of the request.
    var unique: UInt64 = 0
    var range = ByteRange(offset: 0, length: 0)
    /// The session that it came from.
    var session = 0
}

// Requests of FUSE in, answers out.
extension VolumeLoop {
    /// A zero longer than this is handed to the replica in parts, each within so many whole extents: the log must
    /// hold a part's extents at once.
    private var zeroPart: UInt64 {
        BlockSize.extent * UInt64(max(1, min(16, replica.superblock.logCapacity / 4)))
    }

    var isServing: Bool {
        switch session {
        case .some(let session): !session.isOver
        case .none: false
        }
    }

    /// Takes a mount to serve, if there is none and the replica is Primary.
    mutating func takeDevice(_ device: MountedDevice) {
        guard let descriptor = device.take() else { return }
        guard replica.isPrimary, session == nil else {
            report(.deviceEnded)
            return
        }
        do throws(SystemError) {
            session = try FuseSession(adopting: descriptor, size: replica.superblock.size)
            sessionSerial += 1
            mayHaveRequests = true
            isPolling = false
            report(.deviceServing)
        } catch {
            report(.deviceEnded)
        }
    }

    /// The grant has ended: the session answers EIO for ever. A new promotion makes a new one.
    mutating func endSession() { session?.end() }

    /// Takes what the kernel has for us, until it has nothing or no slot is free.
    mutating func drainDevice() {
        while mayHaveRequests, session != nil, let slot = freeClients.last {
            let request = session?.receive(page: slots.page(slot)) ?? .ended
            switch request {
            case .none:
                mayHaveRequests = false
            case .handled:
                break
            case .write(let unique, let range):
                admit(slot, .write, unique, range)
                counters.writes &+= 1
                counters.bytesWritten &+= range.length
                deliver(.write(slot: slot, range))
            case .read(let unique, let range):
                admit(slot, .read, unique, range)
                counters.reads &+= 1
                counters.bytesRead &+= range.length
                deliver(.read(slot: slot, range))
            case .flush(let unique):
                admit(slot, .flush, unique, ByteRange(offset: 0, length: 0))
                counters.flushes &+= 1
                deliver(.flush(slot: slot))
            case .zero(let unique, let range):
                admit(slot, .zero, unique, range)
                counters.zeroes &+= 1
                startZero(slot)
            case .ended:
                dropSession()
            }
        }
        if session != nil, !mayHaveRequests, !isPolling, let descriptor = session?.descriptor {
            isPolling = true
            ring.pollReadable(descriptor, tag: Operation.device.tag(sessionSerial))
        }
    }

    private mutating func admit(
        _ slot: SlotIndex, _ kind: ClientRequest.Kind, _ unique: UInt64, _ range: ByteRange
    ) {
        freeClients.removeLast()
        clients[slot] = ClientRequest(kind: kind, unique: unique, range: range, session: sessionSerial)
    }

    /// The session is over, or given up: nobody reads its requests any more.
    mutating func dropSession() {
        guard session != nil else { return }
        if isPolling {
            // The poll holds the descriptor, and with it the connection.
            ring.cancel(Operation.device.tag(sessionSerial), tag: Operation.cancel.tag())
            isPolling = false
        }
        session = nil
        sessionSerial += 1
        mayHaveRequests = false
        report(.deviceEnded)
    }

    // MARK: zeroes

    private func part(of range: ByteRange) -> ByteRange {
        let end = min(range.end, (range.offset / zeroPart + 1) * zeroPart)
        return ByteRange(offset: range.offset, length: end - range.offset)
    }

    private mutating func startZero(_ slot: SlotIndex) {
        deliver(.zero(slot: slot, part(of: clients[slot].range)))
    }

    /// Hands the replica the next part; called between two events.
    mutating func continueZero(_ slot: SlotIndex) {
        replica.handle(.zero(slot: slot, part(of: clients[slot].range)), at: now, into: &actions)
    }

    // MARK: answers

    /// A request of the device is answered, or a frame of the peer is done with its slot.
    mutating func complete(_ slot: SlotIndex, _ status: ReplyStatus) {
        guard SlotLayout.client.contains(slot) else {
            freePeers.append(slot)
            return
        }
        let client = clients[slot]
        if client.kind == .zero, status == .done {
            let done = part(of: client.range)
            if done.end < client.range.end {
                clients[slot].range = ByteRange(offset: done.end, length: client.range.end - done.end)
                followUps.append(.zero(slot))
                return
            }
        }
        answer(slot, client, status)
        clients[slot].kind = .free
        if queuedFrames[slot] == 0 { freeClients.append(slot) }
    }

    private mutating func answer(_ slot: SlotIndex, _ client: ClientRequest, _ status: ReplyStatus) {
        // A session that is gone has nobody who waits.
        guard client.session == sessionSerial else { return }
        switch (status, client.kind) {
        case (.failed, _): session?.replyFailed(client.unique)
        case (.done, .write): session?.replyWritten(client.unique, count: UInt32(client.range.length))
        case (.done, .read):
            session?.replyRead(client.unique, page: slots.page(slot), count: Int(client.range.length))
        case (.done, .flush), (.done, .zero): session?.replyDone(client.unique)
        case (.done, .free): preconditionFailure("slot \(slot) answered twice")
        }
    }
}
