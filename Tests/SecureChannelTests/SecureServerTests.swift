import Basics
import LinuxSystem
import Testing

@testable import SecureChannel

@Suite("A server of messages for several clients")
struct SecureServerTests {
    private func makeServer(
        sessions: Int = 64, handshakeLimit: Interval = .seconds(10), idleLimit: Interval? = nil
    ) throws -> (SecureServer, SocketAddress) {
        let server = SecureServer(
            try TestListener.make(), keys: [testKey(client: "node1"), testKey(client: "node3")],
            sessionLimit: sessions,
            handshakeLimit: handshakeLimit, idleLimit: idleLimit)
        return (server, try #require(server.localAddress))
    }

    /// Serves until as many events have come, or the deadline; the clients work meanwhile.
    private func events(
        _ count: Int, from server: SecureServer, _ clients: [SecureConnection] = []
    ) throws -> [SecureServer.Event] {
        let deadline = SecureConnectionTests.deadline
        var events: [SecureServer.Event] = []
        while events.count < count && Instant.now() < deadline {
            for client in clients where client.failure == nil { _ = try? client.exchange() }
            events += try server.wait(until: .now() + .milliseconds(2))
        }
        return events
    }

    @Test("knows its clients by name, hears them, answers each and notices who leaves")
    func conversation() throws {
        let (server, address) = try makeServer()
        let one = try SecureConnection(connectingTo: address, key: testKey(client: "node1"))
        let three = try SecureConnection(connectingTo: address, key: testKey(client: "node3"))
        var sessions: [String: SecureServer.SessionID] = [:]
        for event in try events(2, from: server, [one, three]) {
            guard case .opened(let id, let identity) = event else {
                Issue.record("\(event)")
                continue
            }
            sessions[identity] = id
        }
        let first = try #require(sessions["lab/test/node1/node2"])
        let third = try #require(sessions["lab/test/node3/node2"])
        #expect(server.openSessions == 2)

        #expect(try one.enqueue([1]))
        #expect(try events(1, from: server) == [.message(first, [1])])
        #expect(server.send([11], to: first))
        #expect(server.send([33], to: third))
        #expect(try one.receive(deadline: SecureConnectionTests.deadline) == [11])
        #expect(try three.receive(deadline: SecureConnectionTests.deadline) == [33])

        // A last message and the good-bye may come in one piece: both are told, in order.
        #expect(try one.enqueue([2]))
        one.close()
        let last = try events(2, from: server)
        #expect(last.first == .message(first, [2]))
        #expect(last.count == 2)
        guard case .closed(first, .channel(.closed, _)) = last.last else {
            Issue.record("\(last)")
            return
        }
        #expect(!server.send([1], to: first))
        server.close(third)
        #expect(throws: SecureConnectionError.channel(.closed, peer: "\(address)")) {
            try three.receive(deadline: SecureConnectionTests.deadline)
        }
        #expect(server.openSessions == 0)
    }

    @Test("strangers who only connect give way to members, members never to anybody")
    func crowd() throws {
        let (server, address) = try makeServer(sessions: 2)
        let firstStranger = try SocketStream.connecting(to: address)
        let secondStranger = try SocketStream.connecting(to: address)
        #expect(try server.wait(until: .now() + .milliseconds(20)).isEmpty)
        let one = try SecureConnection(connectingTo: address, key: testKey(client: "node1"))
        let three = try SecureConnection(connectingTo: address, key: testKey(client: "node3"))
        let opening = try events(4, from: server, [one, three])
        #expect(opening.count { if case .refused(_, .crowdedOut) = $0 { true } else { false } } == 2)
        #expect(opening.count { if case .opened = $0 { true } else { false } } == 2)
        let late = try SecureConnection(connectingTo: address, key: testKey(client: "node1"))
        let refusal = try events(1, from: server, [one, three])
        #expect(refusal.count { if case .refused(_, .crowdedOut) = $0 { true } else { false } } == 1)
        #expect(server.openSessions == 2)
        #expect(throws: SecureConnectionError.self) {
            try late.establish(deadline: SecureConnectionTests.deadline)
        }
        _ = consume firstStranger
        _ = consume secondStranger
    }

    @Test("who proves nothing, and who falls silent, are dropped at their limits")
    func limits() throws {
        let (server, address) = try makeServer(
            handshakeLimit: .milliseconds(30), idleLimit: .milliseconds(60))
        let stranger = try SocketStream.connecting(to: address)
        let first = try events(1, from: server)
        guard case .refused(let peer, .timedOut(let what)) = first.first else {
            Issue.record("\(first)")
            return
        }
        #expect(what == "shake hands with \(peer)")
        let member = try SecureConnection(connectingTo: address, key: testKey(client: "node1"))
        let second = try events(2, from: server, [member])
        guard case .opened(let id, _) = second.first, case .closed(id, .timedOut) = second.last else {
            Issue.record("\(second)")
            return
        }
        _ = consume stranger
    }

    @Test("a client with another secret is refused by name of its address, and the others go on")
    func refusal() throws {
        let (server, address) = try makeServer()
        let wrong = try SecureConnection(connectingTo: address, key: testKey(.generate()))
        let right = try SecureConnection(connectingTo: address, key: testKey())
        let all = try events(2, from: server, [wrong, right])
        #expect(all.count { if case .opened = $0 { true } else { false } } == 1)
        #expect(
            all.count { if case .refused(_, .channel(.wrongSecret, _)) = $0 { true } else { false } } == 1)
    }

    @Test("a wake-up ends the wait")
    func wake() throws {
        let (server, _) = try makeServer()
        let wake = try EventCounter()
        wake.signal()
        let began = Instant.now()
        #expect(try server.wait(until: began + .seconds(10), wake: wake.descriptor.raw).isEmpty)
        #expect(Instant.now().since(began) < .seconds(5))
        let drained = (wake.drain(), wake.drain())
        #expect(drained.0 && !drained.1)
    }
}
