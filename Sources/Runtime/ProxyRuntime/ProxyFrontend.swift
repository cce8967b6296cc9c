import Balancing
import Basics
import LinuxSystem
import ProxyReport
import Telemetry

/// One proxy at work: its listener, its pool of servers, the idle connections to them, and its checks.
///
/// It outlives a reload: whoever has begun goes on with it, and asks it for the settings of the moment. A server is
/// named by its place in the pool, which it keeps; `servers` has what the pool does not know of it.
final class ProxyFrontend: ProxySocketOwner, ProxyAcceptor {
    /// A server's place: what is known of it beside the pool.
    struct Server {
        /// Nil while the name has none.
        var address: SocketAddress?
        /// As the settings have it.
        let origin: String
        /// The name that is looked up, and its port; nil for an address.
        let host: (name: String, port: UInt16)?
        var isLookedUp = false
        /// When it is looked up next.
        var nextLookup = Instant(nanoseconds: 0)
        /// The name as the log has it.
        var text: [UInt8]
        /// The value of Set-Cookie that keeps a client on it.
        var setCookie: [UInt8]
        /// Idle connections, the latest used last.
        var idle: [ProxySocket] = []
        /// When it was last given something, or was done with it.
        var lastUse: Instant
    }

    /// Between two lookups of a name that has an address; one that has none is looked up with each check.
    static let lookupInterval = Interval.seconds(10)

    private(set) var configuration: ProxyConfiguration
    /// Counts the settings: who keeps something made of them compares.
    private(set) var version = 0
    unowned let loop: ProxyLoop
    /// None once the settings do not name the proxy any more: it then ends with its last client.
    var listener: ProxyListener?
    var pool: BackendPool
    /// What is counted.
    var traffic: ProxyTraffic
    /// The last choices, for `explain`.
    private(set) var choices = ChoiceRing()
    private(set) var servers: [Server]
    private(set) var cookieName: [UInt8]
    /// The name as the log has it.
    let nameText: [UInt8]
    private(set) var log: AccessLog
    private(set) var sourceKey: KeyedHash
    /// Connections of clients.
    var clientCount = 0

    var isRetired: Bool { listener == nil }

    init(
        _ configuration: ProxyConfiguration, _ listener: ProxyListener, loop: ProxyLoop, log: AccessLog
    ) {
        self.log = log
        nameText = Array(configuration.name.utf8)
        self.configuration = configuration
        self.listener = listener
        self.loop = loop
        sourceKey = KeyedHash(key: configuration.key)
        cookieName = Array((configuration.cookieName ?? "").utf8)
        pool = BackendPool(
            proxy: configuration.name, method: configuration.balance,
            servers: configuration.servers.map(\.rules), health: configuration.healthRules,
            queueLimit: configuration.queueLimit, key: sourceKey, at: loop.now)
        traffic = ProxyTraffic(
            servers: configuration.servers.map(\.rules.name), isTCP: configuration.mode == .tcp, at: loop.now)
        servers = []
        servers = configuration.servers.indices.map { server(configuration.servers[$0], at: $0) }
    }

    private func server(_ server: ProxyConfiguration.Server, at place: Int) -> Server {
        Server(
            address: server.host == nil ? server.address : nil, origin: server.origin,
            host: server.host.map { ($0, server.address.port) }, text: Array(server.rules.name.utf8),
            setCookie: setCookieText(place),
            lastUse: loop.now)
    }

    private func setCookieText(_ place: Int) -> [UInt8] {
        cookieName + [0x3D] + StickyCookie.text(pool.servers[place].cookie)
            + Array("; path=/; HttpOnly".utf8)
    }

    /// Takes every connection that waits.
    func accept() {
        while let listener {
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

    /// A number made of the client's address, the same on every proxy with the same key; 0 where nobody asks for it.
    func source(of client: SocketAddress?) -> UInt64 {
        configuration.balance == .source ? sourceKey.hash(client?.bytes ?? []) : 0
    }

    /// The value of Set-Cookie that keeps a client on the server.
    func setCookie(_ server: Int) -> [UInt8] { servers[server].setCookie }

    /// Begins a connection to a server; nil when the kernel refuses at once.
    func connect(to server: Int, owner: any ProxySocketOwner, patience: Interval) -> ProxySocket? {
        guard let address = servers[server].address else { return nil }
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
    func release(_ server: Int) {
        servers[server].lastUse = loop.now
        loop.deliver(pool.release(server))
    }

    func observed(_ server: Int, succeeded: Bool) {
        let result = pool.observed(server, succeeded: succeeded, at: loop.now)
        if result.changed {
            dropIdle(server)
            stateChanged(server, "\(configuration.healthRules.passiveLimit) requests in a row failed")
        }
        loop.deliver(result.grants)
    }

    /// A server is up or down now: the clocks are set, and the journal says why.
    private func stateChanged(_ server: Int, _ reason: String) {
        traffic.stateChanged(of: server, in: pool, at: loop.now)
        let isUp = pool.servers[server].health.state == .up
        loop.journal.record(
            isUp ? "server-up" : "server-down", level: isUp ? .notice : .warning,
            [
                "server": "\(configuration.name)/\(pool.servers[server].rules.name)", "reason": reason,
                "serving": pool.order.count { pool.servers[$0].mayServe },
            ])
    }

    /// What the operator wants of the server at a place.
    func setAdmin(_ state: BackendPool.AdminState, of server: Int) {
        let grants = pool.setAdmin(state, of: server)
        if state == .maintenance { dropIdle(server) }
        traffic.stateChanged(of: server, in: pool, at: loop.now)
        loop.deliver(grants)
    }

    func setWeight(_ weight: Int, of server: Int) { loop.deliver(pool.setWeight(weight, of: server)) }

    /// The place of the server with that name; nil when the settings name none.
    func place(of name: String) -> Int? { pool.order.first { pool.servers[$0].rules.name == name } }
}

// New settings.
extension ProxyFrontend {
    /// Goes on by new settings of the proxy with this name. Servers with the same name and address stay what they are.
    /// `held` are the places that connections name.
    func reload(_ new: ProxyConfiguration, log: AccessLog, held: Set<Int>) {
        configuration = new
        version += 1
        self.log = log
        sourceKey = KeyedHash(key: new.key)
        cookieName = Array((new.cookieName ?? "").utf8)
        let before = pool.order
        let arrivals = new.servers.map { server in
            BackendPool.Arrival(
                rules: server.rules,
                place: before.first {
                    pool.servers[$0].rules.name == server.rules.name && servers[$0].origin == server.origin
                })
        }
        let grants = pool.reload(
            proxy: new.name, method: new.balance, servers: arrivals, health: new.healthRules,
            queueLimit: new.queueLimit, key: sourceKey, held: held, at: loop.now)
        var fresh: [Int] = []
        for (settings, place) in zip(new.servers, pool.order) {
            if before.contains(place) {
                servers[place].setCookie = setCookieText(place)
                continue
            }
            fresh.append(place)
            if place == servers.count {
                servers.append(server(settings, at: place))
            } else {
                servers[place] = server(settings, at: place)
            }
        }
        traffic.reload(pool, fresh: fresh, isTCP: new.mode == .tcp, at: loop.now)
        for place in before where pool.servers[place].isRemoved { dropIdle(place) }
        loop.deliver(grants)
    }

    /// The settings do not name this proxy any more: nobody new comes, and whoever is there finishes.
    func retire() {
        listener = nil
        for place in servers.indices { dropIdle(place) }
    }
}

// Idle connections.
extension ProxyFrontend {
    /// Keeps a connection for the next request to the server.
    func park(_ socket: ProxySocket, _ server: Int) {
        guard servers[server].idle.count < configuration.idleLimit, pool.mayServe(server), !isRetired
        else { return loop.close(socket) }
        socket.owner = self
        socket.deadline = loop.now + configuration.timeouts.idle
        servers[server].idle.append(socket)
    }

    /// An idle connection to the server that still stands.
    func takeIdle(_ server: Int, owner: any ProxySocketOwner) -> ProxySocket? {
        while let socket = servers[server].idle.popLast() {
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
        for socket in servers[server].idle { loop.close(socket) }
        servers[server].idle = []
    }

    func ready(_ socket: ProxySocket) {
        socket.fill()
        // Bytes that nobody asked for are as bad as an end.
        if socket.isAtEnd || socket.hasFailed || !socket.input.isEmpty { expired(socket) }
    }

    func expired(_ socket: ProxySocket) {
        for server in servers.indices { servers[server].idle.removeAll { $0 === socket } }
        loop.close(socket)
    }
}

// Checks.
extension ProxyFrontend {
    /// Begins the checks that are due.
    func checkServers() {
        for server in pool.order {
            let isDue = pool.servers[server].health.nextCheck <= loop.now
            lookUp(server, isDue: isDue)
            guard isDue else { continue }
            pool.checkBegan(of: server)
            // Of a name without an address the lookup is the check.
            if servers[server].address != nil { HealthProbe(self, server).start() }
        }
    }

    private func lookUp(_ server: Int, isDue: Bool) {
        guard let host = servers[server].host, !servers[server].isLookedUp else { return }
        guard servers[server].nextLookup <= loop.now || isDue && servers[server].address == nil else {
            return
        }
        servers[server].isLookedUp = true
        servers[server].nextLookup = loop.now + Self.lookupInterval
        loop.resolver.ask(host.name)
    }

    /// A name was looked up. One that had an address keeps it when it has none now, as long as its checks pass.
    func resolved(_ host: String, _ found: [SocketAddress]) {
        for server in pool.order where servers[server].isLookedUp && servers[server].host?.name == host {
            servers[server].isLookedUp = false
            guard let port = servers[server].host?.port else { continue }
            let old = servers[server].address
            let addresses = found.map { $0.with(port: port) }
            guard let new = addresses.first(where: { $0 == old }) ?? addresses.first else {
                if old == nil { didNotResolve(server) }
                continue
            }
            guard new != old else { continue }
            servers[server].address = new
            dropIdle(server)
            loop.journal.record(
                "name-resolved",
                ["server": "\(configuration.name)/\(pool.servers[server].rules.name)", "address": new])
            if old == nil { HealthProbe(self, server).start() }
        }
    }

    private func didNotResolve(_ server: Int) {
        let result = pool.didNotResolve(server, at: loop.now)
        if result.changed {
            traffic.stateChanged(of: server, in: pool, at: loop.now)
            loop.journal.record(
                "name-unresolved", level: .warning,
                [
                    "server": "\(configuration.name)/\(pool.servers[server].rules.name)",
                    "name": servers[server].host?.name ?? "",
                ])
        }
        loop.deliver(result.grants)
        loop.refuse(result.refused)
    }

    func checked(_ server: Int, _ check: CheckResult) {
        traffic.checked(server, check, wasUp: pool.servers[server].health.state == .up)
        let result = pool.checked(server, passed: check.status.isPassed, at: loop.now)
        if result.changed {
            if !check.status.isPassed { dropIdle(server) }
            stateChanged(server, "\(check.status.description), \(check.text)")
        }
        loop.deliver(result.grants)
        loop.refuse(result.refused)
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
                at: loop.now, client: client, cookie: cookie, failed: failed.map { servers[$0].text },
                outcome: outcome))
    }

    /// What it is and has done.
    var snapshot: ProxySnapshot.Proxy {
        ProxySnapshot.Proxy(
            name: configuration.name,
            listen: "\(listener?.listener.localAddress ?? configuration.listen)",
            method: configuration.balance, isTCP: configuration.mode == .tcp,
            cookie: configuration.cookieName, rules: configuration.healthRules,
            queueLimit: configuration.queueLimit, clientCount: clientCount, traffic: traffic, pool: pool,
            addresses: servers.map { $0.address.map { "\($0)" } ?? $0.origin },
            idle: servers.map(\.idle.count))
    }
}
