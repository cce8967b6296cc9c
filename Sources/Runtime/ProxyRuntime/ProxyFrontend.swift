import Balancing
import Basics
import LinuxSystem
import ProxyReport

/// One proxy at work: its listener, its pool of servers, the idle connections to them, and its checks.
final class ProxyFrontend: ProxySocketOwner {
    let configuration: ProxyConfiguration
    unowned let loop: ProxyLoop
    private let listener: ProxyListener
    var pool: BackendPool
    /// What is counted.
    var traffic: ProxyTraffic
    /// The last choices, for `explain`.
    private(set) var choices = ChoiceRing()
    let cookieName: [UInt8]
    /// The names as the log and the cookies have them.
    let nameText: [UInt8]
    let serverTexts: [[UInt8]]
    private let setCookies: [[UInt8]]
    let log: AccessLog
    let sourceKey: KeyedHash
    /// Connections of clients.
    var clientCount = 0
    /// Idle connections by server, the latest used last.
    private var idle: [[ProxySocket]]

    init(
        _ configuration: ProxyConfiguration, _ listener: ProxyListener, loop: ProxyLoop, log: AccessLog
    ) {
        self.log = log
        nameText = Array(configuration.name.utf8)
        serverTexts = configuration.servers.map { Array($0.rules.name.utf8) }
        self.configuration = configuration
        self.listener = listener
        self.loop = loop
        sourceKey = KeyedHash(key: configuration.key)
        cookieName = Array((configuration.cookieName ?? "").utf8)
        idle = configuration.servers.map { _ in [] }
        var rules = configuration.health
        rules.isOff = configuration.check == .off
        let pool = BackendPool(
            proxy: configuration.name, method: configuration.balance,
            servers: configuration.servers.map(\.rules), health: rules,
            queueLimit: configuration.queueLimit, key: sourceKey, at: loop.now)
        let name = cookieName
        setCookies = pool.servers.map {
            name + [0x3D] + StickyCookie.text($0.cookie) + Array("; path=/; HttpOnly".utf8)
        }
        self.pool = pool
        traffic = ProxyTraffic(
            servers: configuration.servers.map(\.rules.name), isTCP: configuration.mode == .tcp, at: loop.now)
    }

    /// Takes every connection that waits.
    func accept() {
        while true {
            do throws(SystemError) {
                guard let stream = try listener.listener.accept() else { return }
                let peer = stream.peerAddress
                let local = configuration.sendsProxyLine ? stream.localAddress : nil
                let socket = ProxySocket(stream, peer: peer, scratch: loop.scratch)
                switch configuration.mode {
                case .http: HTTPSession(socket, frontend: self).start()
                case .tcp: TCPSession(socket, local: local, frontend: self).start()
                }
            } catch {
                // Out of descriptors: the connection stays in the kernel's queue, and the next accept tries again.
                return
            }
        }
    }

    /// A number made of the client's address, the same on every proxy with the same key.
    func source(of client: SocketAddress?) -> UInt64 { sourceKey.hash(client?.bytes ?? []) }

    /// The value of Set-Cookie that keeps a client on the server.
    func setCookie(_ server: Int) -> [UInt8] { setCookies[server] }

    /// Begins a connection to a server; nil when the kernel refuses at once.
    func connect(to server: Int, owner: any ProxySocketOwner, patience: Interval) -> ProxySocket? {
        let address = configuration.servers[server].address
        do throws(SystemError) {
            let socket = ProxySocket(
                try SocketStream.connecting(to: address), peer: address, scratch: loop.scratch)
            guard loop.adopt(socket, owner: owner) else { return nil }
            socket.deadline = loop.now + patience
            return socket
        } catch {
            return nil
        }
    }

    /// A client's request ended: its place is free.
    func release(_ server: Int) { loop.deliver(pool.release(server)) }

    func observed(_ server: Int, succeeded: Bool) {
        let result = pool.observed(server, succeeded: succeeded, at: loop.now)
        if result.changed {
            dropIdle(server)
            traffic.stateChanged(of: server, in: pool, at: loop.now)
        }
        loop.deliver(result.grants)
    }

    func setAdmin(_ state: BackendPool.AdminState, of name: String) {
        guard let server = pool.servers.firstIndex(where: { $0.rules.name == name }) else { return }
        let grants = pool.setAdmin(state, of: server)
        if state == .maintenance { dropIdle(server) }
        traffic.stateChanged(of: server, in: pool, at: loop.now)
        loop.deliver(grants)
    }
}

// Idle connections.
extension ProxyFrontend {
    /// Keeps a connection for the next request to the server.
    func park(_ socket: ProxySocket, _ server: Int) {
        guard idle[server].count < configuration.idleLimit, pool.servers[server].health.state == .up else {
            return loop.close(socket)
        }
        socket.owner = self
        socket.deadline = loop.now + configuration.timeouts.idle
        idle[server].append(socket)
    }

    /// An idle connection to the server that still stands.
    func takeIdle(_ server: Int, owner: any ProxySocketOwner) -> ProxySocket? {
        while let socket = idle[server].popLast() {
            // What came or ended since the last poll.
            socket.fill()
            if socket.isAtEnd || socket.hasFailed || !socket.input.isEmpty {
                loop.close(socket)
                continue
            }
            socket.owner = owner
            socket.deadline = .never
            return socket
        }
        return nil
    }

    private func dropIdle(_ server: Int) {
        for socket in idle[server] { loop.close(socket) }
        idle[server] = []
    }

    func ready(_ socket: ProxySocket) {
        socket.fill()
        // Bytes that nobody asked for are as bad as an end.
        if socket.isAtEnd || socket.hasFailed || !socket.input.isEmpty { expired(socket) }
    }

    func expired(_ socket: ProxySocket) {
        for server in idle.indices { idle[server].removeAll { $0 === socket } }
        loop.close(socket)
    }
}

// Checks.
extension ProxyFrontend {
    /// Begins the checks that are due.
    func checkServers() {
        for server in pool.servers.indices where pool.servers[server].health.nextCheck <= loop.now {
            pool.checkBegan(of: server)
            HealthProbe(self, server).start()
        }
    }

    func checked(_ server: Int, _ check: CheckResult) {
        traffic.checked(server, check, wasUp: pool.servers[server].health.state == .up)
        let result = pool.checked(server, passed: check.status.isPassed, at: loop.now)
        if result.changed {
            if !check.status.isPassed { dropIdle(server) }
            traffic.stateChanged(of: server, in: pool, at: loop.now)
        }
        loop.deliver(result.grants)
    }
}

// What is seen of it.
extension ProxyFrontend {
    /// Keeps a choice for `explain`.
    func note(
        _ outcome: Choice.Outcome, client: [UInt8], cookie: BackendPool.CookieVerdict?, failed: Int?
    ) {
        choices.note(
            Choice(
                at: loop.now, client: client, cookie: cookie, failed: failed.map { serverTexts[$0] },
                outcome: outcome))
    }

    /// What it is and has done.
    var snapshot: ProxySnapshot.Proxy {
        ProxySnapshot.Proxy(
            name: configuration.name, listen: "\(listener.listener.localAddress ?? configuration.listen)",
            method: configuration.balance, isTCP: configuration.mode == .tcp,
            cookie: configuration.cookieName,
            rules: checkRules, queueLimit: configuration.queueLimit, clientCount: clientCount,
            traffic: traffic, pool: pool, addresses: configuration.servers.map { "\($0.address)" },
            idle: idle.map(\.count))
    }

    private var checkRules: ServerHealth.Rules {
        var rules = configuration.health
        rules.isOff = configuration.check == .off
        return rules
    }
}
