import Balancing
import Basics
import LinuxSystem
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
    private(set) var frontends: [ProxyFrontend] = []
    /// Who takes the connections of a listener, by its token.
    private var acceptors: [UInt64: any ProxyAcceptor] = [:]
    private var lastAcceptor: UInt64 = 0
    /// The tokens of the listeners.
    private var tokens: [ObjectIdentifier: UInt64] = [:]
    let orders: ProxyOrders
    private let write: ([UInt8]) -> Void
    private(set) var logs: [ProxyConfiguration.Log: AccessLog] = [:]
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
        _ configurations: [ProxyConfiguration], listeners: [ProxyListener], orders: ProxyOrders,
        admin: ProxyAdmin, store: ProxyAdminStore?, journal: Journal, log write: @escaping ([UInt8]) -> Void
    ) throws(SystemError) {
        poll = try EventPoll()
        now = Instant.now()
        startedAt = now
        (self.orders, self.write, self.admin, self.store, self.journal) = (
            orders, write, admin, store, journal
        )
        try poll.add(orders.wake.descriptor.raw, token: 0)
        for (configuration, listener) in zip(configurations, listeners) {
            let log = try openLog(configuration.log)
            logs[configuration.log] = log
            let frontend = ProxyFrontend(configuration, listener, loop: self, log: log)
            try watch(listener, for: frontend)
            frontends.append(frontend)
        }
        applyAdmin()
    }

    /// Two proxies that write to one file share its lines.
    private func openLog(_ target: ProxyConfiguration.Log) throws(SystemError) -> AccessLog {
        if let open = logs[target] { return open }
        return try AccessLog(target, write: write)
    }

    private func watch(_ listener: ProxyListener, for acceptor: any ProxyAcceptor) throws(SystemError) {
        let token = try addAcceptor(acceptor, listener.listener.descriptor.raw)
        tokens[ObjectIdentifier(listener)] = token
    }

    /// The listener is on its way out: nobody takes its connections any more.
    private func forget(_ listener: ProxyListener) {
        if let token = tokens.removeValue(forKey: ObjectIdentifier(listener)) { acceptors[token] = nil }
    }

    /// Begins to watch a listening socket.
    func addAcceptor(_ acceptor: any ProxyAcceptor, _ descriptor: Int32) throws(SystemError) -> UInt64 {
        try poll.add(descriptor, token: lastAcceptor + 1)
        lastAcceptor += 1
        acceptors[lastAcceptor] = acceptor
        return lastAcceptor
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
                setAdmin(state, of: server, in: proxy) { _ in }
            case .ask(let request, let reply): answer(request, reply)
            case .reload(let configurations, let reply):
                reply(Result { () throws(ProxyError) in try reload(configurations) })
            }
        }
        return true
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

    /// What every connection has to do with servers; a client's own connection tells it once.
    func forEachHold(_ body: (ProxyHold) -> Void) {
        for case .some(let socket) in sockets {
            if let hold = socket.owner?.hold { body(hold) }
        }
    }
}

// New settings.
extension ProxyLoop {
    /// Goes on by new settings: all of them, or as if nothing had been asked. A listener whose address stays is never
    /// closed; what may fail comes before the first change.
    private func reload(
        _ configurations: [ProxyConfiguration]
    ) throws(ProxyError) -> [String: SocketAddress] {
        let current = frontends.filter { !$0.isRetired }
        var listeners: [ProxyListener] = []
        var newLogs: [ProxyConfiguration.Log: AccessLog] = [:]
        for configuration in configurations {
            do throws(SystemError) {
                if newLogs[configuration.log] == nil {
                    newLogs[configuration.log] = try openLog(configuration.log)
                }
            } catch {
                throw .cannotLog(proxy: configuration.name, error)
            }
            do throws(SystemError) {
                let kept = current.first { $0.listener?.requested == configuration.listen }?.listener
                if let kept {
                    listeners.append(kept)
                } else {
                    listeners.append(try ProxyListener(configuration.listen))
                }
            } catch {
                throw .cannotListen(proxy: configuration.name, error)
            }
        }
        try watchNew(listeners)
        // Nothing fails from here on. Who has connected to an address that goes is still taken.
        for frontend in current {
            guard let listener = frontend.listener, !listeners.contains(where: { $0 === listener }) else {
                continue
            }
            frontend.accept()
            forget(listener)
        }
        swap(to: configurations, listeners, newLogs, from: current)
        var addresses: [String: SocketAddress] = [:]
        for (configuration, listener) in zip(configurations, listeners) {
            addresses[configuration.name] = listener.listener.localAddress
        }
        return addresses
    }

    /// All of the new ones, or none.
    private func watchNew(_ listeners: [ProxyListener]) throws(ProxyError) {
        var begun: [ProxyListener] = []
        for listener in listeners where tokens[ObjectIdentifier(listener)] == nil {
            do throws(SystemError) {
                try watch(listener, for: NobodyAccepts())
                begun.append(listener)
            } catch {
                for listener in begun { forget(listener) }
                throw .system(error)
            }
        }
    }

    private func swap(
        to configurations: [ProxyConfiguration], _ listeners: [ProxyListener],
        _ newLogs: [ProxyConfiguration.Log: AccessLog], from current: [ProxyFrontend]
    ) {
        var held: [ObjectIdentifier: Set<Int>] = [:]
        forEachHold { held[ObjectIdentifier($0.frontend), default: []].formUnion($0.places) }
        for log in logs.values { log.flush() }
        logs = newLogs
        var next: [ProxyFrontend] = []
        for (configuration, listener) in zip(configurations, listeners) {
            guard let log = logs[configuration.log] else { continue }
            let frontend: ProxyFrontend
            if let known = current.first(where: { $0.configuration.name == configuration.name }) {
                frontend = known
                frontend.listener = listener
                frontend.reload(configuration, log: log, held: held[ObjectIdentifier(frontend)] ?? [])
            } else {
                frontend = ProxyFrontend(configuration, listener, loop: self, log: log)
            }
            if let token = tokens[ObjectIdentifier(listener)] { acceptors[token] = frontend }
            next.append(frontend)
        }
        for frontend in current where !next.contains(where: { $0 === frontend }) { frontend.retire() }
        frontends = frontends.filter(\.isRetired) + next
        applyAdmin()
        for frontend in next {
            frontend.checkServers()
            frontend.accept()
        }
    }
}

/// Who takes the connections of a listening socket.
protocol ProxyAcceptor: AnyObject {
    /// Takes every connection that waits.
    func accept()
}

/// Of a listener that is not in use yet.
private final class NobodyAccepts: ProxyAcceptor {
    func accept() {}
}

/// Who waits for a place at a server.
protocol ProxyWaiter: AnyObject {
    func placed(on server: Int)
    /// There is no server, and none will come.
    func refused()
}
