import COpenSSL
import LinuxSystem

/// TLS 1.3 with an external pre-shared key (psk_dhe_ke) over queues of bytes: no socket, no system call, no waiting.
///
/// The owner moves ciphertext between a socket and the two queues, by poll or by a ring:
///
///     received -> receiveRegion(), received(n)   |   read(into:) -> plaintext
///     plaintext -> write(region)                 |   pendingOutput, consumeOutput(n) -> to be sent
///
/// After every call there may be pending output, also after `handshake` and `read`, and also after an error (the alert
/// that tells the peer). Regions never move: a receive and a send may be in flight while the other calls are made, but
/// both must have ended before the channel is destroyed. One thread at a time; the channel may be handed over.
public struct SecureChannel: ~Copyable {
    /// Which end this is. The client is the end that made the connection.
    public enum Role: Sendable {
        /// Proves and demands this key.
        case client(PresharedKey)
        /// Takes any one of these keys, whichever the client names; at least one.
        case server([PresharedKey])
    }

    /// Seals this many records with one key before it takes the next. AES-GCM's own bound is 2^24.5 (RFC 8446 section
    /// 5.5).
    static let recordsPerKey: UInt64 = 1 << 23
    /// Plaintext of one record at most.
    private static let recordSize = 16384
    /// What a record adds: header, inner type, tag.
    private static let recordOverhead = 22
    /// Room for what OpenSSL adds on its own: two key updates and an alert.
    private static let reserve = 128

    private let ssl: OpaquePointer
    private let wire: UnsafeMutablePointer<ChannelWire>
    private let isServer: Bool
    private let recordsPerKey: UInt64
    private var nextKeyUpdate: UInt64
    private var failure: SecureChannelError?
    private var inputEnded = false
    private var receiving = false

    /// Whether the peer has proven the key and data may flow.
    public private(set) var isEstablished = false

    /// Queues of at least these sizes in bytes, each at least 34 KiB: a record must fit with what comes before it.
    public init(
        role: Role, inputSize: Int = 1 << 18, outputSize: Int = 1 << 18, suite: CipherSuite = .preferred
    ) throws(SecureChannelError) {
        try self.init(
            role: role, inputSize: inputSize, outputSize: outputSize, suite: suite,
            recordsPerKey: Self.recordsPerKey)
    }

    init(role: Role, inputSize: Int, outputSize: Int, suite: CipherSuite, recordsPerKey: UInt64)
        throws(SecureChannelError)
    {
        let least = 2 * (Self.recordSize + 1024)
        let wire = UnsafeMutablePointer<ChannelWire>.allocate(capacity: 1)
        do {
            wire.initialize(
                to: try ChannelWire(
                    role: role, suite: suite, inputSize: max(inputSize, least),
                    outputSize: max(outputSize, least)))
        } catch {
            wire.deallocate()
            throw .system(error)
        }
        guard let ssl = Self.session(on: wire, suite: suite) else {
            wire.deinitialize(count: 1)
            wire.deallocate()
            throw .failed("OpenSSL of this machine has no memory, or no TLS 1.3 with X25519")
        }
        self.init(ssl: ssl, wire: wire, recordsPerKey: recordsPerKey)
    }

    private init(ssl: OpaquePointer, wire: UnsafeMutablePointer<ChannelWire>, recordsPerKey: UInt64) {
        self.ssl = ssl
        self.wire = wire
        self.recordsPerKey = recordsPerKey
        isServer = wire.pointee.isServer
        nextKeyUpdate = recordsPerKey
    }

    /// An SSL on `wire`, ready to begin its handshake.
    private static func session(on wire: UnsafeMutablePointer<ChannelWire>, suite: CipherSuite)
        -> OpaquePointer?
    {
        let isServer = wire.pointee.isServer
        guard let context = isServer ? ChannelContext.server : ChannelContext.client,
            let ssl = SSL_new(context)
        else { return nil }
        guard WireCallbacks.attach(wire, to: ssl), isServer || SSL_set_ciphersuites(ssl, suite.name) == 1
        else {
            SSL_free(ssl)
            return nil
        }
        // A write that found no room is repeated by the caller, from wherever its bytes are by then.
        SSL_ctrl(ssl, SSL_CTRL_MODE, Int(SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER), nil)
        if isServer { SSL_set_accept_state(ssl) } else { SSL_set_connect_state(ssl) }
        return ssl
    }

    deinit {
        SSL_free(ssl)
        wire.deinitialize(count: 1)
        wire.deallocate()
    }

    /// The identity of the key in use: the client's own, on the server the one that the client named and proved; nil
    /// before that.
    public var identity: String? {
        guard isEstablished || !isServer else { return nil }
        return wire.pointee.chosen.map { wire.pointee.keys[$0].identity }
    }

    /// Protected records sent so far, those of the handshake included.
    public var recordsSealed: UInt64 { wire.pointee.recordsSealed }

    /// Protected records taken in so far, those of the handshake included.
    public var recordsOpened: UInt64 { wire.pointee.recordsOpened }

    // MARK: Ciphertext in and out

    /// The room for ciphertext that a receive may fill; empty when the queue is full (read first, do not receive).
    ///
    /// It stays good, whatever else is called, until `received`, which must come before the next call of this.
    public mutating func receiveRegion() -> UnsafeMutableRawBufferPointer {
        precondition(!receiving, "a receive is in flight already")
        receiving = true
        wire.pointee.input.rewindIfEmpty()
        return wire.pointee.input.free
    }

    /// Says how many bytes came into `receiveRegion()`: 0 when the receive failed or found nothing.
    public mutating func received(_ count: Int) {
        precondition(receiving, "no receive was in flight")
        receiving = false
        wire.pointee.input.fill(count)
    }

    /// Copies ciphertext in; returns how many bytes of it found room.
    public mutating func received(copying bytes: UnsafeRawBufferPointer) -> Int {
        let region = receiveRegion()
        let count = min(region.count, bytes.count)
        region.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<count]))
        received(count)
        return count
    }

    /// Says that the peer has ended its stream: once all that came is read, `closed` or `cut` is thrown.
    public mutating func receivedEnd() { inputEnded = true }

    /// The ciphertext to be sent next, one piece; may be empty. It stays good until it is consumed.
    public var pendingOutput: UnsafeRawBufferPointer { wire.pointee.output.used }

    /// Drops the first `count` bytes of the pending output: they were sent.
    public mutating func consumeOutput(_ count: Int) {
        wire.pointee.output.drop(count)
        wire.pointee.output.rewindIfEmpty()
    }

    // MARK: Handshake

    /// Takes the handshake as far as the bytes at hand allow; true when it is complete. The client's first call writes
    /// the first message.
    @discardableResult
    public mutating func handshake() throws(SecureChannelError) -> Bool {
        if let failure { throw failure }
        if isEstablished { return true }
        ERR_clear_error()
        let status = SSL_do_handshake(ssl)
        guard status == 1 else {
            try judge(status)
            return false
        }
        // A completed handshake proves the key only if it was the key's; the default would be a certificate.
        guard SSL_session_reused(ssl) == 1, SSL_version(ssl) == TLS1_3_VERSION else {
            throw fail(.peerWithoutSecret)
        }
        isEstablished = true
        return true
    }

    // MARK: Plaintext out and in

    /// Opens records into `region` until it is full or no whole record is left: the number of bytes, 0 when nothing is
    /// there now. Completes the handshake first if need be.
    ///
    /// A full region may leave more behind: read again before waiting. An error that follows on data is thrown by the
    /// next call.
    public mutating func read(into region: UnsafeMutableRawBufferPointer) throws(SecureChannelError) -> Int {
        guard try handshake() else { return 0 }
        guard let base = region.baseAddress else { return 0 }
        var total = 0
        ERR_clear_error()
        while total < region.count {
            var count = 0
            let status = SSL_read_ex(ssl, base + total, region.count - total, &count)
            guard status == 1 else {
                do { try judge(status) } catch { if total == 0 { throw error } }
                break
            }
            total += count
        }
        return total
    }

    /// The room in the output queue that `count` bytes of plaintext need.
    public static func sealedSize(of count: Int) -> Int {
        count + (count + recordSize - 1) / recordSize * recordOverhead + reserve
    }

    /// Whether `write` would take `count` bytes now.
    public func hasRoom(for count: Int) -> Bool {
        isEstablished && Self.sealedSize(of: count) <= wire.pointee.output.room
    }

    /// Seals all of `region` into the output queue: one record for each 16 KiB. Put a frame's header just before its
    /// payload and write both as one. False when there is no room, or no connection yet: nothing was taken.
    public mutating func write(_ region: UnsafeRawBufferPointer) throws(SecureChannelError) -> Bool {
        if let failure { throw failure }
        guard hasRoom(for: region.count) else { return false }
        guard !region.isEmpty else { return true }
        if wire.pointee.recordsSealed >= nextKeyUpdate { try updateKey() }
        ERR_clear_error()
        var count = 0
        let status = SSL_write_ex(ssl, region.baseAddress, region.count, &count)
        guard status == 1 else {
            try judge(status)
            // There was room for all, so OpenSSL has broken what it says about the size of a record.
            throw fail(.failed("a write did not fit into the room it needs"))
        }
        return true
    }

    /// Takes a new key for what we send, from the next write on. `write` does it by itself every 2^23 records.
    public mutating func updateKey() throws(SecureChannelError) {
        if let failure { throw failure }
        guard isEstablished else { return }
        ERR_clear_error()
        // Each end counts what it seals itself, so the peer is not asked to follow.
        guard SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1 else {
            throw fail(.takingQueue(during: .established, role: errorRole))
        }
        nextKeyUpdate = wire.pointee.recordsSealed + recordsPerKey
    }

    /// Says good-bye: adds the closing alert to the pending output. The peer then reads `closed`.
    public mutating func close() {
        guard isEstablished, failure == nil, wire.pointee.output.room >= Self.reserve else { return }
        ERR_clear_error()
        _ = SSL_shutdown(ssl)
        ERR_clear_error()
    }

    /// A value of `length` bytes that both ends of this connection, and nobody else, can compute (RFC 8446 section
    /// 7.5): the token that ties another connection to this one. Only when established.
    public mutating func exportToken(label: String, length: Int) throws(SecureChannelError) -> [UInt8] {
        if let failure { throw failure }
        guard isEstablished else { throw .failed("a token needs an established connection") }
        ERR_clear_error()
        var token = [UInt8](repeating: 0, count: length)
        guard SSL_export_keying_material(ssl, &token, length, label, label.utf8.count, nil, 0, 0) == 1 else {
            throw fail(.takingQueue(during: .established, role: errorRole))
        }
        return token
    }

    // MARK: Errors

    private var errorRole: SecureChannelError.ChannelRole {
        let named = wire.pointee.unknownIdentity ?? (isServer ? nil : "'\(wire.pointee.keys[0].identity)'")
        return SecureChannelError.ChannelRole(isServer: isServer, identityAsked: named)
    }

    /// After a call that did not succeed: returns when it only wants more bytes, throws what is wrong otherwise.
    private mutating func judge(_ status: Int32) throws(SecureChannelError) {
        switch SSL_get_error(ssl, status) {
        case SSL_ERROR_WANT_READ:
            if inputEnded { throw fail(.cut) }
        case SSL_ERROR_WANT_WRITE:
            // Only a handshake can meet this, with output that nobody sends; it goes on when there is room.
            break
        case SSL_ERROR_ZERO_RETURN:
            throw fail(.closed)
        default:
            throw fail(.takingQueue(during: isEstablished ? .established : .handshake, role: errorRole))
        }
    }

    private mutating func fail(_ error: SecureChannelError) -> SecureChannelError {
        failure = error
        return error
    }
}

// One owner at a time (the type cannot be copied), and everything that changes OpenSSL's state is `mutating`, so it has
// the channel to itself; OpenSSL keeps nothing in the thread but the error queue, which is emptied before each call.
extension SecureChannel: @unchecked Sendable {}
