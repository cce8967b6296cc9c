import CLinux

/// The record protection of a channel. The client's processor decides; the server takes either.
public enum CipherSuite: String, Sendable, CaseIterable {
    /// TLS_AES_256_GCM_SHA384: the faster one where the processor has AES instructions.
    case aes256 = "aes256gcm"
    /// TLS_CHACHA20_POLY1305_SHA256: the faster one elsewhere, and its time does not depend on the key.
    case chacha20 = "chacha20poly1305"

    /// The better one on this machine.
    public static let preferred: CipherSuite = clinux_cpu_has_aes() == 1 ? .aes256 : .chacha20

    /// The number that RFC 8446 appendix B.4 gives it, in network order.
    var number: [UInt8] { self == .aes256 ? [0x13, 0x02] : [0x13, 0x03] }

    /// OpenSSL's name.
    var name: String { self == .aes256 ? "TLS_AES_256_GCM_SHA384" : "TLS_CHACHA20_POLY1305_SHA256" }
}
