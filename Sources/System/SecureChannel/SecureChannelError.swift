import COpenSSL
public import LinuxSystem

/// Why a channel ended. Each is final: the connection under it is to be closed.
public enum SecureChannelError: Error, Equatable, Sendable {
    /// The peer's proof does not fit our key, or ours not its: the secrets differ.
    case wrongSecret
    /// We are the server, and the client named a key that we do not have.
    case unknownIdentity(String)
    /// We are the client, and the server does not have the key that we named.
    case identityRefused(String)
    /// The server answered with a certificate, or with nothing, in place of the proof.
    case peerWithoutSecret
    /// A record was altered on its way, or the peer says that one of ours was.
    case altered
    /// What came is not TLS 1.3.
    case notTLS(String)
    /// The peer said good-bye.
    case closed
    /// The stream ended without a good-bye: what came before it may not be all.
    case cut
    /// The peer gave up with this alert (RFC 8446 section 6).
    case alert(UInt8)
    /// OpenSSL failed for another reason, in its words.
    case failed(String)
    /// The system refused memory.
    case system(SystemError)
}

extension SecureChannelError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .wrongSecret:
            "the peer's secret differs from ours; copy the secret's file of one machine to the others"
        case .unknownIdentity(let name):
            "the peer asks for \(name), which nobody here is; compare the cluster's and the nodes' names"
        case .identityRefused(let name):
            "the peer does not know \(name); compare the cluster's and the nodes' names, and the secret"
        case .peerWithoutSecret:
            "the peer does not prove that it knows the secret; something else listens there"
        case .altered: "a record was altered on its way; the connection is dropped"
        case .notTLS(let reason): "what the peer sent is not TLS 1.3 (\(reason)); something else speaks there"
        case .closed: "the peer closed the connection"
        case .cut: "the connection ended without a good-bye"
        case .alert(let number): "the peer gave up the connection (TLS alert \(number))"
        case .failed(let reason): "the encrypted connection failed (\(reason))"
        case .system(let error): "\(error)"
        }
    }
}

extension SecureChannelError {
    /// What OpenSSL's error queue says about the call that has just failed; empties the queue.
    static func takingQueue(during phase: Phase, role: ChannelRole) -> SecureChannelError {
        // The first entry is the cause, later ones are what followed from it.
        let code = ERR_get_error()
        ERR_clear_error()
        guard code != 0 else { return .failed("no reason given") }
        let reason = Int32(ERR_GET_REASON(code))
        let text = ERR_reason_error_string(code).map { String(cString: $0) } ?? "error \(code)"
        if ERR_GET_LIB(code) != ERR_LIB_SSL { return .failed(text) }
        // An alert of the peer is reported as 1000 plus its number.
        if (SSL_AD_REASON_OFFSET..<SSL_AD_REASON_OFFSET + 256).contains(reason) {
            return fromAlert(UInt8(reason - SSL_AD_REASON_OFFSET), during: phase, role: role)
        }
        return switch reason {
        case SSL_R_BINDER_DOES_NOT_VERIFY, SSL_R_DIGEST_CHECK_FAILED: .wrongSecret
        case SSL_R_CERTIFICATE_VERIFY_FAILED: .peerWithoutSecret
        case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, SSL_R_NO_SUITABLE_KEY_SHARE, SSL_R_NO_SHARED_CIPHER:
            role.isServer ? .unknownIdentity(role.identityAsked ?? "no key at all") : .failed(text)
        case SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC: .altered
        case SSL_R_WRONG_VERSION_NUMBER, SSL_R_HTTP_REQUEST, SSL_R_HTTPS_PROXY_REQUEST,
            SSL_R_UNSUPPORTED_PROTOCOL, SSL_R_UNEXPECTED_MESSAGE, SSL_R_BAD_PROTOCOL_VERSION_NUMBER,
            SSL_R_LENGTH_MISMATCH, SSL_R_PACKET_LENGTH_TOO_LONG, SSL_R_ENCRYPTED_LENGTH_TOO_LONG,
            SSL_R_BAD_RECORD_TYPE, SSL_R_VERSION_TOO_LOW, SSL_R_UNEXPECTED_RECORD:
            phase == .established ? .altered : .notTLS(text)
        default: .failed(text)
        }
    }

    private static func fromAlert(_ number: UInt8, during phase: Phase, role: ChannelRole)
        -> SecureChannelError
    {
        switch Int32(number) {
        case SSL_AD_BAD_RECORD_MAC: .altered
        case SSL_AD_ILLEGAL_PARAMETER where phase == .handshake,
            SSL_AD_DECRYPT_ERROR where phase == .handshake:
            .wrongSecret
        case SSL_AD_HANDSHAKE_FAILURE where phase == .handshake && !role.isServer,
            SSL_AD_UNKNOWN_PSK_IDENTITY where phase == .handshake && !role.isServer:
            .identityRefused(role.identityAsked ?? "us")
        case SSL_AD_UNKNOWN_CA where role.isServer, SSL_AD_BAD_CERTIFICATE where role.isServer:
            .peerWithoutSecret
        default: .alert(number)
        }
    }

    /// Whether keys stand yet.
    enum Phase { case handshake, established }

    /// What the text of an error depends on.
    struct ChannelRole {
        let isServer: Bool
        /// The identity that the client named, as far as known.
        let identityAsked: String?
    }
}
