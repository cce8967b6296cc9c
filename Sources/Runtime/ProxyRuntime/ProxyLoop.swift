import Balancing
import Basics
import Glibc
import LinuxSystem
import ProxyReport
import Synchronization
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
    private var frontends: [ProxyFrontend] = []
    private var desk: StatisticsDesk?
    /// The token of the statistics page's listener, above those of the proxies.
    private static let deskToken: UInt64 = 1 << 31
    private let startedAt: Instant
    private let orders: ProxyOrders
    private var logs: [ProxyConfiguration.Log: AccessLog] = [:]
    private var dates = HTTPDate()
    private var wallNow = (at: Instant(nanoseconds: 0), time: WallTime(seconds: 0, nanoseconds: 0))
    /// Those who wait for a place, by their number in the pools.
    var waiters: [UInt64: any ProxyWaiter] = [:]
    private var nextWaiter: UInt64 = 1
    /// Connections of clients.
    var clientCount = 0

    init(
        _ configurations: [ProxyConfiguration], listeners: [ProxyListener], orders: ProxyOrders,
        statistics: (StatisticsConfiguration, ProxyListener)?, ring: LogRing,
        log write: @escaping ([UInt8]) -> Void
    ) throws(SystemError) {
        poll = try EventPoll()
        now = Instant.now()
        startedAt = now
        self.orders = orders
        try poll.add(orders.wake.descriptor.raw, token: 0)
        for (index, configuration) in configurations.enumerated() {
            try poll.add(listeners[index].listener.descriptor.raw, token: UInt64(index + 1))
            // Two proxies that write to one file share its lines.
            let log: AccessLog
            if let open = logs[configuration.log] {
                log = open
            } else {
                log = try AccessLog(configuration.log, ring: ring, write: write)
            }
            logs[configuration.log] = log
            frontends.append(ProxyFrontend(configuration, listeners[index], loop: self, log: log))
        }
        if let (configuration, listener) = statistics {
            try poll.add(listener.listener.descriptor.raw, token: Self.deskToken)
            desk = StatisticsDesk(configuration, listener, loop: self)
        }
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
                } else if event.token == Self.deskToken {
                    desk?.accept()
                } else if event.token < 1 << 32 {
                    frontends[Int(event.token) - 1].accept()
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
        for frontend in frontends {
            frontend.checkServers()
            // An accept that failed for want of descriptors left connections that no event tells of again.
            frontend.accept()
        }
        desk?.accept()
    }

    private func takeOrders() -> Bool {
        for order in orders.take() {
            switch order {
            case .stop: return false
            case .reopenLogs: reopenLogs()
            case .setAdmin(let proxy, let server, let state):
                _ = setAdmin(state, proxy: proxy, server: server)
            case .look(let reply): reply(snapshot())
            case .explain(let proxy, let count, let reply): reply(explain(proxy, count))
            }
        }
        return true
    }

    /// What the operator wants of a server; false when there is none of that name.
    func setAdmin(_ state: BackendPool.AdminState, proxy: String, server: String) -> Bool {
        let frontend = frontends.first { $0.configuration.name == proxy }
        guard let frontend, frontend.pool.servers.contains(where: { $0.rules.name == server }) else {
            return false
        }
        frontend.setAdmin(state, of: server)
        return true
    }

    /// What the proxies are and have done.
    func snapshot() -> ProxySnapshot {
        ProxySnapshot(
            at: now, startedAt: startedAt, processID: Int(getpid()), clientCount: clientCount,
            lostLines: logs.values.reduce(0) { $0 + $1.lost }, proxies: frontends.map(\.snapshot))
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
}

/// Who waits for a place at a server.
protocol ProxyWaiter: AnyObject {
    func placed(on server: Int)
}

/// What other threads ask of the loop.
final class ProxyOrders: Sendable {
    enum Order: Sendable {
        case stop
        case reopenLogs
        case setAdmin(proxy: String, server: String, BackendPool.AdminState)
        case look(@Sendable (ProxySnapshot) -> Void)
        case explain(proxy: String?, count: Int, @Sendable ([String]?) -> Void)
    }

    let wake: EventCounter
    private let waiting = Mutex<[Order]>([])

    init() throws(SystemError) { wake = try EventCounter() }

    func give(_ order: Order) {
        waiting.withLock { $0.append(order) }
        wake.signal()
    }

    func take() -> [Order] {
        waiting.withLock { waiting in
            defer { waiting = [] }
            return waiting
        }
    }
}

/// Holds the listening socket of one proxy.
final class ProxyListener: Sendable {
    let listener: SocketListener

    init(_ address: SocketAddress) throws(SystemError) {
        var options = SocketOptions()
        // The other machine of a pair has the address while this one waits: no reason not to start.
        options.bindsAbsentAddress = true
        listener = try SocketListener(tcp: address, backlog: 1024, options: options)
    }
}
