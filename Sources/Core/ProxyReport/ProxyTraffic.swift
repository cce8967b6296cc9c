public import Balancing
public import Basics

/// What is counted of one proxy while it works: a few additions a request, no memory of its own.
///
/// It counts what it is told and decides nothing. What the pool knows already (in service, waiting, placed) is not
/// counted again; a snapshot joins both.
public struct ProxyTraffic: Sendable {
    /// What is counted of the side of the clients.
    public struct Clients: Sendable, Equatable {
        /// Connections so far.
        public var total: UInt64 = 0
        /// Most connections at once.
        public var maximum = 0
        public var connectionRate = RateMeter()
        /// Whole request heads.
        public var requests: UInt64 = 0
        public var requestRate = RateMeter()
        public var requestErrors: UInt64 = 0
        public var bytesIn: UInt64 = 0
        public var bytesOut: UInt64 = 0
        public var responses = ResponseCounts()
        /// Answered by the proxy itself: errors, and what may go no further.
        public var intercepted: UInt64 = 0

        public init() {}
    }

    /// What is counted of one server.
    public struct Server: Sendable, Equatable {
        public let name: String
        public internal(set) var counters = TrafficCounters()
        public internal(set) var clock: StateClock
        /// The last check that has ended.
        public internal(set) var lastCheck: CheckResult?
        /// Checks that failed while it was up.
        public internal(set) var failedChecks: UInt64 = 0
    }

    public private(set) var clients = Clients()
    public private(set) var servers: [Server]
    /// All servers together, and what reached none.
    public private(set) var all = TrafficCounters()
    /// The proxy as a whole: down while no server may serve.
    public private(set) var clock: StateClock
    private var isTCP: Bool

    public init(servers: [String], isTCP: Bool, at now: Instant) {
        self.servers = servers.map { Server(name: $0, clock: StateClock(at: now)) }
        clock = StateClock(at: now)
        self.isTCP = isTCP
    }

    /// A client has connected; with it there are `count`.
    public mutating func connected(count: Int, at now: Instant) {
        clients.total += 1
        clients.connectionRate.note(second: RateMeter.second(of: now))
        if count > clients.maximum { clients.maximum = count }
    }

    /// A whole request head has come.
    public mutating func requestCame(at now: Instant) {
        clients.requests += 1
        clients.requestRate.note(second: RateMeter.second(of: now))
    }

    /// A request was given to a server.
    public mutating func placed(on server: Int, isSticky: Bool, at now: Instant) {
        let second = RateMeter.second(of: now)
        servers[server].counters.placed(isBalanced: !isSticky, second: second, at: now)
        all.placed(isBalanced: !isSticky, second: second, at: now)
    }

    /// A connection to a server is begun for a request, or a kept one is taken.
    public mutating func connecting(to server: Int, isKept: Bool) {
        if isKept {
            servers[server].counters.reuses += 1
            all.reuses += 1
        } else {
            servers[server].counters.connects += 1
            all.connects += 1
        }
    }

    /// A connection to a server could not be made.
    public mutating func connectFailed(_ server: Int) {
        servers[server].counters.connectionErrors += 1
        all.connectionErrors += 1
    }

    /// A request goes to the same server once more.
    public mutating func retried(_ server: Int) {
        servers[server].counters.retries += 1
        all.retries += 1
    }

    /// A request goes to another server than this one.
    public mutating func redispatched(from server: Int) {
        servers[server].counters.redispatches += 1
        all.redispatches += 1
    }

    /// A request has ended.
    public mutating func ended(_ record: borrowing TrafficRecord) {
        clients.bytesIn += record.bytesIn
        clients.bytesOut += record.bytesOut
        if !isTCP { clients.responses.note(record.status) }
        if !record.isFromServer, record.status > 0 { clients.intercepted += 1 }
        let wentWell = record.ending == "--"
        let verdict = wentWell ? nil : EndingVerdict(record.ending)
        if let verdict, verdict.neverAsked {
            if verdict.requestError { clients.requestErrors += 1 }
            return
        }
        all.ended(record, countsStatus: !isTCP)
        if let server = record.server {
            servers[server].counters.ended(record, countsStatus: record.isFromServer && !isTCP)
        }
        guard let verdict else { return }
        all.blamed(verdict)
        if let server = record.server { servers[server].counters.blamed(verdict) }
        if verdict.unplaced, record.server == nil { all.connectionErrors += 1 }
    }

    /// A check has ended; `wasUp` is what the server was before it.
    public mutating func checked(_ server: Int, _ result: CheckResult, wasUp: Bool) {
        servers[server].lastCheck = result
        if wasUp, !result.status.isPassed { servers[server].failedChecks += 1 }
    }

    /// A server's state may have changed: the clocks are set by what the pool says.
    public mutating func stateChanged(of server: Int, in pool: BackendPool, at now: Instant) {
        let state = pool.servers[server].health.state
        servers[server].clock.note(isDown: state == .down || state == .unresolved, at: now)
        let someServe = pool.order.contains { pool.servers[$0].mayServe }
        let someAreUnknown = pool.order.contains { pool.servers[$0].health.state == .checking }
        clock.note(isDown: !someServe && !someAreUnknown, at: now)
    }

    /// Goes on counting after a reload: `fresh` are the places of `pool` that new servers have taken.
    public mutating func reload(_ pool: BackendPool, fresh: [Int], isTCP: Bool, at now: Instant) {
        self.isTCP = isTCP
        for place in pool.servers.indices {
            let new = Server(name: pool.servers[place].rules.name, clock: StateClock(at: now))
            if place == servers.count {
                servers.append(new)
            } else if fresh.contains(place) {
                servers[place] = new
            }
        }
    }
}
