public import Basics

/// The servers behind one proxy: which one a request is given to, and who waits.
///
/// It decides from one table, so that no request reaches a server that the table calls down. It does not connect, and
/// does not know whether what it places is a connection (TCP mode) or a request (HTTP mode): one that is placed
/// counts in `active` until it is released.
///
/// Who may be chosen: a server that is up and `ready` with a weight above 0. One that drains, or has weight 0, keeps
/// those who bring its cookie and gets nobody new. Backup servers are chosen only while no other may be; then the
/// first of them. Who comes while nobody may be chosen, but some server's first check has not ended, waits for it.
/// Invariant: `active` never exceeds a server's limit, and a queue never its own.
///
/// A server keeps its place in `servers` over reloads, so that what is in service may name it by that; one that new
/// settings do not name keeps it, and gets nobody, until nobody holds it any more.
public struct BackendPool: Sendable {
    /// How a server is chosen for those who bring no cookie.
    public enum Method: String, Sendable, CaseIterable {
        /// Smooth weighted round robin: two equal servers take turns strictly.
        case roundrobin
        /// The fewest in service for its weight; turns among equals.
        case leastconn
        /// The same server for the same address, on every proxy with the same key.
        case source
    }

    /// What the operator wants of a server.
    public enum AdminState: String, Sendable, CaseIterable {
        case ready
        /// Keeps who is there, and who brings its cookie; nobody new.
        case drain
        /// Gets nobody.
        case maintenance
    }

    /// What one server is.
    public struct ServerRules: Sendable, Equatable {
        public var name: String
        /// 0 ... 256
        public var weight: Int
        public var isBackup: Bool
        /// Most in service at once; nil for no limit.
        public var limit: Int?

        public init(name: String, weight: Int = 100, isBackup: Bool = false, limit: Int? = nil) {
            self.name = name
            self.weight = weight
            self.isBackup = isBackup
            self.limit = limit
        }
    }

    /// One server as it is now.
    public struct Server: Sendable {
        public internal(set) var rules: ServerRules
        public internal(set) var admin = AdminState.ready
        public internal(set) var health: ServerHealth
        /// In service now.
        public internal(set) var active = 0
        /// Most in service at once so far.
        public internal(set) var activeMaximum = 0
        /// Most that waited for it alone at once so far.
        public internal(set) var queueMaximum = 0
        /// Placed since the start.
        public internal(set) var total: UInt64 = 0
        /// Who waits for this server alone.
        public internal(set) var queue: [UInt64] = []
        /// What its cookie carries.
        public internal(set) var cookie: UInt64
        /// The settings do not name it any more.
        public internal(set) var isRemoved = false
        var salt: UInt64
        var credit = 0

        // Asked of every server for each request: without the words the server is copied for each question.

        /// Whether it gets those who bring its cookie.
        @inline(__always)
        public var mayServe: Bool { health.state == .up && admin != .maintenance && !isRemoved }
        @inline(__always)
        var isWanted: Bool { admin == .ready && rules.weight > 0 && !isRemoved }
        @inline(__always)
        var mayBeChosen: Bool { health.state == .up && isWanted }
        var hasRoom: Bool { rules.limit.map { active < $0 } ?? true }
    }

    /// Why a server was chosen: what `explain` says.
    public enum Reason: Sendable, Equatable {
        /// Its turn in round robin, among so many that could be chosen.
        case turn(among: Int)
        /// The fewest in service for its weight: so many before this one, among so many that could be chosen.
        case leastLoaded(active: Int, among: Int)
        /// It brought the server's cookie.
        case sticky
        /// The server of the client's address, among so many that could be chosen.
        case source(among: Int)
        /// No other server may be chosen.
        case backup
        /// It waited, and a place became free.
        case queued
    }

    /// Why no server may serve: how many are what.
    public struct Shortage: Sendable, Equatable {
        public var down = 0
        /// Their first check has not ended.
        public var checking = 0
        public var unresolved = 0
        public var maintenance = 0
        public var drain = 0
        public var weightless = 0

        public init() {}
    }

    /// What the client's cookie was worth: the letter is the one of the access log.
    public enum CookieVerdict: String, Sendable {
        case none = "N"
        /// It names no server of ours.
        case invalid = "I"
        /// Its server is down or in maintenance.
        case down = "D"
        case valid = "V"

        /// The letter as a byte.
        public var letter: UInt8 { rawValue.utf8.first ?? 0x2D }
    }

    /// What becomes of a request.
    public enum Placement: Sendable, Equatable {
        case placed(server: Int, Reason)
        /// It waits; `release`, `setAdmin` and the health entries tell when it is placed.
        case waits
        /// Every queue that it could wait in is full.
        case queueFull
        /// No server may serve.
        case noServer
    }

    /// One that waited and is placed.
    public struct Grant: Sendable, Equatable {
        public var waiter: UInt64
        public var server: Int

        public init(waiter: UInt64, server: Int) {
            self.waiter = waiter
            self.server = server
        }
    }

    /// By place; removed ones among them.
    public internal(set) var servers: [Server]
    /// The places of the settings' servers, in the settings' order.
    public internal(set) var order: [Int]
    /// In service now, on all servers.
    public internal(set) var active = 0
    /// Most in service at once so far.
    public internal(set) var activeMaximum = 0
    /// Who waits for any server.
    public internal(set) var queue: [UInt64] = []
    /// Most that waited for any server at once so far.
    public internal(set) var queueMaximum = 0
    var method: Method
    var queueLimit: Int
    var key: KeyedHash
    /// Who may be chosen, found anew for each choice in the same memory.
    private var candidates: [Int] = []

    /// The pool of a proxy; `queueLimit` bounds each queue.
    public init(
        proxy: String, method: Method, servers: [ServerRules], health: ServerHealth.Rules, queueLimit: Int,
        key: KeyedHash, at now: Instant
    ) {
        self.method = method
        self.queueLimit = queueLimit
        self.key = key
        order = Array(servers.indices)
        self.servers = servers.map { rules in
            Server(
                rules: rules, health: ServerHealth(rules: health, at: now),
                cookie: StickyCookie.number(proxy: proxy, server: rules.name, key: key),
                salt: key.hash(Array(rules.name.utf8)))
        }
    }

    /// Whether the server gets those who bring its cookie.
    public func mayServe(_ server: Int) -> Bool { servers[server].mayServe }

    /// What the cookie's number is worth now.
    public func verdict(onCookie number: UInt64?) -> (CookieVerdict, server: Int?) {
        guard let number else { return (.none, nil) }
        guard let index = order.first(where: { servers[$0].cookie == number }) else { return (.invalid, nil) }
        return servers[index].mayServe ? (.valid, index) : (.down, index)
    }

    /// Places a request. `sticky` is the server whose valid cookie it brings, `source` a number made of the client's
    /// address, `avoiding` a server that has just failed it.
    public mutating func place(
        _ waiter: UInt64, sticky: Int?, source: UInt64, avoiding: Int? = nil
    ) -> Placement {
        if let sticky, servers[sticky].mayServe, sticky != avoiding {
            guard !servers[sticky].hasRoom || !servers[sticky].queue.isEmpty else {
                return admit(sticky, .sticky)
            }
            return wait(waiter, for: sticky)
        }
        findCandidates(avoiding: avoiding)
        guard let first = candidates.first else {
            guard mayCome else { return .noServer }
            return waitForAny(waiter)
        }
        if servers[first].rules.isBackup {
            return servers[first].hasRoom ? admit(first, .backup) : wait(waiter, for: first)
        }
        if method == .source {
            let best = best(source)
            guard servers[best].hasRoom else { return wait(waiter, for: best) }
            return admit(best, .source(among: candidates.count))
        }
        // Nobody overtakes those who wait already.
        candidates.removeAll { !servers[$0].hasRoom || !servers[$0].queue.isEmpty }
        guard !candidates.isEmpty, queue.isEmpty else {
            return waitForAny(waiter)
        }
        let among = candidates.count
        guard method == .leastconn else { return admit(turn(), .turn(among: among)) }
        keepLeastLoaded()
        let server = turn()
        return admit(server, .leastLoaded(active: servers[server].active, among: among))
    }

    /// Why no server may be chosen now.
    public func shortage() -> Shortage {
        var shortage = Shortage()
        for server in order.map({ servers[$0] }) {
            switch (server.admin, server.health.state) {
            case (.maintenance, _): shortage.maintenance += 1
            case (_, .down): shortage.down += 1
            case (_, .checking): shortage.checking += 1
            case (_, .unresolved): shortage.unresolved += 1
            case (.drain, .up): shortage.drain += 1
            case (.ready, .up): shortage.weightless += 1
            }
        }
        return shortage
    }

    /// One in service has ended; whoever is placed by that.
    public mutating func release(_ server: Int) -> [Grant] {
        precondition(servers[server].active > 0, "released more often than placed")
        servers[server].active -= 1
        active -= 1
        return dispatch()
    }

    /// Nobody waits under that number any more; false when nobody did.
    public mutating func cancel(_ waiter: UInt64) -> Bool {
        if let place = queue.firstIndex(of: waiter) {
            queue.remove(at: place)
            return true
        }
        for index in servers.indices {
            guard let place = servers[index].queue.firstIndex(of: waiter) else { continue }
            servers[index].queue.remove(at: place)
            return true
        }
        return false
    }
}

// What changes a server.
extension BackendPool {
    /// What the operator wants; whoever is placed by that.
    public mutating func setAdmin(_ state: AdminState, of server: Int) -> [Grant] {
        servers[server].admin = state
        return settle(server)
    }

    /// A new weight, 0 ... 256; whoever is placed by that.
    public mutating func setWeight(_ weight: Int, of server: Int) -> [Grant] {
        servers[server].rules.weight = max(0, min(256, weight))
        return settle(server)
    }

    /// A check begins.
    public mutating func checkBegan(of server: Int) { servers[server].health.checkBegan() }

    /// A check has ended; whether the state changed, whoever is placed by that, and who waited for it in vain.
    public mutating func checked(
        _ server: Int, passed: Bool, at now: Instant
    ) -> (changed: Bool, grants: [Grant], refused: [UInt64]) {
        let before = servers[server].health.state
        let changed = servers[server].health.checked(passed: passed, at: now)
        return changed ? (true, settle(server), refused(after: before)) : (false, [], [])
    }

    /// The name of a server has no address; as ``checked(_:passed:at:)``.
    public mutating func didNotResolve(
        _ server: Int, at now: Instant
    ) -> (changed: Bool, grants: [Grant], refused: [UInt64]) {
        let before = servers[server].health.state
        let changed = servers[server].health.didNotResolve(at: now)
        return changed ? (true, settle(server), refused(after: before)) : (false, [], [])
    }

    /// Who waited for the first checks, when the last of them has shown that there is no server.
    private mutating func refused(after before: ServerHealth.State) -> [UInt64] {
        guard before == .checking, !mayCome, !order.contains(where: { servers[$0].mayBeChosen }) else {
            return []
        }
        defer { queue = [] }
        return queue
    }

    /// What a client's request has shown; whether the state changed, and whoever is placed by that.
    public mutating func observed(
        _ server: Int, succeeded: Bool, at now: Instant
    ) -> (changed: Bool, grants: [Grant]) {
        let changed = servers[server].health.observed(succeeded: succeeded, at: now)
        return (changed, changed ? settle(server) : [])
    }

    /// After any change of a server: whoever waits for one that may not serve waits for any, and free places are
    /// filled.
    mutating func settle(_ server: Int) -> [Grant] {
        if !servers[server].mayServe {
            queue.insert(contentsOf: servers[server].queue, at: 0)
            queueMaximum = max(queueMaximum, queue.count)
            servers[server].queue.removeAll()
        }
        return dispatch()
    }

    /// Fills free places: first those who wait for the server itself.
    mutating func dispatch() -> [Grant] {
        var grants: [Grant] = []
        for index in order where !servers[index].queue.isEmpty && servers[index].mayServe {
            while servers[index].hasRoom, !servers[index].queue.isEmpty {
                grants.append(Grant(waiter: servers[index].queue.removeFirst(), server: index))
                _ = admit(index, .queued)
            }
        }
        while !queue.isEmpty {
            findCandidates(avoiding: nil)
            candidates.removeAll { !servers[$0].hasRoom }
            guard !candidates.isEmpty else { break }
            let server = turn()
            grants.append(Grant(waiter: queue.removeFirst(), server: server))
            _ = admit(server, .queued)
        }
        return grants
    }
}

// Choosing.
extension BackendPool {
    /// Who may be chosen: the ordinary servers, or else the first backup; without `avoiding` where another is left.
    private mutating func findCandidates(avoiding: Int?) {
        candidates.removeAll(keepingCapacity: true)
        var backup: Int?
        for index in order where servers[index].mayBeChosen {
            if !servers[index].rules.isBackup {
                candidates.append(index)
            } else if backup == nil {
                backup = index
            }
        }
        if candidates.isEmpty, let backup { candidates.append(backup) }
        if let avoiding, candidates.count > 1 { candidates.removeAll { $0 == avoiding } }
    }

    /// Smooth weighted round robin: everybody earns its weight, the richest serves and pays the sum.
    private mutating func turn() -> Int {
        var sum = 0
        var richest = candidates[0]
        for index in candidates {
            servers[index].credit += servers[index].rules.weight
            sum += servers[index].rules.weight
            if servers[index].credit > servers[richest].credit { richest = index }
        }
        servers[richest].credit -= sum
        return richest
    }

    /// Those with the fewest in service for their weight.
    private mutating func keepLeastLoaded() {
        func load(_ index: Int, against other: Int) -> Int {
            servers[index].active * servers[other].rules.weight
        }
        var least = candidates[0]
        for index in candidates.dropFirst() where load(index, against: least) < load(least, against: index) {
            least = index
        }
        candidates.removeAll { load($0, against: least) != load(least, against: $0) }
    }

    private func best(_ source: UInt64) -> Int {
        var best = (
            index: candidates[0], cost: Rendezvous.cost(key.hash(source, servers[candidates[0]].salt))
        )
        for index in candidates.dropFirst() {
            let cost = Rendezvous.cost(key.hash(source, servers[index].salt))
            let isBetter = Rendezvous.isBetter(
                cost, weight: servers[index].rules.weight, than: best.cost,
                weight: servers[best.index].rules.weight)
            if isBetter { best = (index, cost) }
        }
        return best.index
    }

    private mutating func admit(_ server: Int, _ reason: Reason) -> Placement {
        servers[server].active += 1
        active += 1
        if servers[server].active > servers[server].activeMaximum {
            servers[server].activeMaximum = servers[server].active
        }
        if active > activeMaximum { activeMaximum = active }
        servers[server].total += 1
        return .placed(server: server, reason)
    }

    /// Whether somebody may be chosen as soon as a first check has passed.
    private var mayCome: Bool {
        order.contains { servers[$0].health.state == .checking && servers[$0].isWanted }
    }

    private mutating func waitForAny(_ waiter: UInt64) -> Placement {
        guard queue.count < queueLimit else { return .queueFull }
        queue.append(waiter)
        queueMaximum = max(queueMaximum, queue.count)
        return .waits
    }

    private mutating func wait(_ waiter: UInt64, for server: Int) -> Placement {
        guard servers[server].queue.count < queueLimit else { return .queueFull }
        servers[server].queue.append(waiter)
        servers[server].queueMaximum = max(servers[server].queueMaximum, servers[server].queue.count)
        return .waits
    }
}
