import Balancing
import Basics
import LinuxSystem
import ProxyReport
import Telemetry

/// One connection in TCP mode: what one side says, the other hears, until both have ended.
final class TCPSession: ProxySocketOwner, ProxyWaiter {
    private let client: ProxySocket
    /// Where the client came in; nil when nobody asks.
    private let local: SocketAddress?
    private let frontend: ProxyFrontend
    private var origin: ProxySocket?
    private var server: Int?
    /// The server that it was last given to.
    private var lastServer: Int?
    private var waiter: UInt64 = 0
    private var isConnected = false
    private var isOver = false
    private var retries = 0
    private let begun: Instant
    private var line: AccessLine

    private let loop: ProxyLoop
    private var timeouts: ProxyConfiguration.Timeouts { frontend.configuration.timeouts }

    init(_ client: ProxySocket, local: SocketAddress?, frontend: ProxyFrontend) {
        self.client = client
        self.local = local
        self.frontend = frontend
        loop = frontend.loop
        begun = frontend.loop.now
        line = AccessLine(
            client: AccessLine.text(of: client.peer), accepted: WallTime.now(), proxy: frontend.nameText)
    }

    func start() {
        guard loop.adopt(client, owner: self) else { return }
        loop.clientCount += 1
        frontend.clientCount += 1
        frontend.traffic.connected(count: frontend.clientCount, at: loop.now)
        place(avoiding: nil)
    }

    private func place(avoiding: Int?) {
        waiter = loop.waiterNumber()
        let source = frontend.source(of: client.peer)
        switch frontend.pool.place(waiter, sticky: nil, source: source, avoiding: avoiding) {
        case .placed(let server, let reason):
            note(.placed(server: frontend.servers[server].text, reason), avoiding)
            go(to: server)
        case .waits:
            note(.waits, avoiding)
            loop.waiters[waiter] = self
            client.deadline = loop.now + timeouts.connect
        case .queueFull:
            note(.queueFull, avoiding)
            end("SQ")
        case .noServer:
            note(.noServer(frontend.pool.shortage()), avoiding)
            end("SC")
        }
    }

    private func note(_ outcome: Choice.Outcome, _ failed: Int?) {
        frontend.note(outcome, client: line.client, cookie: nil, failed: failed)
    }

    func placed(on server: Int) {
        note(.placed(server: frontend.servers[server].text, .queued), nil)
        go(to: server)
    }

    private func go(to server: Int) {
        self.server = server
        lastServer = server
        frontend.traffic.placed(on: server, isSticky: false, at: loop.now)
        frontend.traffic.connecting(to: server, isKept: false)
        waiter = 0
        client.deadline = .never
        line.times.queue = milliseconds
        line.server = frontend.servers[server].text
        origin = frontend.connect(to: server, owner: self, patience: timeouts.connect)
        if origin == nil { connectFailed("SC") }
    }

    func hold(_ socket: ProxySocket) -> ProxyHold? {
        ProxyHold(
            frontend: frontend, places: Set([server].compactMap(\.self)),
            client: socket === client ? client.peer : nil,
            inService: server)
    }

    func refused() {
        note(.noServer(frontend.pool.shortage()), nil)
        end("SC")
    }

    private var milliseconds: Int { Int(loop.now.since(begun).wholeMilliseconds) }

    /// Nothing was sent yet: another server may have it, once.
    private func connectFailed(_ ending: String) {
        guard let failed = server else { return }
        if let origin { loop.close(origin) }
        origin = nil
        server = nil
        frontend.traffic.connectFailed(failed)
        frontend.observed(failed, succeeded: false)
        frontend.release(failed)
        guard retries < 1, !isOver else { return end(ending) }
        retries += 1
        frontend.traffic.redispatched(from: failed)
        place(avoiding: failed)
    }

    func ready(_ socket: ProxySocket) {
        guard let origin else {
            client.fill()
            if client.hasFailed { end("CC") }
            return
        }
        if !isConnected {
            client.fill()
            if client.hasFailed { return end("CC") }
            guard let connected = origin.isConnected() else { return }
            guard connected else { return connectFailed("SC") }
            isConnected = true
            line.times.connect = milliseconds
            if let server { frontend.observed(server, succeeded: true) }
            if frontend.configuration.sendsProxyLine { origin.output += proxyLine }
        }
        while move(from: client, to: origin) || move(from: origin, to: client) {}
        line.bytes = bytesToClient
        if client.hasFailed { return end("CD") }
        if origin.hasFailed { return end("SD") }
        let timeout = loop.now + timeouts.tunnel
        client.deadline = timeout
        origin.deadline = timeout
        if client.isAtEnd, client.input.isEmpty, origin.isAtEnd, origin.input.isEmpty, client.pending == 0,
            origin.pending == 0
        {
            end("--")
        }
    }

    private var bytesToClient: UInt64 = 0
    private var bytesToServer: UInt64 = 0

    private func move(from source: ProxySocket, to sink: ProxySocket) -> Bool {
        var moved = source.fill()
        if !source.input.isEmpty, sink.pending < ProxySocket.outputMaximum {
            if sink === client {
                bytesToClient += UInt64(source.input.count)
            } else {
                bytesToServer += UInt64(source.input.count)
            }
            if sink.output.isEmpty {
                swap(&sink.output, &source.input)
            } else {
                sink.output += source.input
                source.consume(source.input.count)
            }
            moved = true
        }
        if sink.flush() { moved = true }
        if source.isAtEnd, source.input.isEmpty, sink.pending == 0 { sink.endSending() }
        return moved
    }

    /// "PROXY TCP4 192.0.2.1 192.0.2.2 40000 80": the client, and where it came in.
    private var proxyLine: [UInt8] {
        guard let peer = client.peer, let local, peer.bytes.count == local.bytes.count else {
            return Array("PROXY UNKNOWN\r\n".utf8)
        }
        let family = peer.bytes.count == 4 ? "TCP4" : "TCP6"
        return Array("PROXY \(family) \(peer.host) \(local.host) \(peer.port) \(local.port)\r\n".utf8)
    }

    func expired(_ socket: ProxySocket) {
        guard origin != nil else { return end("sQ") }
        if isConnected { end("cD") } else { connectFailed("sC") }
    }

    private func end(_ ending: String) {
        guard !isOver else { return }
        isOver = true
        line.ending = ending
        line.times.total = milliseconds
        line.retries = retries
        frontend.traffic.ended(
            TrafficRecord(
                server: lastServer, status: 0, isFromServer: isConnected, bytesIn: bytesToServer,
                bytesOut: bytesToClient,
                times: (line.times.queue, line.times.connect, -1, line.times.total), ending: ending))
        line.connections = (
            loop.clientCount, frontend.clientCount, frontend.pool.active,
            server.map { frontend.pool.servers[$0].active } ?? 0
        )
        if frontend.log.isOn { frontend.log.take(line) }
        if waiter != 0, loop.waiters.removeValue(forKey: waiter) != nil { _ = frontend.pool.cancel(waiter) }
        loop.close(client)
        if let origin { loop.close(origin) }
        loop.clientCount -= 1
        frontend.clientCount -= 1
        if let server { frontend.release(server) }
        server = nil
    }
}
