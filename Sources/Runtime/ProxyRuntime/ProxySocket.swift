import Basics
import LinuxSystem

/// Who is told what happens to a socket.
protocol ProxySocketOwner: AnyObject {
    /// Something may be read or written, or the connection has ended.
    func ready(_ socket: ProxySocket)
    /// The socket's deadline has passed.
    func expired(_ socket: ProxySocket)
    /// Nothing has happened for a while: memory that is not in use may be given back.
    func rest(_ socket: ProxySocket)
    /// The places of servers that it names; nil for none. The client is told with its own socket.
    func hold(_ socket: ProxySocket) -> ProxyHold?
}

extension ProxySocketOwner {
    func rest(_ socket: ProxySocket) { socket.trim() }
    func hold(_ socket: ProxySocket) -> ProxyHold? { nil }
}

/// What a connection has to do with servers.
struct ProxyHold {
    let frontend: ProxyFrontend
    /// Places that it names: no new server may get one of them.
    var places: Set<Int>
    /// The client, and the server that has it in service; nil for other connections.
    var client: SocketAddress?
    var inService: Int?
    /// The server that a client's kept connection goes back to by its cookie.
    var returning: Int?
}

/// One connection with what has been read from it and what is still to be written.
///
/// Readiness is remembered, because the poll tells of it once: it ends when a call would block.
final class ProxySocket {
    /// Bytes that are read ahead of what is used: where reading stops until they are.
    static let inputMaximum = 64 << 10
    /// Bytes that wait to be written: where the other side is no longer read.
    static let outputMaximum = 64 << 10

    var stream: SocketStream?
    let peer: SocketAddress?
    var token: UInt64 = 0
    /// Where reads go first; the loop's, one for all.
    private let scratch: ReadScratch
    var owner: (any ProxySocketOwner)?
    var deadline = Instant.never
    var input: [UInt8] = []
    var output: [UInt8] = []
    private var written = 0
    private var canRead = false
    private(set) var canWrite = false
    private var peerEnded = false
    /// The peer has sent its last byte, and it was read.
    private(set) var isAtEnd = false
    /// The connection is broken.
    private(set) var hasFailed = false
    private var endsSending = false
    /// Looks of the loop since the last event.
    private var quietLooks = 0

    init(_ stream: consuming SocketStream, peer: SocketAddress?, scratch: ReadScratch) {
        self.scratch = scratch
        self.stream = consume stream
        self.peer = peer
    }

    /// Bytes that wait to be written.
    var pending: Int { output.count - written }
    var isOpen: Bool { stream != nil }

    /// Begins to be told of events.
    func watch(with poll: borrowing EventPoll, token: UInt64) throws(SystemError) {
        guard stream != nil else { return }
        self.token = token
        if let descriptor = stream?.descriptor.raw { try poll.add(descriptor, token: token) }
    }

    /// Asked ten times a second: true once, a second after the last event.
    func isQuiet() -> Bool {
        quietLooks += 1
        return quietLooks == 10
    }

    /// Gives the memory of empty buffers back.
    func trim() {
        if input.isEmpty { input = [] }
        if output.isEmpty { output = [] }
    }

    func note(_ event: EventPoll.Event) {
        quietLooks = 0
        if event.isReadable || event.peerEnded || event.failed { canRead = true }
        if event.isWritable || event.failed { canWrite = true }
        if event.peerEnded || event.failed { peerEnded = true }
    }

    /// Whether the connection that was begun stands; nil while it does not, nor has failed.
    func isConnected() -> Bool? {
        guard canWrite, let peer else { return nil }
        do throws(SystemError) {
            try stream?.finishConnecting(to: peer)
            return true
        } catch {
            hasFailed = true
            return false
        }
    }

    /// Reads what is there; true when something came.
    @discardableResult
    func fill() -> Bool {
        var came = false
        while canRead, !isAtEnd, !hasFailed, input.count < Self.inputMaximum {
            do throws(SystemError) {
                switch try read() {
                case .moved(let count):
                    came = true
                    // Less than asked for means that no more is there; the poll tells when there is.
                    if count < ReadScratch.size, !peerEnded { canRead = false }
                case .wouldBlock: canRead = false
                case .ended: isAtEnd = true
                }
            } catch {
                hasFailed = true
            }
        }
        return came
    }

    private func read() throws(SystemError) -> SocketTransfer {
        guard stream != nil else { return .wouldBlock }
        return try scratch.read(&stream, appendingTo: &input)
    }

    /// Drops the first bytes of what was read.
    func consume(_ count: Int) {
        if count == input.count { input.removeAll(keepingCapacity: true) } else { input.removeFirst(count) }
    }

    /// Writes what the connection takes; true when something went.
    @discardableResult
    func flush() -> Bool {
        var went = false
        while canWrite, pending > 0, !hasFailed {
            do throws(SystemError) {
                switch try send(from: written) {
                case .moved(let count):
                    written += count
                    went = true
                case .wouldBlock, .ended: canWrite = false
                }
            } catch {
                hasFailed = true
            }
        }
        if pending == 0, written > 0 {
            output.removeAll(keepingCapacity: true)
            written = 0
        }
        return went
    }

    /// Ends our sending side once, after what was flushed.
    func endSending() {
        guard !endsSending else { return }
        endsSending = true
        stream?.endSending()
    }

    /// Makes the close a reset.
    func resetOnClose() { stream?.resetOnClose() }

    /// Closes it; nobody is told of it any more.
    func close() {
        stream = nil
        owner = nil
        deadline = .never
    }
}
