import COpenSSL
import LinuxSystem

/// What OpenSSL's callbacks of one channel work on: the two queues of ciphertext, the keys and the counts.
///
/// It lies at an address of its own, so that a callback never touches the channel, whose method is running above it.
struct ChannelWire: ~Copyable {
    var input: MirrorBuffer
    var output: MirrorBuffer
    /// The client's one key, or all that the server takes.
    let keys: [PresharedKey]
    /// What the client protects its records with.
    let suite: CipherSuite
    /// The key that this connection uses; on a server unknown until the client has named one.
    var chosen: Int?
    /// What the client named although nobody here has it; printable, shortened.
    var unknownIdentity: String?
    /// The client's identity in memory that stays where it is as long as OpenSSL may look at it.
    let identity: UnsafeMutableBufferPointer<UInt8>
    /// Protected records in each direction.
    var recordsSealed: UInt64 = 0
    var recordsOpened: UInt64 = 0

    let isServer: Bool

    init(
        role: SecureChannel.Role, suite: CipherSuite, inputSize: Int, outputSize: Int
    ) throws(SystemError) {
        let input = try MirrorBuffer(minimum: inputSize)
        let output = try MirrorBuffer(minimum: outputSize)
        self.input = input
        self.output = output
        self.suite = suite
        let wireIdentity: [UInt8]
        switch role {
        case .client(let key):
            (keys, isServer, chosen, wireIdentity) = ([key], false, 0, key.wireIdentity(for: suite))
        case .server(let all):
            precondition(!all.isEmpty, "a server without a key can let nobody in")
            (keys, isServer, chosen, wireIdentity) = (all, true, nil, [])
        }
        identity = UnsafeMutableBufferPointer.allocate(capacity: wireIdentity.count)
        _ = identity.initialize(from: wireIdentity)
    }

    deinit { identity.deallocate() }

    /// The session that stands for `key` in OpenSSL's eyes; the caller's callback hands it over to OpenSSL.
    static func session(_ ssl: OpaquePointer, key: PresharedKey, suite: CipherSuite) -> OpaquePointer? {
        guard let session = SSL_SESSION_new() else { return nil }
        let bytes = key.bytes(for: suite)
        guard let cipher = SSL_CIPHER_find(ssl, suite.number),
            SSL_SESSION_set1_master_key(session, bytes, bytes.count) == 1,
            SSL_SESSION_set_cipher(session, cipher) == 1,
            SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION) == 1
        else {
            SSL_SESSION_free(session)
            return nil
        }
        return session
    }

    /// Server: the key and suite that the wire identity stands for; remembers what nobody has.
    mutating func find(_ wireIdentity: UnsafeBufferPointer<UInt8>) -> (PresharedKey, CipherSuite)? {
        for (place, key) in keys.enumerated() {
            for suite in CipherSuite.allCases where wireIdentity.elementsEqual(key.wireIdentity(for: suite)) {
                chosen = place
                return (key, suite)
            }
        }
        // It comes from anybody and goes into a log: printable ASCII only, and not much of it.
        let name = wireIdentity.prefix { $0 != UInt8(ascii: ";") }.prefix(100)
        let printable = name.map { (0x20..<0x7F).contains($0) ? $0 : UInt8(ascii: "?") }
        unknownIdentity = "'\(String(decoding: printable, as: UTF8.self))'"
        return nil
    }
}

/// OpenSSL's view of a wire: its own kind of BIO and the callbacks.
enum WireCallbacks {
    typealias Wire = UnsafeMutablePointer<ChannelWire>

    /// Read-only once made, and OpenSSL never writes to it.
    nonisolated(unsafe) static let method: OpaquePointer? = {
        guard let method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "tandem wire") else {
            return nil
        }
        BIO_meth_set_write_ex(method, write)
        BIO_meth_set_read_ex(method, read)
        BIO_meth_set_ctrl(method) { _, command, _, _ in command == BIO_CTRL_FLUSH ? 1 : 0 }
        return method
    }()

    private static let retryFlags = BIO_FLAGS_READ | BIO_FLAGS_WRITE | BIO_FLAGS_SHOULD_RETRY

    /// Takes a record whole or not at all.
    private static let write:
        @convention(c) (OpaquePointer?, UnsafePointer<CChar>?, Int, UnsafeMutablePointer<Int>?) -> Int32 = {
            bio, bytes, count, written in
            guard let wire = BIO_get_data(bio)?.assumingMemoryBound(to: ChannelWire.self), let bytes else {
                return 0
            }
            BIO_clear_flags(bio, retryFlags)
            guard count <= wire.pointee.output.room else {
                BIO_set_flags(bio, BIO_FLAGS_WRITE | BIO_FLAGS_SHOULD_RETRY)
                return 0
            }
            wire.pointee.output.free.baseAddress?.copyMemory(from: bytes, byteCount: count)
            wire.pointee.output.fill(count)
            written?.pointee = count
            return 1
        }

    private static let read:
        @convention(c) (OpaquePointer?, UnsafeMutablePointer<CChar>?, Int, UnsafeMutablePointer<Int>?) ->
            Int32 = {
                bio, bytes, count, done in
                guard let wire = BIO_get_data(bio)?.assumingMemoryBound(to: ChannelWire.self), let bytes
                else { return 0 }
                BIO_clear_flags(bio, retryFlags)
                let moved = min(count, wire.pointee.input.count)
                guard moved > 0, let source = wire.pointee.input.used.baseAddress else {
                    BIO_set_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY)
                    return 0
                }
                UnsafeMutableRawPointer(bytes).copyMemory(from: source, byteCount: moved)
                wire.pointee.input.drop(moved)
                done?.pointee = moved
                return 1
            }

    /// Gives `ssl` its wire: BIO, keys and the count of records.
    static func attach(_ wire: Wire, to ssl: OpaquePointer) -> Bool {
        guard let method, let bio = BIO_new(method) else { return false }
        BIO_set_data(bio, wire)
        BIO_set_init(bio, 1)
        SSL_set_bio(ssl, bio, bio)
        guard SSL_set_ex_data(ssl, 0, wire) == 1 else { return false }
        if wire.pointee.isServer {
            SSL_set_psk_find_session_callback(ssl, findSession)
        } else {
            SSL_set_psk_use_session_callback(ssl, useSession)
        }
        SSL_set_msg_callback(ssl, countRecord)
        SSL_ctrl(ssl, SSL_CTRL_SET_MSG_CALLBACK_ARG, 0, wire)
        return true
    }

    private static let findSession:
        @convention(c) (OpaquePointer?, UnsafePointer<UInt8>?, Int, UnsafeMutablePointer<OpaquePointer?>?) ->
            Int32 = {
                ssl, identity, count, session in
                session?.pointee = nil
                guard let ssl, let wire = SSL_get_ex_data(ssl, 0)?.assumingMemoryBound(to: ChannelWire.self)
                else {
                    return 0
                }
                let found = wire.pointee.find(UnsafeBufferPointer(start: identity, count: count))
                guard let (key, suite) = found else { return 1 }
                session?.pointee = ChannelWire.session(ssl, key: key, suite: suite)
                return session?.pointee == nil ? 0 : 1
            }

    private static let useSession:
        @convention(c) (
            OpaquePointer?, OpaquePointer?, UnsafeMutablePointer<UnsafePointer<UInt8>?>?,
            UnsafeMutablePointer<Int>?, UnsafeMutablePointer<OpaquePointer?>?
        ) -> Int32 = { ssl, digest, identity, count, session in
            session?.pointee = nil
            guard let ssl, let wire = SSL_get_ex_data(ssl, 0)?.assumingMemoryBound(to: ChannelWire.self)
            else {
                return 0
            }
            let suite = wire.pointee.suite
            // After a HelloRetryRequest the suite is settled: a key of another hash is not offered again.
            if let digest, let cipher = SSL_CIPHER_find(ssl, suite.number),
                SSL_CIPHER_get_handshake_digest(cipher) != digest
            {
                return 1
            }
            session?.pointee = ChannelWire.session(ssl, key: wire.pointee.keys[0], suite: suite)
            identity?.pointee = UnsafePointer(wire.pointee.identity.baseAddress)
            count?.pointee = wire.pointee.identity.count
            return session?.pointee == nil ? 0 : 1
        }

    /// Called for every record's header and message; counts the headers of protected records.
    private static let countRecord:
        @convention(c) (Int32, Int32, Int32, UnsafeRawPointer?, Int, OpaquePointer?, UnsafeMutableRawPointer?)
            -> Void = {
                isSent, _, kind, bytes, count, _, argument in
                guard kind == SSL3_RT_HEADER, count >= 1, let bytes,
                    bytes.load(as: UInt8.self) == UInt8(SSL3_RT_APPLICATION_DATA),
                    let wire = argument?.assumingMemoryBound(to: ChannelWire.self)
                else { return }
                if isSent == 1 {
                    wire.pointee.recordsSealed &+= 1
                } else {
                    wire.pointee.recordsOpened &+= 1
                }
            }
}
