import Basics
import CLinux
import Glibc
import LinuxSystem
import SecureChannel
import WireFormat

/// The stream to the peer: bytes to frames and back, sealed or plain with CRC-32C. Decides nothing and calls nothing:
/// the loop's ring moves the bytes.
struct VolumeLink: ~Copyable {
    /// What the next bytes are for.
    private enum Phase {
        case header
        /// A data frame's payload needs a place.
        case place
        case payload
        case control
    }

    /// What a step of the parser came to.
    enum Step {
        case needsBytes
        /// Call `give(page:)`, now or when a slot is free. The header says what will come.
        case needsPlace(FrameHeader)
        /// A frame, its payload (if any) in the place that was given.
        case frame(FrameHeader)
        case control(ControlFrame)
        /// The connection must end: why, for the journal.
        case broken(String)
    }

    /// One frame that waits to be sent.
    private enum Outgoing {
        case header(FrameHeader)
        /// Header and payload lie in the slot.
        case slot(Int, start: UnsafeMutableRawPointer, count: Int)
        /// The oldest of `controls`.
        case control(stamp: EpochStamp)
    }

    /// Bytes of ciphertext that each queue of a channel needs: some frames of the longest kind.
    static let channelSize = 4 << 20
    private static let inputSize = 256 << 10
    private static let stagingSize = 128 << 10
    private static let gatherMaximum = 4 << 20

    private var socket: Descriptor?
    /// Of `socket`, -1 for none.
    private var number: Int32 = -1
    private var channel: SecureChannel?
    /// Whether the stream is TLS.
    private(set) var isSealed = false
    /// No more frames are taken or queued; the socket goes when nothing of it is in flight.
    private(set) var isClosing = false
    /// Nothing can be sent any more.
    private var isDead = false
    private(set) var isReceiving = false
    private(set) var isSending = false

    // Incoming, plain only: what was received and not parsed.
    private let input: PageBuffer
    private var inputStart = 0
    private var inputEnd = 0
    private var receivesIntoPlace = false

    // Incoming, the frame that is being put together.
    private var phase = Phase.header
    private let scratch: PageBuffer
    private var filled = 0
    private var header = FrameHeader.flush(tag: 0, settled: 0, stamp: EpochStamp(epoch: 0, grant: 0))
    private var place: UnsafeMutableRawPointer?

    // Outgoing.
    private var queue: [Outgoing] = []
    private var queueHead = 0
    private var controls: [ControlFrame] = []
    private var controlsStaged = 0
    private let staging: PageBuffer
    private var stagingUsed = 0
    private var gather = GatherList()
    private var inGather: [Int] = []
    /// Slots whose frames have left our memory since the last look.
    private(set) var departed: [Int] = []

    static func make() throws(SystemError) -> VolumeLink {
        VolumeLink(
            input: try PageBuffer(count: inputSize),
            scratch: try PageBuffer(count: FrameHeader.byteCount + Int(FrameLimit.controlMaximum)),
            staging: try PageBuffer(count: stagingSize))
    }

    private init(input: consuming PageBuffer, scratch: consuming PageBuffer, staging: consuming PageBuffer) {
        self.input = input
        self.scratch = scratch
        self.staging = staging
        queue.reserveCapacity(512)
        departed.reserveCapacity(256)
    }

    /// Frames may be taken and sent.
    var isOpen: Bool { number >= 0 && !isClosing }
    /// Nothing of an earlier connection is left.
    var isVacant: Bool { number < 0 }

    mutating func adopt(_ contents: consuming PeerSocket.Contents) {
        precondition(isVacant, "two connections at once")
        var contents = contents
        isSealed = contents.channel != nil
        channel = contents.channel.take()
        number = contents.socket?.raw ?? -1
        socket = contents.socket.take()
        // The ring waits for a blocking socket; on another it would answer EAGAIN at once, again and again.
        _ = fcntl(number, F_SETFL, fcntl(number, F_GETFL) & ~O_NONBLOCK)
        isClosing = false
        isDead = false
        inputStart = 0
        inputEnd = 0
        phase = .header
        filled = 0
        place = nil
    }

    /// Ends the connection. What is queued before the first data frame still leaves if `politely`; data frames do not,
    /// since their slots may be used again from now on.
    mutating func close(politely: Bool) {
        guard isOpen else { return }
        isClosing = true
        var kept = queueHead
        while politely, kept < queue.count {
            if case .slot = queue[kept] { break }
            kept += 1
        }
        for index in max(kept, queueHead)..<queue.count {
            if case .slot(let slot, _, _) = queue[index] { departed.append(slot) }
        }
        queue.removeLast(queue.count - max(kept, queueHead))
        if politely { channel?.close() } else { shutDown() }
    }

    /// Wakes what is in flight on the socket; nothing is sent any more.
    mutating func shutDown() {
        isDead = true
        if number >= 0 { _ = shutdown(number, Int32(SHUT_RDWR)) }
    }

    /// Lets the socket go when nothing is in flight; true when it went.
    mutating func finishClosing() -> Bool {
        guard isClosing, !isReceiving, !isSending else { return false }
        for index in queueHead..<queue.count {
            if case .slot(let slot, _, _) = queue[index] { departed.append(slot) }
        }
        departGathered()
        queue.removeAll(keepingCapacity: true)
        queueHead = 0
        controls.removeAll()
        controlsStaged = 0
        gather.removeAll()
        stagingUsed = 0
        channel = nil
        socket = nil
        number = -1
        isClosing = false
        return true
    }

    // MARK: incoming

    /// Gives a receive to the ring if none is in flight and there is room.
    mutating func receive(_ ring: inout Ring, tag: UInt64) {
        guard isOpen, !isReceiving else { return }
        receivesIntoPlace = false
        if isSealed {
            guard let region = channel?.receiveRegion() else { return }
            guard let base = region.baseAddress, !region.isEmpty else {
                channel?.received(0)
                return
            }
            ring.receive(number, into: base, count: region.count, tag: tag)
        } else if phase == .payload, inputStart == inputEnd, let place,
            Int(header.payloadLength) - filled > Self.inputSize / 4
        {
            // The rest of a long payload goes to its place without a copy.
            receivesIntoPlace = true
            ring.receive(number, into: place + filled, count: Int(header.payloadLength) - filled, tag: tag)
        } else {
            if inputStart == inputEnd {
                inputStart = 0
                inputEnd = 0
            } else if inputEnd == input.count {
                memmove(input.base, input.base + inputStart, inputEnd - inputStart)
                inputEnd -= inputStart
                inputStart = 0
            }
            guard inputEnd < input.count else { return }
            ring.receive(number, into: input.base + inputEnd, count: input.count - inputEnd, tag: tag)
        }
        isReceiving = true
    }

    /// The receive has ended with that result; false when the peer or the network has ended the connection.
    mutating func received(_ result: Int32) -> Bool {
        isReceiving = false
        if isSealed {
            channel?.received(result > 0 ? Int(result) : 0)
        } else if result > 0 {
            if receivesIntoPlace { filled += Int(result) } else { inputEnd += Int(result) }
        }
        return result > 0 || result == -EINTR || result == -EAGAIN
    }

    /// Where the frame's payload shall lie, after `needsPlace`; nil for a frame without payload.
    mutating func give(page: UnsafeMutableRawPointer) {
        place = page
        phase = .payload
        filled = 0
    }

    /// Takes the stream one step further.
    mutating func step() -> Step {
        switch phase {
        case .header:
            if let problem = pull(scratch.base, FrameHeader.byteCount) { return .broken(problem) }
            guard filled == FrameHeader.byteCount else { return .needsBytes }
            return takeHeader()
        case .place:
            return .needsPlace(header)
        case .payload:
            guard let place else { return .needsPlace(header) }
            if let problem = pull(place, Int(header.payloadLength)) { return .broken(problem) }
            guard filled == Int(header.payloadLength) else { return .needsBytes }
            return finish(payload: place)
        case .control:
            let start = scratch.base + FrameHeader.byteCount
            if let problem = pull(start, Int(header.payloadLength)) { return .broken(problem) }
            guard filled == Int(header.payloadLength) else { return .needsBytes }
            if case .broken(let problem) = finish(payload: start) { return .broken(problem) }
            do throws(FrameError) {
                let bytes = scratch.load(at: FrameHeader.byteCount, count: Int(header.payloadLength))
                return .control(try ControlFrame.decode(bytes))
            } catch {
                return .broken("\(error)")
            }
        }
    }

    private mutating func takeHeader() -> Step {
        let bytes = UnsafeRawBufferPointer(start: scratch.base, count: FrameHeader.byteCount)
        do throws(FrameError) {
            header = try FrameHeader(decoding: bytes)
        } catch {
            return .broken("\(error)")
        }
        filled = 0
        switch header.kind {
        case .write, .resync, .zero, .read, .readAnswer:
            phase = .place
            return .needsPlace(header)
        case .control:
            phase = .control
            return step()
        case .flush, .acknowledgement, .flushDone:
            return finish(payload: scratch.base)
        }
    }

    private mutating func finish(payload: UnsafeMutableRawPointer) -> Step {
        phase = .header
        filled = 0
        place = nil
        if !isSealed {
            let start = clinux_crc32c(0, scratch.base, FrameHeader.checksummedByteCount)
            guard clinux_crc32c(start, payload, Int(header.payloadLength)) == header.checksum else {
                return .broken("\(FrameError.damaged)")
            }
        }
        return .frame(header)
    }

    /// Moves plaintext to `base` until `wanted` bytes lie there or no more is at hand. Returns why it cannot go on.
    private mutating func pull(_ base: UnsafeMutableRawPointer, _ wanted: Int) -> String? {
        guard filled < wanted else { return nil }
        guard isSealed else {
            let count = min(wanted - filled, inputEnd - inputStart)
            memcpy(base + filled, input.base + inputStart, count)
            inputStart += count
            filled += count
            return nil
        }
        do throws(SecureChannelError) {
            let region = UnsafeMutableRawBufferPointer(start: base + filled, count: wanted - filled)
            filled += try channel?.read(into: region) ?? 0
            return nil
        } catch {
            return "\(error)"
        }
    }

    // MARK: outgoing

    mutating func send(_ header: FrameHeader) {
        if isOpen { queue.append(.header(header)) }
    }

    mutating func send(_ frame: ControlFrame, stamp: EpochStamp) {
        guard isOpen else { return }
        controls.append(frame)
        queue.append(.control(stamp: stamp))
    }

    /// Queues the frame whose header was stored before the payload of `slot`, `count` bytes in all. False when the
    /// connection has ended: the slot is not kept.
    mutating func send(slot: Int, frame: UnsafeMutableRawPointer, count: Int) -> Bool {
        guard isOpen else { return false }
        queue.append(.slot(slot, start: frame, count: count))
        return true
    }

    /// Nothing waits and nothing is in flight.
    var isSent: Bool {
        if isDead { return !isSending }
        guard queueHead == queue.count, !isSending, gather.byteCount == 0 else { return false }
        return switch channel {
        case .some(let channel): channel.pendingOutput.isEmpty
        case .none: true
        }
    }

    /// Sends all that is queued as one gathered send; what the socket does not take at once, the ring sends. Returns why it cannot go on.
    mutating func pump(_ ring: inout Ring, tag: UInt64) -> String? {
        guard number >= 0, !isDead else { return nil }
        if isSealed {
            if let problem = seal() { return problem }
            if !isSending { sendNow() }
            guard !isSending, let output = channel?.pendingOutput, let base = output.baseAddress,
                !output.isEmpty
            else { return nil }
            isSending = true
            ring.send(number, from: base, count: output.count, tag: tag)
            return nil
        }
        guard !isSending else { return nil }
        repeat {
            if gather.byteCount == 0 { collect() }
            // What the socket takes at once needs no completion, and no wake-up for it.
            gather.sendNow(number)
            if gather.byteCount == 0 { departGathered() }
        } while gather.byteCount == 0 && queueHead < queue.count
        if gather.byteCount > 0 {
            isSending = true
            ring.send(number, gathered: gather, tag: tag)
        }
        return nil
    }

    private mutating func sendNow() {
        guard let output = channel?.pendingOutput, let base = output.baseAddress, !output.isEmpty else {
            return
        }
        let sent = Glibc.send(number, base, output.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
        if sent > 0 { channel?.consumeOutput(sent) }
    }

    /// The send has ended with that result; false when the connection has ended.
    mutating func sent(_ result: Int32) -> Bool {
        isSending = false
        guard result > 0 else {
            isDead = result != -EINTR && result != -EAGAIN
            return !isDead
        }
        if isSealed {
            channel?.consumeOutput(Int(result))
        } else {
            gather.advance(by: Int(result))
            if gather.byteCount == 0 { departGathered() }
        }
        return true
    }

    private mutating func departGathered() {
        departed.append(contentsOf: inGather)
        inGather.removeAll(keepingCapacity: true)
    }

    /// Forgets the slots that `departed` names.
    mutating func clearDeparted() { departed.removeAll(keepingCapacity: true) }

    private mutating func seal() -> String? {
        do throws(SecureChannelError) {
            while queueHead < queue.count {
                if case .slot(let slot, let start, let count) = queue[queueHead] {
                    let region = UnsafeRawBufferPointer(start: start, count: count)
                    guard try channel?.write(region) ?? false else { break }
                    departed.append(slot)
                    queueHead += 1
                    continue
                }
                // Small frames leave as one record.
                let before = queueHead
                stagingUsed = 0
                while queueHead < queue.count, stage(checksummed: false, limit: 16 << 10) { queueHead += 1 }
                let region = UnsafeRawBufferPointer(start: staging.base, count: stagingUsed)
                guard try channel?.write(region) ?? false else {
                    queueHead = before
                    controlsStaged = 0
                    break
                }
                dropStagedControls()
            }
        } catch {
            return "\(error)"
        }
        compact()
        return nil
    }

    private mutating func collect() {
        stagingUsed = 0
        gather.removeAll()
        while queueHead < queue.count, gather.hasRoom, gather.byteCount < Self.gatherMaximum {
            if case .slot(let slot, let start, let count) = queue[queueHead] {
                let payload = start + FrameHeader.byteCount
                let checksum = clinux_crc32c(
                    clinux_crc32c(0, start, FrameHeader.checksummedByteCount), payload,
                    count - FrameHeader.byteCount)
                FrameHeader.store(
                    checksum: checksum,
                    into: UnsafeMutableRawBufferPointer(start: start, count: FrameHeader.byteCount))
                gather.append(start, count: count)
                inGather.append(slot)
            } else {
                let start = stagingUsed
                guard stage(checksummed: true, limit: staging.count) else { break }
                gather.append(staging.base + start, count: stagingUsed - start)
            }
            queueHead += 1
        }
        dropStagedControls()
        compact()
    }

    /// Puts the small frame at the queue's head into the staging buffer; false when it is none, or does not fit.
    private mutating func stage(checksummed: Bool, limit: Int) -> Bool {
        let start = staging.base + stagingUsed
        let bytes: [UInt8]
        switch queue[queueHead] {
        case .slot:
            return false
        case .header(let header):
            guard stagingUsed + FrameHeader.byteCount <= limit else { return false }
            let region = UnsafeMutableRawBufferPointer(start: start, count: FrameHeader.byteCount)
            header.encode(into: region)
            if checksummed {
                let checksum = clinux_crc32c(0, start, FrameHeader.checksummedByteCount)
                FrameHeader.store(checksum: checksum, into: region)
            }
            stagingUsed += FrameHeader.byteCount
            return true
        case .control(let stamp):
            bytes = controls[controlsStaged].frame(stamp: stamp, checksummed: checksummed)
        }
        // A frame longer than the limit leaves alone.
        guard stagingUsed + bytes.count <= limit || (stagingUsed == 0 && bytes.count <= staging.count) else {
            return false
        }
        staging.store(bytes, at: stagingUsed)
        stagingUsed += bytes.count
        controlsStaged += 1
        return true
    }

    private mutating func dropStagedControls() {
        controls.removeFirst(controlsStaged)
        controlsStaged = 0
    }

    private mutating func compact() {
        if queueHead == queue.count {
            queue.removeAll(keepingCapacity: true)
            queueHead = 0
        } else if queueHead > 256 {
            // A link that is always behind never empties the queue.
            queue.removeFirst(queueHead)
            queueHead = 0
        }
    }
}
