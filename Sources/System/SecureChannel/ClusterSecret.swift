/// The 32 random bytes that every member of a cluster holds. Its file is 64 hexadecimal digits and a line end.
public struct ClusterSecret: Sendable {
    /// How many bytes a secret has.
    static let length = 32

    /// Never printed and never used as a key itself: keys are derived from it, one for each use.
    let bytes: [UInt8]

    private init(bytes: [UInt8]) { self.bytes = bytes }

    /// Draws a new secret from the kernel.
    public static func generate() -> ClusterSecret { ClusterSecret(bytes: randomBytes(length)) }

    /// Reads the contents of the secret's file; white space around the digits is allowed.
    public init(fileContents: [UInt8]) throws(ClusterSecretError) {
        let isSpace = { (byte: UInt8) in byte == 0x20 || (0x09...0x0D).contains(byte) }
        let head = fileContents.drop(while: isSpace)
        let digits = head.reversed().drop(while: isSpace).reversed().map {
            Character(UnicodeScalar($0)).hexDigitValue
        }
        guard !digits.isEmpty else { throw .empty }
        let values = digits.compactMap { $0 }
        guard values.count == digits.count else { throw .notHexadecimal }
        guard values.count == 2 * Self.length else { throw .wrongLength(digits: values.count) }
        bytes = (0..<Self.length).map { UInt8(values[2 * $0] << 4 | values[2 * $0 + 1]) }
        // What an editor or a copied example leaves behind is no secret.
        guard Set(bytes).count > 4 else { throw .notRandom }
    }

    /// What the secret's file holds: 64 digits and a line end.
    public var fileContents: [UInt8] {
        let digits = Array("0123456789abcdef".utf8)
        return bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] } + [0x0A]
    }

    /// The key with which `client` opens a connection to `server` for `purpose` in `cluster`.
    ///
    /// Each pair and direction has its own key, so a node's connection cannot be turned back to itself (the "selfie"
    /// attack of RFC 9257 section 4.1), and two clusters that share a secret's text do not know each other. The
    /// names cross the network in clear text.
    public func key(cluster: String, purpose: String, client: String, server: String) -> PresharedKey {
        PresharedKey(
            identity: [cluster, purpose, client, server].joined(separator: "/"),
            bytes: derive(["connection", cluster, purpose, client, server]))
    }

    /// A key of 32 bytes for messages outside TLS, such as advertisements, in `cluster`.
    public func messageKey(cluster: String, purpose: String) -> [UInt8] {
        derive(["message", cluster, purpose])
    }

    /// HKDF-SHA256 of the secret; the info is the words, each with its length before it, so that no two lists agree.
    private func derive(_ words: [String]) -> [UInt8] {
        var info: [UInt8] = []
        for word in ["tandem 1"] + words {
            let text = Array(word.utf8)
            info += (0..<4).map { UInt8(truncatingIfNeeded: text.count >> (24 - 8 * $0)) } + text
        }
        return hkdfSHA256(key: bytes, salt: [], info: info, count: 32)
    }
}

extension ClusterSecret: CustomStringConvertible {
    /// Says nothing about the bytes, so that a log cannot either.
    public var description: String { "a cluster secret" }
}

/// Why a secret's file is not one.
public enum ClusterSecretError: Error, Equatable, Sendable, CustomStringConvertible {
    /// No digits at all.
    case empty
    /// Something that is no hexadecimal digit.
    case notHexadecimal
    /// Another count than 64 digits.
    case wrongLength(digits: Int)
    /// All zeroes or the like.
    case notRandom

    public var description: String {
        let remedy = "make one with `tandem secret` and copy it to every machine of the cluster"
        return switch self {
        case .empty: "the secret's file is empty; \(remedy)"
        case .notHexadecimal: "the secret's file holds something else than 64 hexadecimal digits; \(remedy)"
        case .wrongLength(let digits): "the secret has \(digits) hexadecimal digits instead of 64; \(remedy)"
        case .notRandom: "the secret is not random; \(remedy)"
        }
    }
}
