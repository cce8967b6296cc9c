import Basics
import Glibc
import LinuxSystem
import Synchronization
import Testing

@testable import SecureChannel

@Suite("Messages over a real socket")
struct SecureConnectionTests {
    /// Far beyond what loopback needs: a test that waits this long has failed.
    static var deadline: Instant { .now() + .seconds(10) }
    /// Both ends, established, driven by this thread.
    static func makePair(_ key: PresharedKey = testKey()) throws -> (SecureConnection, SecureConnection) {
        let listener = try TestListener()
        let client = try SecureConnection(connectingTo: listener.address, key: key)
        let server = try SecureConnection(accepted: listener.accept(), keys: [testKey()])
        try drive(client, server) { client.isEstablished && server.isEstablished }
        return (client, server)
    }

    /// Lets both ends work until `done` or the deadline; what they received is dropped.
    static func drive(
        _ one: SecureConnection, _ other: SecureConnection, until done: () -> Bool
    ) throws {
        let deadline = Self.deadline
        while !done() {
            var poll = PollSet()
            poll.add(one.descriptor, one.interest)
            poll.add(other.descriptor, other.interest)
            try #require(try poll.wait(until: deadline) > 0)
            if !poll.ready(at: 0).isEmpty { _ = try one.exchange() }
            if !poll.ready(at: 1).isEmpty { _ = try other.exchange() }
        }
    }

    @Test("messages of 0 bytes to 64 KiB cross in both directions and keep their bounds")
    func messages() throws {
        let listener = try TestListener()
        let address = listener.address
        let seen = Shared(Mutex<String?>(nil))
        let echo = try SystemThread(name: "echo") {
            do {
                let server = try SecureConnection(accepted: listener.accept(), keys: [testKey()])
                try server.establish(deadline: Self.deadline)
                for _ in 0..<7 {
                    try server.send(try server.receive(deadline: Self.deadline), deadline: Self.deadline)
                }
                seen.value.withLock { $0 = server.identity }
            } catch {
                Issue.record(error)
            }
        }
        let client = try SecureConnection.connect(to: address, key: testKey(), deadline: Self.deadline)
        #expect(throws: SecureConnectionError.messageTooLong(65537, peer: "\(address)")) {
            try client.send([UInt8](repeating: 0, count: 65537), deadline: Self.deadline)
        }
        for size in [0, 1, 4, 1000, 16384, 65535, 65536] {
            let message = randomBytes(size)
            try client.send(message, deadline: Self.deadline)
            #expect(try client.receive(deadline: Self.deadline) == message)
        }
        echo.join()
        #expect(seen.value.withLock { $0 } == "lab/test/node1/node2")
    }

    @Test("many messages in one go come out in order, and then the good-bye")
    func batch() throws {
        let (client, server) = try Self.makePair()
        for number in 0..<100 { #expect(try client.enqueue([UInt8(number), 1, 2])) }
        client.close()
        var got: [[UInt8]] = []
        #expect(throws: SecureConnectionError.channel(.closed, peer: server.peer)) {
            while true { got.append(try server.receive(deadline: Self.deadline)) }
        }
        #expect(got == (0..<100).map { [UInt8($0), 1, 2] })
    }

    @Test("a wrong secret is told to both ends and names the peer")
    func wrongSecret() throws {
        let listener = try TestListener()
        let address = listener.address
        let client = try SecureConnection(connectingTo: address, key: testKey(.generate()))
        _ = try client.exchange()
        let server = try SecureConnection(accepted: listener.accept(), keys: [testKey()])
        // The server speaks only after the client: let the client's first flight leave.
        while client.interest.contains(.writable) { _ = try client.exchange() }
        #expect(throws: SecureConnectionError.channel(.wrongSecret, peer: server.peer)) {
            try server.establish(deadline: Self.deadline)
        }
        #expect(throws: SecureConnectionError.channel(.wrongSecret, peer: "\(address)")) {
            try client.establish(deadline: Self.deadline)
        }
        #expect(server.failure == .channel(.wrongSecret, peer: server.peer))
    }

    @Test("nobody listening, and somebody who listens but is silent, are told apart, each in time")
    func unreachable() throws {
        let listener = try TestListener()
        let silent = listener.address
        let gone = try TestListener().address
        #expect(
            throws: SecureConnectionError.system(
                SystemError(operation: "connect to", subject: "\(gone)", code: ECONNREFUSED))
        ) { try SecureConnection.connect(to: gone, key: testKey(), deadline: Self.deadline) }
        #expect(throws: SecureConnectionError.timedOut("connect to \(silent)")) {
            try SecureConnection.connect(to: silent, key: testKey(), deadline: .now() + .milliseconds(50))
        }
        withExtendedLifetime(listener) {}
    }

    @Test("a receive that runs out of time leaves the connection good")
    func timeout() throws {
        let (client, server) = try Self.makePair()
        #expect(throws: SecureConnectionError.timedOut("receive from \(client.peer)")) {
            try client.receive(deadline: .now() + .milliseconds(20))
        }
        try server.send([9], deadline: Self.deadline)
        #expect(try client.receive(deadline: Self.deadline) == [9])
    }

    @Test("a peer that takes nothing in is noticed, by no room and by the deadline, within bounded memory")
    func stalledPeer() throws {
        let (client, server) = try Self.makePair()
        let message = randomBytes(65536)
        var count = 0
        while try client.enqueue(message) { count += 1 }
        // The queue holds one; the rest is the kernel's socket buffers.
        #expect(count < 400)
        #expect(throws: SecureConnectionError.timedOut("send to \(client.peer)")) {
            try client.send(message, deadline: .now() + .milliseconds(20))
        }
        // Nothing was lost or doubled: what was queued arrives.
        let deadline = Self.deadline
        var arrived = 0
        while arrived < count {
            try #require(Instant.now() < deadline)
            _ = try client.exchange()
            for got in try server.exchange() {
                #expect(got == message)
                arrived += 1
            }
        }
    }

    @Test("a length beyond the limit ends the connection before anything is kept for it")
    func hostileLength() throws {
        let listener = try TestListener()
        let address = listener.address
        let client = try SocketStream.connecting(to: address)
        let server = try SecureConnection(accepted: listener.accept(), keys: [testKey()])
        let hostile = try TestEnd(.client(testKey()))
        try Self.converse(hostile, over: client, with: server) {
            hostile.isEstablished && server.isEstablished
        }
        #expect(try hostile.write([0xFF, 0xFF, 0xFF, 0xFF]))
        #expect(throws: SecureConnectionError.messageTooLong(0xFFFF_FFFF, peer: server.peer)) {
            try Self.converse(hostile, over: client, with: server) { false }
        }
    }

    /// Drives a bare channel over a socket against a connection.
    private static func converse(
        _ end: TestEnd, over socket: borrowing SocketStream, with server: SecureConnection,
        until done: () -> Bool
    ) throws {
        let deadline = Self.deadline
        while !done() {
            try #require(Instant.now() < deadline)
            _ = end.run()
            if !end.pending.isEmpty, case .moved(let count) = try socket.write(end.pending[...]) {
                end.consume(count)
            }
            _ = try server.exchange()
            var bytes: [UInt8] = []
            if case .moved = try socket.read(appendingTo: &bytes, limit: 65536) { _ = end.receive(bytes) }
        }
    }
}

/// Carries what cannot be copied into a thread.
final class Shared<Value: ~Copyable & Sendable>: Sendable {
    let value: Value

    init(_ value: consuming Value) { self.value = value }
}

/// A listener on a free port of loopback, in a box that expectations and tasks can share.
final class TestListener: Sendable {
    private let socket: SocketListener
    let address: SocketAddress

    init() throws {
        socket = try Self.make()
        let local = socket.localAddress
        address = try #require(local)
    }

    static func make() throws -> SocketListener {
        guard let address = SocketAddress(host: "127.0.0.1", port: 0) else {
            preconditionFailure("it is an address")
        }
        return try SocketListener(tcp: address)
    }

    /// The next connection, which must come.
    func accept() throws -> SocketStream {
        var poll = PollSet()
        poll.add(socket.descriptor.raw, .readable)
        try poll.wait(until: SecureConnectionTests.deadline)
        guard let stream = try socket.accept() else { throw SecureConnectionError.timedOut("accept") }
        return stream
    }
}
