import Balancing
import Basics
import Glibc
import LinuxSystem
import ProxyReport
import Telemetry

/// The proxies of this machine: one thread, one poll, all connections.
///
/// It accepts, hands events to whoever owns a socket, and looks ten times a second at deadlines and checks that are
/// due. It decides nothing about requests.
final class ProxyLoop {
    /// How often deadlines are looked at: what a timeout is late by, at most.
    static let tick = Interval.milliseconds(100)

    let poll: EventPoll
    let scratch = ReadScratch()
    private(set) var now: Instant
    /// All sockets; a token is the place here, and above it how often the place was taken: an event of an earlier
    /// socket is known by that.
    private var sockets: [ProxySocket?] = []
    private var turns: [UInt32] = []
    private var freePlaces: [Int] = []
    /// Those of the settings, and before them those that finish after a reload.
    var frontends: [ProxyFrontend] = []
    var desk: StatisticsDesk?
    /// Who takes the connections of a listener, by its token.
    var acceptors: [UInt64: any ProxyAcceptor] = [:]
    private var lastAcceptor: UInt64 = 0
    /// The tokens of the listeners.
    var tokens: [ObjectIdentifier: UInt64] = [:]
    let orders: ProxyOrders
    let ring: LogRing
    let resolver: ProxyResolver
    private let write: ([UInt8]) -> Void
    var logs: [ProxyConfiguration.Log: AccessLog] = [:]
    private var dates = HTTPDate()
    private var wallNow = (at: Instant(nanoseconds: 0), time: WallTime(seconds: 0, nanoseconds: 0))
    /// Those who wait for a place, by their number in the pools.
    var waiters: [UInt64: any ProxyWaiter] = [:]
    private var nextWaiter: UInt64 = 1
    /// Connections of clients.
    var clientCount = 0
    let startedAt: Instant
    /// What the operator wants of servers.
    var admin: ProxyAdmin
    let store: ProxyAdminStore?
    let journal: Journal

    init(
        _ plan: ProxyPlan, listeners: [ProxyListener], orders: ProxyOrders,
        resolver: ProxyResolver, ring: LogRing, admin: ProxyAdmin, store: ProxyAdminStore?, journal: Journal,
        log write: @escaping ([UInt8]) -> Void
    ) throws(SystemError) {
        poll = try EventPoll()
        now = Instant.now()
        startedAt = now
        (self.orders, self.resolver, self.ring, self.write, self.admin, self.store, self.journal) = (
            orders, resolver, ring, write, admin, store, journal
        )
        try poll.add(orders.wake.descriptor.raw, token: 0)
        for (configuration, listener) in zip(plan.proxies, listeners) {
            let log = try openLog(configuration.log)
            logs[configuration.log] = log
            let frontend = ProxyFrontend(configuration, listener, loop: self, log: log)
            try watch(listener, for: frontend)
            frontends.append(frontend)
        }
        if let page = plan.statistics, let listener = listeners.last {
            let desk = StatisticsDesk(page, listener, loop: self)
            try watch(listener, for: desk)
            self.desk = desk
        }
        applyAdmin()
    }

    /// Two proxies that write to one file share its lines.
    func openLog(_ target: ProxyConfiguration.Log) throws(SystemError) -> AccessLog {
        if let open = logs[target] { return open }
        return try AccessLog(target, ring: ring, write: write)
    }

    func watch(_ listener: ProxyListener, for acceptor: any ProxyAcceptor) throws(SystemError) {
        let token = lastAcceptor + 1
        try poll.add(listener.listener.descriptor.raw, token: token)
        lastAcceptor = token
        acceptors[token] = acceptor
        tokens[ObjectIdentifier(listener)] = token
    }

    /// The listener is on its way out: nobody takes its connections any more.
    func forget(_ listener: ProxyListener) {
        if let token = tokens.removeValue(forKey: ObjectIdentifier(listener)) { acceptors[token] = nil }
    }

    /// Runs until an order says stop.
    func run() throws(SystemError) {
        var events: [EventPoll.Event] = []
        var nextTick = now
        while true {
            let left = Int32(clamping: nextTick.since(now).wholeMilliseconds + 1)
            try poll.wait(milliseconds: left, into: &events)
            now = Instant.now()
            for event in events {
                if event.token == 0 {
                    orders.wake.drain()
                } else if event.token < 1 << 32 {
                    acceptors[event.token]?.accept()
                } else if let socket = socket(event.token) {
                    socket.note(event)
                    socket.owner?.ready(socket)
                }
            }
            if now >= nextTick {
                nextTick = now + Self.tick
                sweep()
                for log in logs.values { log.flush() }
            }
            guard takeOrders() else { break }
        }
        for socket in sockets { socket?.close() }
        for log in logs.values { log.flush() }
    }

    private func socket(_ token: UInt64) -> ProxySocket? {
        let place = Int(token & 0xFFFF_FFFF)
        return turns[place] == UInt32(token >> 32) ? sockets[place] : nil
    }

    /// What a message that is made now says in Date.
    func httpDate() -> [UInt8] { dates.text(of: wallTime(of: now)) }

    /// The time of day at an instant of this turn or not long before it.
    func wallTime(of instant: Instant) -> WallTime {
        if wallNow.at != now { wallNow = (now, WallTime.now()) }
        let nanoseconds = wallNow.time.nanoseconds - Int64(clamping: now.since(instant).nanoseconds)
        let seconds = (nanoseconds - 999_999_999 * (nanoseconds < 0 ? 1 : 0)) / 1_000_000_000
        return WallTime(
            seconds: wallNow.time.seconds + seconds, nanoseconds: nanoseconds - seconds * 1_000_000_000)
    }

    private func sweep() {
        // By place: whoever is told may close sockets and open others.
        for place in sockets.indices {
            guard let socket = sockets[place] else { continue }
            if socket.deadline <= now {
                socket.owner?.expired(socket)
            } else if socket.isQuiet(), let owner = socket.owner {
                owner.rest(socket)
            }
        }
        for frontend in frontends { frontend.checkServers() }
        frontends.removeAll { $0.isRetired && $0.clientCount == 0 }
        // An accept that failed for want of descriptors left connections that no event tells of again.
        for acceptor in acceptors.values { acceptor.accept() }
    }

    private func takeOrders() -> Bool {
        for order in orders.take() {
            switch order {
            case .stop: return false
            case .reopenLogs: reopenLogs()
            case .setAdmin(let proxy, let server, let state):
                _ = setAdmin(state, proxy: proxy, server: server)
            case .ask(let request, let reply): answer(request, reply)
            case .reload(let plan, let reply):
                reply(Result { () throws(ProxyError) in try reload(plan) })
            case .resolved(let host, let found):
                for frontend in frontends { frontend.resolved(host, found) }
            case .look(let reply): reply(snapshot())
            case .explain(let proxy, let count, let reply): reply(explain(proxy, count))
            }
        }
        return true
    }

    /// What the proxies are and have done.
    func snapshot() -> ProxySnapshot {
        ProxySnapshot(
            at: now, startedAt: startedAt, processID: Int(getpid()), clientCount: clientCount,
            lostLines: logs.values.reduce(0) { $0 + $1.lost },
            proxies: frontends.filter { !$0.isRetired }.map(\.snapshot))
    }

    /// The last choices of one proxy, or of all in the order of their times; nil when there is no proxy of that name.
    private func explain(_ proxy: String?, _ count: Int) -> [String]? {
        let chosen = frontends.filter { proxy == nil || $0.configuration.name == proxy }
        guard !chosen.isEmpty else { return nil }
        let told = chosen.flatMap { frontend in
            frontend.choices.last(count).map { (frontend.configuration.name, $0) }
        }
        return told.sorted { $0.1.at < $1.1.at }.suffix(count).map { name, choice in
            "\(wallTime(of: choice.at)) \(name): \(choice.sentence)"
        }
    }

    private func reopenLogs() {
        for log in logs.values {
            do throws(SystemError) {
                try log.reopen()
            } catch {
                AccessLog.write(Array("the access log goes on in its old file: \(error)\n".utf8), to: 2)
            }
        }
    }

    /// Takes a socket into the poll; false when it could not be, and is closed.
    func adopt(_ socket: ProxySocket, owner: any ProxySocketOwner) -> Bool {
        let place = freePlaces.popLast() ?? sockets.count
        if place == sockets.count {
            sockets.append(nil)
            turns.append(0)
        }
        // From 1 on: lower tokens are the listeners'.
        turns[place] = turns[place] == .max ? 1 : turns[place] + 1
        socket.owner = owner
        do throws(SystemError) {
            try socket.watch(with: poll, token: UInt64(turns[place]) << 32 | UInt64(place))
        } catch {
            freePlaces.append(place)
            socket.close()
            return false
        }
        sockets[place] = socket
        return true
    }

    /// Closes a socket and forgets it.
    func close(_ socket: ProxySocket) {
        let place = Int(socket.token & 0xFFFF_FFFF)
        if sockets.indices.contains(place), sockets[place] === socket {
            sockets[place] = nil
            freePlaces.append(place)
        }
        socket.close()
    }

    func waiterNumber() -> UInt64 {
        nextWaiter += 1
        return nextWaiter
    }

    /// Tells those who waited which server they have.
    func deliver(_ grants: [BackendPool.Grant]) {
        for grant in grants { waiters.removeValue(forKey: grant.waiter)?.placed(on: grant.server) }
    }

    /// Tells those who waited that there is no server.
    func refuse(_ refused: [UInt64]) {
        for waiter in refused { waiters.removeValue(forKey: waiter)?.refused() }
    }

    /// What every connection has to do with servers.
    func forEachHold(_ body: (ProxyHold) -> Void) {
        for case .some(let socket) in sockets {
            if let hold = socket.owner?.hold(socket) { body(hold) }
        }
    }
}

/// Who takes the connections of a listening socket.
protocol ProxyAcceptor: AnyObject {
    /// Takes every connection that waits.
    func accept()
}

/// Who waits for a place at a server.
protocol ProxyWaiter: AnyObject {
    func placed(on server: Int)
    /// There is no server, and none will come.
    func refused()
}
