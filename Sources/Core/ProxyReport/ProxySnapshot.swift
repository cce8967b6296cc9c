public import Balancing
public import Basics

/// What the proxies of one machine are and have done, at one instant: a value that may leave their thread.
public struct ProxySnapshot: Sendable {
    /// One server of a proxy.
    public struct Server: Sendable {
        public var name: String
        /// "192.168.56.21:80"
        public var address: String
        /// 0 ... 256
        public var weight: Int
        public var isBackup: Bool
        public var limit: Int?
        public var admin: BackendPool.AdminState
        public var health: ServerHealth.State
        /// Checks in a row that speak against the state.
        public var streak: Int
        public var active: Int
        public var activeMaximum: Int
        public var queued: Int
        public var queueMaximum: Int
        /// Requests placed so far.
        public var total: UInt64
        /// Connections that wait to be used again.
        public var idle: Int
        public var counters: TrafficCounters
        public var clock: StateClock
        public var lastCheck: CheckResult?
        public var failedChecks: UInt64
    }

    /// One proxy: its clients' side, its servers, and all of them together.
    public struct Proxy: Sendable {
        public var name: String
        /// "0.0.0.0:80"
        public var listen: String
        public var isTCP: Bool
        /// "roundrobin"
        public var method: String
        /// The name of its sticky cookie; nil without.
        public var cookie: String?
        public var clientCount: Int
        public var clients: ProxyTraffic.Clients
        public var servers: [Server]
        public var all: TrafficCounters
        public var clock: StateClock
        public var active: Int
        public var activeMaximum: Int
        /// Waiting for any server and for each one.
        public var queued: Int
        public var queueMaximum: Int
        public var queueLimit: Int
        public var rules: ServerHealth.Rules
    }

    public var at: Instant
    public var startedAt: Instant
    public var processID: Int
    /// Connections of clients, of all proxies.
    public var clientCount: Int
    /// Lines of the access log that nobody took.
    public var lostLines: UInt64
    public var proxies: [Proxy]

    public init(
        at: Instant, startedAt: Instant, processID: Int, clientCount: Int, lostLines: UInt64, proxies: [Proxy]
    ) {
        self.at = at
        self.startedAt = startedAt
        self.processID = processID
        self.clientCount = clientCount
        self.lostLines = lostLines
        self.proxies = proxies
    }
}

extension ProxySnapshot.Proxy {
    /// Joins what was counted with what the pool knows. Both are of one proxy, with the same servers in the same places;
    /// `addresses` and `idle` too.
    public init(
        name: String, listen: String, method: BackendPool.Method, isTCP: Bool, cookie: String?,
        rules: ServerHealth.Rules, queueLimit: Int, clientCount: Int, traffic: ProxyTraffic,
        pool: BackendPool, addresses: [String], idle: [Int]
    ) {
        self.name = name
        self.listen = listen
        self.method = method.rawValue
        self.isTCP = isTCP
        self.cookie = cookie
        self.clientCount = clientCount
        clients = traffic.clients
        all = traffic.all
        clock = traffic.clock
        active = pool.active
        activeMaximum = pool.activeMaximum
        queued = pool.queue.count + pool.servers.reduce(0) { $0 + $1.queue.count }
        queueMaximum = max(pool.queueMaximum, pool.servers.map(\.queueMaximum).max() ?? 0)
        self.queueLimit = queueLimit
        self.rules = rules
        servers = pool.order.map { index in
            let (server, counted) = (pool.servers[index], traffic.servers[index])
            return ProxySnapshot.Server(
                name: server.rules.name, address: addresses[index], weight: server.rules.weight,
                isBackup: server.rules.isBackup, limit: server.rules.limit, admin: server.admin,
                health: server.health.state, streak: server.health.streak, active: server.active,
                activeMaximum: server.activeMaximum, queued: server.queue.count,
                queueMaximum: server.queueMaximum, total: server.total, idle: idle[index],
                counters: counted.counters, clock: counted.clock, lastCheck: counted.lastCheck,
                failedChecks: counted.failedChecks)
        }
    }

    /// Whether some server may serve.
    public var isUp: Bool { servers.contains { $0.mayServe } }

    /// The weights of those that would be chosen from now.
    public var weight: Int {
        let chosen = servers.filter { $0.mayBeChosen && !$0.isBackup }
        if !chosen.isEmpty { return chosen.reduce(0) { $0 + $1.weight } }
        return servers.first { $0.mayBeChosen }?.weight ?? 0
    }
}

extension ProxySnapshot.Server {
    /// Whether it gets those who bring its cookie.
    public var mayServe: Bool { health == .up && admin != .maintenance }
    /// Whether it gets new ones too.
    public var mayBeChosen: Bool { health == .up && admin == .ready && weight > 0 }

    /// The state in HAProxy's words: UP, "UP 1/3" with checks failing, DOWN, "DOWN 1/2" with checks passing, DRAIN,
    /// MAINT, "no check".
    public func status(_ rules: ServerHealth.Rules) -> String {
        if admin == .maintenance { return "MAINT" }
        switch health {
        case .checking: return "DOWN (checking)"
        case .unresolved: return "MAINT (resolution)"
        case .down: return streak > 0 ? "DOWN \(streak)/\(rules.rise)" : "DOWN"
        case .up:
            if admin == .drain || weight == 0 { return "DRAIN" }
            if rules.isOff { return "no check" }
            return streak > 0 ? "UP \(rules.fall - streak)/\(rules.fall)" : "UP"
        }
    }

    /// HAProxy's count of health: 0 ... rise + fall - 1, up from `rise` on.
    func healthCount(_ rules: ServerHealth.Rules) -> Int {
        switch health {
        case .up: rules.rise + rules.fall - 1 - streak
        case .down, .unresolved, .checking: streak
        }
    }
}
