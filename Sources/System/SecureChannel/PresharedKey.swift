/// A key that both ends of a connection hold beforehand, and the name by which the client says which one it means.
public struct PresharedKey: Sendable {
    /// Goes over the network in clear text; at most 200 bytes.
    public let identity: String
    /// 32 bytes or more.
    let bytes: [UInt8]

    /// A key of 32 bytes or more. Keys of a cluster come from `ClusterSecret.key`.
    public init(identity: String, bytes: [UInt8]) {
        precondition(bytes.count >= 32, "a pre-shared key has at least 256 bits")
        precondition((1...200).contains(identity.utf8.count), "a key's identity has 1 to 200 bytes")
        self.identity = identity
        self.bytes = bytes
    }

    /// The key for one suite. RFC 8446 section 4.2.11 binds a pre-shared key to one hash, so each suite has its own.
    func bytes(for suite: CipherSuite) -> [UInt8] {
        hkdfSHA256(key: bytes, salt: [], info: Array("tandem 1 \(suite.rawValue)".utf8), count: 32)
    }

    /// The identity on the wire: the server learns from it which suite, and so which hash, the client's proof has.
    func wireIdentity(for suite: CipherSuite) -> [UInt8] { Array("\(identity);\(suite.rawValue)".utf8) }
}

extension PresharedKey: CustomStringConvertible {
    /// The identity alone, never the key.
    public var description: String { "the key of \(identity)" }
}
