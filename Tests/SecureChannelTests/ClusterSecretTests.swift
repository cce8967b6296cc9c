import Testing

@testable import SecureChannel

@Suite("The cluster's secret and what is derived from it")
struct ClusterSecretTests {
    @Test("a generated secret survives its file, and each is another")
    func roundTrip() throws {
        let secret = ClusterSecret.generate()
        #expect(secret.fileContents.count == 65)
        #expect(try ClusterSecret(fileContents: secret.fileContents).bytes == secret.bytes)
        #expect(ClusterSecret.generate().bytes != secret.bytes)
        #expect("\(secret)" == "a cluster secret")
    }

    @Test("white space around the digits and capital letters are accepted")
    func tolerance() throws {
        let secret = ClusterSecret.generate()
        let text = String(decoding: secret.fileContents, as: UTF8.self).uppercased()
        #expect(try ClusterSecret(fileContents: Array("  \(text)\r\n\n".utf8)).bytes == secret.bytes)
    }

    @Test("a file that is no secret is refused with what is wrong about it")
    func refusals() {
        func error(_ text: String) -> ClusterSecretError? {
            do {
                _ = try ClusterSecret(fileContents: Array(text.utf8))
                return nil
            } catch { return error }
        }
        #expect(error("") == .empty)
        #expect(error(" \n") == .empty)
        #expect(error(String(repeating: "0123456789abcdef", count: 3)) == .wrongLength(digits: 48))
        #expect(error(String(repeating: "0123456789abcdef", count: 5)) == .wrongLength(digits: 80))
        #expect(
            error(String(repeating: "0123456789abcdef", count: 3) + "0123456789abcdeg") == .notHexadecimal)
        #expect(error(String(repeating: "01234567 89abcdef", count: 4)) == .notHexadecimal)
        #expect(error(String(repeating: "0", count: 64)) == .notRandom)
        #expect(error("\u{0}") == .notHexadecimal)
    }

    @Test("the key depends on cluster, purpose, client, server and their boundaries")
    func separation() {
        let secret = ClusterSecret.generate()
        let keys = [
            secret.key(cluster: "lab", purpose: "data", client: "node1", server: "node2"),
            secret.key(cluster: "lab", purpose: "data", client: "node2", server: "node1"),
            secret.key(cluster: "labor", purpose: "data", client: "node1", server: "node2"),
            secret.key(cluster: "lab", purpose: "witness", client: "node1", server: "node2"),
            secret.key(cluster: "labd", purpose: "ata", client: "node1", server: "node2"),
            ClusterSecret.generate().key(cluster: "lab", purpose: "data", client: "node1", server: "node2"),
        ]
        #expect(Set(keys.map(\.bytes)).count == keys.count)
        let again = secret.key(cluster: "lab", purpose: "data", client: "node1", server: "node2")
        #expect(again.bytes == keys[0].bytes)
        #expect(again.identity == "lab/data/node1/node2")
        #expect(secret.messageKey(cluster: "lab", purpose: "data") != keys[0].bytes)
        #expect(keys[0].bytes(for: .aes256) != keys[0].bytes(for: .chacha20))
    }

    @Test("HKDF-SHA256 and HMAC-SHA256 give the published values")
    func vectors() {
        // RFC 5869 appendix A.1 and A.3; RFC 4231 section 4.3.
        let first = hkdfSHA256(
            key: [UInt8](repeating: 0x0B, count: 22), salt: Array(0...12), info: Array(0xF0...0xF9), count: 42
        )
        #expect(
            hex(first)
                == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865")
        let third = hkdfSHA256(key: [UInt8](repeating: 0x0B, count: 22), salt: [], info: [], count: 42)
        #expect(
            hex(third)
                == "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8")
        let code = hmacSHA256(key: Array("Jefe".utf8), message: Array("what do ya want for nothing?".utf8))
        #expect(hex(code) == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
    }

    @Test("random bytes come in any count and do not repeat")
    func random() {
        #expect(randomBytes(0).isEmpty)
        #expect(randomBytes(1000).count == 1000)
        #expect(randomBytes(16) != randomBytes(16))
    }

    private func hex(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
