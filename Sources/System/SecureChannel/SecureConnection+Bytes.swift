public import Basics
public import LinuxSystem

/// A TCP or Unix socket with a `SecureChannel` on it that carries messages of up to 64 KiB, off the data path.
///
/// Two ways to drive it. With a thread of its own: `connect`, `send`, `receive`, each with a deadline. Beside others in
/// one poll loop: wait for `interest` on `descriptor`, call `exchange`, answer with `enqueue`. One thread at a time.
///
/// On the wire each message has its length before it (4 bytes, big-endian).
public final class SecureConnection {
    /// Bytes of one message at most.
    public static let maximumMessage = 65536
    /// Ciphertext queues that hold a longest message beside a short one.
    private static let queueSize = SecureChannel.sealedSize(of: maximumMessage + 4) + 32768
    /// Messages that may wait to be received while a send waits for room.
    private static let arrivedLimit = 64
    /// Receives in one `exchange`, so that one busy peer does not keep the others of a loop waiting.
    private static let receivesInARow = 4

    private let socket: SocketStream
    private var channel: SecureChannel
    /// The address that is being connected to; nil once the TCP connection stands.
    private var connecting: SocketAddress?
    /// Plaintext that is no whole message yet.
    private var partial: [UInt8] = []
    private var scratch = [UInt8](repeating: 0, count: 16384)
    private var arrived: ArraySlice<[UInt8]> = []

    /// The peer, for people: its address, or "a local process".
    public let peer: String
    /// Why the connection has ended; nil while it lives.
    public private(set) var failure: SecureConnectionError?

    private init(
        _ socket: consuming SocketStream, role: SecureChannel.Role, peer: String, connecting: SocketAddress?
    )
        throws(SecureConnectionError)
    {
        do {
            channel = try SecureChannel(role: role, inputSize: Self.queueSize, outputSize: Self.queueSize)
        } catch {
            throw .channel(error, peer: peer)
        }
        self.socket = socket
        self.peer = peer
        self.connecting = connecting
    }

    /// Begins a connection as a client, from `source` when given. It is ready when `isEstablished`: drive it by
    /// `exchange`, or use `connect`.
    public convenience init(
        connectingTo address: SocketAddress, from source: SocketAddress? = nil, key: PresharedKey,
        options: SocketOptions = SocketOptions()
    ) throws(SecureConnectionError) {
        let socket: SocketStream
        do {
            socket = try SocketStream.connecting(to: address, from: source, options: options)
        } catch {
            throw .system(error)
        }
        try self.init(socket, role: .client(key), peer: "\(address)", connecting: address)
    }

    /// Begins the server's side of an accepted connection. It is ready when `isEstablished`.
    public convenience init(
        accepted socket: consuming SocketStream, keys: [PresharedKey]
    ) throws(SecureConnectionError) {
        let peer = socket.peerAddress.map { "\($0)" } ?? "a local process"
        try self.init(socket, role: .server(keys), peer: peer, connecting: nil)
    }

    /// Connects as a client and waits until both sides have proven the key, or for `deadline`.
    public static func connect(
        to address: SocketAddress, from source: SocketAddress? = nil, key: PresharedKey,
        options: SocketOptions = SocketOptions(), deadline: Instant
    ) throws(SecureConnectionError) -> SecureConnection {
        let connection = try SecureConnection(connectingTo: address, from: source, key: key, options: options)
        try connection.establish(deadline: deadline)
        return connection
    }

    /// Waits until both sides have proven the key.
    public func establish(deadline: Instant) throws(SecureConnectionError) {
        try exchangeOnce(reading: true)
        while !isEstablished { try step("connect to \(peer)", deadline: deadline) }
    }

    // MARK: State

    /// Whether the peer has proven the key, so that messages flow.
    public var isEstablished: Bool { channel.isEstablished }

    /// The identity that the peer named and proved (server), or our own (client).
    public var identity: String? { channel.identity }

    /// For poll. Do not read or write it.
    public var descriptor: Int32 { socket.descriptor.raw }

    /// What to poll for before the next `exchange`.
    public var interest: PollEvents {
        if connecting != nil { return .writable }
        return channel.pendingOutput.isEmpty ? .readable : [.readable, .writable]
    }

    // MARK: Without waiting

    /// Moves what can be moved now, in both directions, and returns the whole messages that came, in order.
    ///
    /// Messages that came before the end are returned first; the next call throws. `failure` tells at once.
    public func exchange() throws(SecureConnectionError) -> [[UInt8]] {
        if arrived.isEmpty {
            try exchangeOnce(reading: true)
        }
        defer { arrived = [] }
        return Array(arrived)
    }

    /// Queues a message and sends what the socket takes; the rest leaves with later calls. False: the peer does not
    /// take what is queued already, or is not established; nothing was queued.
    public func enqueue(_ message: [UInt8]) throws(SecureConnectionError) -> Bool {
        guard message.count <= Self.maximumMessage else { throw .messageTooLong(message.count, peer: peer) }
        if let failure { throw failure }
        if !channel.hasRoom(for: message.count + 4) {
            try flush()
            guard channel.hasRoom(for: message.count + 4) else { return false }
        }
        var framed = (0..<4).map { UInt8(truncatingIfNeeded: message.count >> (24 - 8 * $0)) }
        framed += message
        let result = framed.withUnsafeBytes { raw in
            Result { () throws(SecureChannelError) in try channel.write(raw) }
        }
        switch result {
        case .success(let taken): precondition(taken, "there was room")
        case .failure(let error): throw fail(.channel(error, peer: peer))
        }
        try flush()
        return true
    }

    /// Says good-bye, as far as the socket takes it at once. The socket itself closes with this object.
    public func close() {
        guard failure == nil else { return }
        channel.close()
        sendRemains()
        socket.endSending()
        failure = .channel(.closed, peer: peer)
    }

    // MARK: With a deadline

    /// Sends a message: returns when the socket has taken all of it.
    public func send(_ message: [UInt8], deadline: Instant) throws(SecureConnectionError) {
        while try !enqueue(message) { try step("send to \(peer)", deadline: deadline) }
        while !channel.pendingOutput.isEmpty { try step("send to \(peer)", deadline: deadline) }
    }

    /// The next message.
    public func receive(deadline: Instant) throws(SecureConnectionError) -> [UInt8] {
        while arrived.isEmpty { try step("receive from \(peer)", deadline: deadline) }
        return arrived.removeFirst()
    }

    /// One wait and one exchange.
    private func step(_ what: String, deadline: Instant) throws(SecureConnectionError) {
        if let failure { throw failure }
        let reading = arrived.count < Self.arrivedLimit
        var poll = PollSet()
        poll.add(descriptor, reading ? interest : interest.intersection(.writable))
        let ready: Int
        do {
            ready = try poll.wait(until: deadline)
        } catch {
            throw fail(.system(error))
        }
        guard ready > 0 else { throw .timedOut(what) }
        try exchangeOnce(reading: reading)
    }

    // MARK: The work

    /// Sends, receives, opens and cuts into messages. Throws only when no message is there that came before the error.
    private func exchangeOnce(reading: Bool) throws(SecureConnectionError) {
        do throws(SecureConnectionError) {
            if let failure { throw failure }
            guard try finishConnecting() else { return }
            try handshake()
            try flush()
            if reading { try receiveAll() }
            try flush()
        } catch {
            _ = fail(error)
            if arrived.isEmpty { throw error }
        }
    }

    /// False while TCP's own handshake goes on.
    private func finishConnecting() throws(SecureConnectionError) -> Bool {
        guard let address = connecting else { return true }
        var poll = PollSet()
        poll.add(descriptor, .writable)
        do {
            guard try poll.wait(until: .now()) > 0 else { return false }
            try socket.finishConnecting(to: address)
        } catch {
            throw .system(error)
        }
        connecting = nil
        return true
    }

    private func handshake() throws(SecureConnectionError) {
        do { try channel.handshake() } catch { throw .channel(error, peer: peer) }
    }

    private func flush() throws(SecureConnectionError) {
        while !channel.pendingOutput.isEmpty {
            do {
                guard case .moved(let count) = try socket.write(channel.pendingOutput) else { return }
                channel.consumeOutput(count)
            } catch {
                throw .system(error)
            }
        }
    }

    private func receiveAll() throws(SecureConnectionError) {
        for _ in 0..<Self.receivesInARow {
            let transfer: SocketTransfer
            do {
                transfer = try socket.read(into: channel.receiveRegion())
            } catch {
                channel.received(0)
                throw .system(error)
            }
            switch transfer {
            case .moved(let count): channel.received(count)
            case .wouldBlock, .ended: channel.received(0)
            }
            if transfer == .ended { channel.receivedEnd() }
            if transfer == .wouldBlock { return }
            try openAll()
        }
    }

    /// Opens every whole record: what poll cannot see does not stay behind.
    private func openAll() throws(SecureConnectionError) {
        while true {
            let result = scratch.withUnsafeMutableBytes { raw in
                Result { () throws(SecureChannelError) in try channel.read(into: raw) }
            }
            switch result {
            case .success(0): return
            case .success(let count): try cut(scratch[..<count])
            case .failure(let error): throw .channel(error, peer: peer)
            }
        }
    }

    /// Cuts plaintext into messages.
    private func cut(_ bytes: ArraySlice<UInt8>) throws(SecureConnectionError) {
        partial += bytes
        var rest = partial[...]
        while rest.count >= 4 {
            let length = rest.prefix(4).reduce(0) { $0 << 8 | Int($1) }
            guard length <= Self.maximumMessage else { throw .messageTooLong(length, peer: peer) }
            guard rest.count >= 4 + length else { break }
            arrived.append(Array(rest.dropFirst(4).prefix(length)))
            rest = rest.dropFirst(4 + length)
        }
        partial = Array(rest)
    }

    private func fail(_ error: SecureConnectionError) -> SecureConnectionError {
        if failure == nil {
            failure = error
            sendRemains()
        }
        return error
    }

    /// The alert that tells the peer why; best effort, the connection is lost either way.
    private func sendRemains() {
        while !channel.pendingOutput.isEmpty {
            guard
                case .success(.moved(let count)) = Result(catching: {
                    try socket.write(channel.pendingOutput)
                })
            else { return }
            channel.consumeOutput(count)
        }
    }
}
