import LinuxSystem
import Testing

@testable import SecureChannel

@Suite("Who does not hold the key")
struct SecureChannelRefusalTests {
    @Test("a wrong secret is called so at both ends", arguments: CipherSuite.allCases)
    func wrongSecret(suite: CipherSuite) throws {
        let pair = try ChannelPair(client: testKey(.generate()), suite: suite)
        let errors = pair.pump()
        #expect(errors.server == .wrongSecret)
        #expect(errors.client == .wrongSecret)
        #expect(!pair.client.isEstablished && !pair.server.isEstablished)
        #expect("\(SecureChannelError.wrongSecret)".contains("secret differs"))
        // It stays so.
        #expect(throws: SecureChannelError.wrongSecret) { try pair.client.handshake() }
        #expect(throws: SecureChannelError.wrongSecret) { try pair.client.write([1]) }
    }

    @Test("an identity that nobody has is named by the server and refused to the client")
    func unknownIdentity() throws {
        let pair = try ChannelPair(client: testKey(client: "node9"))
        let errors = pair.pump()
        #expect(errors.server == .unknownIdentity("'lab/test/node9/node2'"))
        #expect(errors.client == .identityRefused("'lab/test/node9/node2'"))
    }

    @Test("an identity goes into an error printable and short")
    func hostileIdentity() throws {
        let name = "\u{1B}[2J" + String(repeating: "x", count: 150)
        let pair = try ChannelPair(client: PresharedKey(identity: name, bytes: randomBytes(32)))
        #expect(pair.pump().server == .unknownIdentity("'?[2J\(String(repeating: "x", count: 96))'"))
    }

    @Test("a connection turned back to its own maker fails")
    func selfie() throws {
        // node1 as a client wants node2; its own server holds the keys with which others come to node1.
        let own = testSecret.key(cluster: "lab", purpose: "test", client: "node2", server: "node1")
        let pair = try ChannelPair(server: [own])
        let errors = pair.pump()
        #expect(errors.server == .unknownIdentity("'lab/test/node1/node2'"))
        #expect(!pair.client.isEstablished)
    }

    @Test("every altered byte of a record ends the connection, and no altered text comes out")
    func alteredRecord() throws {
        for place in 0..<40 {
            let pair = try ChannelPair()
            try pair.establish()
            #expect(try pair.client.write([UInt8](repeating: 7, count: 18)))
            pair.tamper = { $0[place] ^= 0x01 }
            let errors = pair.pump()
            pair.server.receivedEnd()
            let later = Result { try pair.server.readAll() }
            #expect(pair.server.opened.isEmpty)
            #expect(throws: SecureChannelError.self) { try later.get() }
            // A changed length only makes the server wait for more, until the stream ends.
            let isLength = place == 3 || place == 4
            #expect(
                isLength || errors.server == .altered, "byte \(place): \(String(describing: errors.server))")
        }
    }

    @Test("every altered byte of the client's first flight is refused, by an error and not by a trap")
    func alteredHandshake() throws {
        var length = 0
        do {
            let probe = try ChannelPair()
            try probe.client.handshake()
            length = probe.client.pending.count
        }
        try #require(length > 150)
        // Bytes 1 and 2 are the record's legacy version, which RFC 8446 section 5.1 orders to ignore.
        for place in 0..<length where place != 1 && place != 2 {
            let pair = try ChannelPair()
            var isFirst = true
            pair.tamper = { bytes in
                if isFirst { bytes[place] ^= 0x80 }
                isFirst = false
            }
            _ = pair.pump()
            #expect(!(pair.client.isEstablished && pair.server.isEstablished), "byte \(place)")
        }
    }

    @Test("a server that has a certificate in place of the key is refused")
    func impostor() throws {
        let client = try TestEnd(.client(testKey()))
        let impostor = try Impostor()
        var error: SecureChannelError?
        for _ in 0..<10 where error == nil {
            error = client.run()
            let answer = impostor.answer(to: client.pending)
            client.consume(client.pending.count)
            _ = client.receive(answer)
        }
        #expect(error == .peerWithoutSecret)
        #expect(!client.isEstablished)
        #expect(!impostor.isEstablished)
    }

    @Test("a peer that reports an altered record is understood")
    func alteredReported() throws {
        let pair = try ChannelPair()
        try pair.establish()
        #expect(try pair.client.write([1, 2, 3]))
        pair.tamper = { $0[8] ^= 1 }
        let errors = pair.pump()
        #expect(errors.server == .altered)
        #expect(errors.client == .altered)
    }

    @Test(
        "what is not TLS is called so",
        arguments: [
            "GET / HTTP/1.0\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n", "\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}",
        ])
    func notTLS(text: String) throws {
        let server = try TestEnd(.server([testKey()]))
        _ = server.receive(text.utf8)
        do {
            try server.handshake()
            Issue.record("taken for TLS")
        } catch {
            guard case .notTLS = error else {
                Issue.record("\(error)")
                return
            }
        }
    }

    @Test("random bytes never trap the server and never establish it")
    func noise() throws {
        for length in [1, 5, 6, 100, 5000, 40_000] {
            for _ in 0..<20 {
                let server = try TestEnd(.server([testKey()]))
                // A record header of the right kind lets the noise get deeper.
                let bytes = [0x16, 3, 1, 0x10, 0, 1] + randomBytes(length)
                _ = server.receive(bytes)
                server.receivedEnd()
                #expect(throws: SecureChannelError.self) { try server.handshake() }
                #expect(!server.isEstablished)
            }
        }
    }
}
