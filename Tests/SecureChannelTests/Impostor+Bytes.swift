import COpenSSL
import Testing

/// A TLS 1.3 server with a certificate of its own making and no key of ours.
final class Impostor {
    private let context: OpaquePointer
    private let ssl: OpaquePointer
    private let input: OpaquePointer
    private let output: OpaquePointer

    init() throws {
        context = try #require(SSL_CTX_new(TLS_server_method()))
        let key = try #require(Self.makeKey())
        let certificate = try #require(Self.makeCertificate(for: key))
        defer {
            X509_free(certificate)
            EVP_PKEY_free(key)
        }
        try #require(SSL_CTX_use_certificate(context, certificate) == 1)
        try #require(SSL_CTX_use_PrivateKey(context, key) == 1)
        ssl = try #require(SSL_new(context))
        input = try #require(BIO_new(BIO_s_mem()))
        output = try #require(BIO_new(BIO_s_mem()))
        SSL_set_bio(ssl, input, output)
        SSL_set_accept_state(ssl)
    }

    deinit {
        SSL_free(ssl)
        SSL_CTX_free(context)
    }

    var isEstablished: Bool { SSL_is_init_finished(ssl) == 1 }

    /// Takes the client's bytes and gives the answer.
    func answer(to bytes: [UInt8]) -> [UInt8] {
        if !bytes.isEmpty { _ = BIO_write(input, bytes, Int32(bytes.count)) }
        _ = SSL_do_handshake(ssl)
        ERR_clear_error()
        var answer = [UInt8](repeating: 0, count: 65536)
        let count = BIO_read(output, &answer, Int32(answer.count))
        return Array(answer.prefix(Int(max(0, count))))
    }

    private static func makeKey() -> OpaquePointer? {
        guard let generator = EVP_PKEY_CTX_new_id(EVP_PKEY_ED25519, nil) else { return nil }
        defer { EVP_PKEY_CTX_free(generator) }
        var key: OpaquePointer?
        guard EVP_PKEY_keygen_init(generator) == 1, EVP_PKEY_keygen(generator, &key) == 1 else { return nil }
        return key
    }

    private static func makeCertificate(for key: OpaquePointer) -> OpaquePointer? {
        guard let certificate = X509_new() else { return nil }
        ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1)
        X509_gmtime_adj(X509_getm_notBefore(certificate), -60)
        X509_gmtime_adj(X509_getm_notAfter(certificate), 3600)
        X509_set_pubkey(certificate, key)
        let name = X509_get_subject_name(certificate)
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, "node2", -1, -1, 0)
        X509_set_issuer_name(certificate, name)
        guard X509_sign(certificate, key, nil) > 0 else {
            X509_free(certificate)
            return nil
        }
        return certificate
    }
}
