import COpenSSL

/// The two SSL_CTX of the process: one for clients, one for servers. Made once, then only read.
enum ChannelContext {
    nonisolated(unsafe) static let client = make(isServer: false)
    nonisolated(unsafe) static let server = make(isServer: true)

    /// Nil when OpenSSL of this machine cannot do what we need.
    private static func make(isServer: Bool) -> OpaquePointer? {
        guard let context = SSL_CTX_new(isServer ? TLS_server_method() : TLS_client_method()) else {
            return nil
        }
        let suites = CipherSuite.allCases.map(\.name).joined(separator: ":")
        // P-256 is the fallback where a policy of the machine forbids X25519; the first one's share is sent unasked.
        var groups = Array("X25519:P-256".utf8CString)
        let version = Int(TLS1_3_VERSION)
        guard SSL_CTX_ctrl(context, SSL_CTRL_SET_MIN_PROTO_VERSION, version, nil) == 1,
            SSL_CTX_ctrl(context, SSL_CTRL_SET_MAX_PROTO_VERSION, version, nil) == 1,
            SSL_CTX_ctrl(context, SSL_CTRL_SET_GROUPS_LIST, 0, &groups) == 1,
            SSL_CTX_set_ciphersuites(context, suites) == 1,
            SSL_CTX_set_num_tickets(context, 0) == 1
        else {
            SSL_CTX_free(context)
            return nil
        }
        SSL_CTX_ctrl(context, SSL_CTRL_SET_SESS_CACHE_MODE, Int(SSL_SESS_CACHE_OFF), nil)
        // No old middlebox lies between the machines: the records that only deceive such are left out.
        SSL_CTX_clear_options(context, openssl_option_middlebox_compatibility)
        // A client without this takes any certificate in place of the proof. Nothing is in its trust store, so it
        // takes none. A server has nothing to verify, and asking for it would refuse every pre-shared key.
        SSL_CTX_set_verify(context, isServer ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, nil)
        return context
    }
}
