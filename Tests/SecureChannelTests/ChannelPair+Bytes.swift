import LinuxSystem
import Testing

@testable import SecureChannel

let testSecret = ClusterSecret.generate()

func testKey(_ secret: ClusterSecret = testSecret, client: String = "node1") -> PresharedKey {
    secret.key(cluster: "lab", purpose: "test", client: client, server: "node2")
}

/// One channel in a box that an expectation can look into, with arrays in place of regions.
final class TestEnd {
    private var channel: SecureChannel
    /// All that it has opened so far by `run`.
    var opened: [UInt8] = []

    init(
        _ role: SecureChannel.Role, suite: CipherSuite = .preferred, size: Int = 1 << 18,
        recordsPerKey: UInt64 = SecureChannel.recordsPerKey
    ) throws {
        channel = try SecureChannel(
            role: role, inputSize: size, outputSize: size, suite: suite, recordsPerKey: recordsPerKey)
    }

    var isEstablished: Bool { channel.isEstablished }
    var identity: String? { channel.identity }
    var recordsSealed: UInt64 { channel.recordsSealed }
    var recordsOpened: UInt64 { channel.recordsOpened }
    var pending: [UInt8] { Array(channel.pendingOutput) }
    func hasRoom(for count: Int) -> Bool { channel.hasRoom(for: count) }
    func consume(_ count: Int) { channel.consumeOutput(count) }
    func close() { channel.close() }
    func receivedEnd() { channel.receivedEnd() }
    func updateKey() throws(SecureChannelError) { try channel.updateKey() }
    func handshake() throws(SecureChannelError) { try channel.handshake() }

    func exportToken(_ label: String) throws(SecureChannelError) -> [UInt8] {
        try channel.exportToken(label: label, length: 32)
    }

    /// Hands ciphertext in; how much of it found room.
    func receive(_ bytes: some Sequence<UInt8>) -> Int {
        Array(bytes).withUnsafeBytes { channel.received(copying: $0) }
    }

    /// Gives the kernel's part to `body` while the channel goes on: what a ring does.
    func receiving(_ bytes: [UInt8], while body: () throws -> Void) rethrows {
        let region = channel.receiveRegion()
        try body()
        bytes.withUnsafeBytes { region.copyMemory(from: $0) }
        channel.received(bytes.count)
    }

    /// Everything that can be opened now.
    func readAll(chunk: Int = 70_000) throws(SecureChannelError) -> [UInt8] {
        var all: [UInt8] = []
        try read(into: &all, chunk: chunk)
        return all
    }

    /// The same, keeping what was opened before an error.
    private func read(into all: inout [UInt8], chunk: Int = 70_000) throws(SecureChannelError) {
        var buffer = [UInt8](repeating: 0, count: chunk)
        while true {
            let result = buffer.withUnsafeMutableBytes { raw in
                Result { () throws(SecureChannelError) in try channel.read(into: raw) }
            }
            let count = try result.get()
            if count == 0 { return }
            all += buffer[..<count]
        }
    }

    /// Seals `bytes`; false without room.
    func write(_ bytes: [UInt8]) throws(SecureChannelError) -> Bool {
        try bytes.withUnsafeBytes { raw in
            Result { () throws(SecureChannelError) in try channel.write(raw) }
        }.get()
    }

    /// Handshake and reading, as far as they go; the error that ended them.
    func run() -> SecureChannelError? {
        do {
            try handshake()
            try read(into: &opened)
            return nil
        } catch { return error }
    }
}

/// Two channels and the cable between them, which a test may cut into pieces or tamper with.
final class ChannelPair {
    let client: TestEnd
    let server: TestEnd
    /// Bytes that cross the cable at once.
    var piece = Int.max
    /// Called with what goes from client to server.
    var tamper: (inout [UInt8]) -> Void = { _ in }

    init(
        client clientKey: PresharedKey = testKey(), server serverKeys: [PresharedKey] = [testKey()],
        suite: CipherSuite = .preferred, size: Int = 1 << 18,
        recordsPerKey: UInt64 = SecureChannel.recordsPerKey
    ) throws {
        client = try TestEnd(.client(clientKey), suite: suite, size: size, recordsPerKey: recordsPerKey)
        server = try TestEnd(.server(serverKeys), size: size, recordsPerKey: recordsPerKey)
    }

    /// Hands bytes over until both ends are quiet; the first error of each end.
    @discardableResult
    func pump() -> (client: SecureChannelError?, server: SecureChannelError?) {
        var errors: (client: SecureChannelError?, server: SecureChannelError?) = (nil, nil)
        var moved = true
        while moved {
            if errors.client == nil { errors.client = client.run() }
            if errors.server == nil { errors.server = server.run() }
            let there = carry(from: client, to: server, tamper)
            let back = carry(from: server, to: client) { _ in }
            moved = there || back
        }
        return errors
    }

    /// Completes the handshake, which must succeed.
    func establish() throws {
        let errors = pump()
        try #require(errors.client == nil && errors.server == nil)
        try #require(client.isEstablished && server.isEstablished)
    }

    private func carry(from source: TestEnd, to target: TestEnd, _ tamper: (inout [UInt8]) -> Void) -> Bool {
        var bytes = Array(source.pending.prefix(piece))
        guard !bytes.isEmpty else { return false }
        let taken = bytes.count
        tamper(&bytes)
        let room = target.receive(bytes)
        // What finds no room waits in the source, unless the cable has changed the length.
        source.consume(bytes.count == taken ? room : taken)
        return room > 0
    }
}
