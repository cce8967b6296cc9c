import CLinux
import Glibc

/// A relay between an NFS 4.1 client and its server that lets the client see one write verifier for ever.
///
/// The verifier is how a server says that it has started anew and has forgotten what it had not yet made durable; the
/// kernel's own cannot be kept over a restart. A client that does not learn of it believes data to be safe that are
/// gone: a test of durability that does not notice is worth nothing.
public struct VerifierRelay: Sendable {
    public var listen: UInt16
    public var address: String
    public var port: UInt16
    /// Whether verifiers are replaced by the first one; a plain relay otherwise.
    public var keepsVerifier: Bool

    public init(listen: UInt16, address: String, port: UInt16, keepsVerifier: Bool) {
        self.listen = listen
        self.address = address
        self.port = port
        self.keepsVerifier = keepsVerifier
    }

    private struct Pair {
        let client: Int32
        let server: Int32
        /// What has come of a reply that is not whole yet.
        var pending: [UInt8] = []
    }

    /// Relays on 127.0.0.1 until SIGTERM.
    public func run() throws(LabError) {
        clinux_lab_hold_stop_signals()
        let listener = try BlockingSocket.listen("127.0.0.1", listen)
        defer { close(listener) }
        var pairs: [Pair] = []
        var verifier: [UInt8]?
        while clinux_lab_stop_requested() == 0 {
            let ready = BlockingSocket.readable(
                [listener] + pairs.flatMap { [$0.client, $0.server] }, milliseconds: 500)
            pairs = pairs.compactMap { pair in
                var pair = pair
                guard relay(&pair, ready, &verifier) else {
                    close(pair.client)
                    close(pair.server)
                    return nil
                }
                return pair
            }
            guard ready.contains(listener) else { continue }
            let client = accept(listener, nil, nil)
            guard client >= 0 else { continue }
            if let server = try BlockingSocket.connect(address, port, milliseconds: 1000).socket {
                pairs.append(Pair(client: client, server: server))
            } else {
                close(client)
            }
        }
    }

    /// False when one of the two is gone.
    private func relay(_ pair: inout Pair, _ ready: Set<Int32>, _ verifier: inout [UInt8]?) -> Bool {
        if ready.contains(pair.client) {
            let bytes = BlockingSocket.receive(from: pair.client)
            guard !bytes.isEmpty, BlockingSocket.send(bytes, to: pair.server) else { return false }
        }
        guard ready.contains(pair.server) else { return true }
        let bytes = BlockingSocket.receive(from: pair.server)
        guard !bytes.isEmpty else { return false }
        guard keepsVerifier else { return BlockingSocket.send(bytes, to: pair.client) }
        pair.pending += bytes
        while let reply = Self.takeReply(&pair.pending) {
            let changed = Self.replacing(&verifier, in: reply)
            guard BlockingSocket.send(changed[...], to: pair.client) else { return false }
        }
        return true
    }

    /// The first whole record, its mark of four bytes included.
    static func takeReply(_ pending: inout [UInt8]) -> [UInt8]? {
        guard pending.count >= 4 else { return nil }
        let length = Int(number(pending, 0) & 0x7FFF_FFFF) + 4
        guard pending.count >= length else { return nil }
        defer { pending.removeFirst(length) }
        return Array(pending[..<length])
    }

    private static func number(_ bytes: [UInt8], _ offset: Int) -> UInt32 {
        bytes[offset..<offset + 4].reduce(0) { $0 << 8 | UInt32($1) }
    }

    /// The record with the first verifier that was ever seen in place of its own.
    static func replacing(_ verifier: inout [UInt8]?, in reply: [UInt8]) -> [UInt8] {
        guard let offset = verifierOffset(in: reply) else { return reply }
        guard let first = verifier else {
            verifier = Array(reply[offset..<offset + 8])
            return reply
        }
        var changed = reply
        changed.replaceSubrange(offset..<offset + 8, with: first)
        return changed
    }

    /// Where the verifier of a successful reply to SEQUENCE, PUTFH and WRITE or COMMIT is (RFC 8881): those are what a
    /// client sends when it writes.
    static func verifierOffset(in reply: [UInt8]) -> Int? {
        // Mark, xid, REPLY, accepted, verifier AUTH_NONE of length 0, SUCCESS; then status, empty tag, count.
        let head = 4
        let sequence = head + 24 + 12
        // SEQUENCE and its result are 44 bytes, PUTFH 8; then the operation and its status.
        let operation = sequence + 44 + 8
        guard reply.count >= operation + 16, number(reply, head + 4) == 1, number(reply, head + 8) == 0,
            number(reply, head + 16) == 0, number(reply, head + 20) == 0, number(reply, head + 28) == 0,
            number(reply, sequence) == 53, number(reply, sequence + 44) == 22,
            number(reply, operation + 4) == 0
        else { return nil }
        switch number(reply, operation) {
        case 5: return operation + 8
        // How many bytes, and how durably, before it.
        case 38: return reply.count >= operation + 24 ? operation + 16 : nil
        default: return nil
        }
    }
}
