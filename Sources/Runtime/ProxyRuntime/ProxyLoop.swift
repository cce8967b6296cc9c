import Balancing
import Basics
import LinuxSystem
import Synchronization

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
    private var sockets: [UInt64: ProxySocket] = [:]
    private var nextToken: UInt64 = 1 << 32
    private var frontends: [ProxyFrontend] = []
    private let orders: ProxyOrders
    private let write: ([UInt8]) -> Void
    private var lines: [UInt8] = []
    /// Those who wait for a place, by their number in the pools.
    var waiters: [UInt64: any ProxyWaiter] = [:]
    private var nextWaiter: UInt64 = 1
    /// Connections of clients.
    var clientCount = 0

    init(
        _ configurations: [ProxyConfiguration], listeners: [ProxyListener], orders: ProxyOrders,
        log write: @escaping ([UInt8]) -> Void
    ) throws(SystemError) {
        poll = try EventPoll()
        now = Instant.now()
        self.orders = orders
        self.write = write
        try poll.add(orders.wake.descriptor.raw, token: 0)
        for (index, configuration) in configurations.enumerated() {
            try poll.add(listeners[index].listener.descriptor.raw, token: UInt64(index + 1))
            frontends.append(ProxyFrontend(configuration, listeners[index], loop: self))
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
                } else if event.token < 1 << 32 {
                    frontends[Int(event.token) - 1].accept()
                } else if let socket = sockets[event.token] {
                    socket.note(event)
                    socket.owner?.ready(socket)
                }
            }
            if now >= nextTick {
                nextTick = now + Self.tick
                sweep()
            }
            guard takeOrders() else { break }
            flushLog()
        }
        for socket in sockets.values { socket.close() }
        flushLog()
    }

    private func sweep() {
        // A list first: whoever is told may close sockets and open others.
        for socket in sockets.values.filter({ $0.deadline <= now }) where socket.isOpen {
            socket.owner?.expired(socket)
        }
        for frontend in frontends {
            frontend.checkServers()
            // An accept that failed for want of descriptors left connections that no event tells of again.
            frontend.accept()
        }
    }

    private func takeOrders() -> Bool {
        for order in orders.take() {
            switch order {
            case .stop: return false
            case .setAdmin(let proxy, let server, let state):
                for frontend in frontends where frontend.configuration.name == proxy {
                    frontend.setAdmin(state, of: server)
                }
            }
        }
        return true
    }

    /// Takes a socket into the poll; false when it could not be, and is closed.
    func adopt(_ socket: ProxySocket, owner: any ProxySocketOwner) -> Bool {
        nextToken += 1
        socket.owner = owner
        do throws(SystemError) {
            try socket.watch(with: poll, token: nextToken)
        } catch {
            socket.close()
            return false
        }
        sockets[nextToken] = socket
        return true
    }

    /// Closes a socket and forgets it.
    func close(_ socket: ProxySocket) {
        sockets[socket.token] = nil
        socket.close()
    }

    func log(_ line: AccessLine) {
        lines += Array(line.text.utf8) + [0x0A]
        // A burst does not grow without bound.
        if lines.count > 64 << 10 { flushLog() }
    }

    private func flushLog() {
        guard !lines.isEmpty else { return }
        write(lines)
        lines.removeAll(keepingCapacity: true)
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
        case setAdmin(proxy: String, server: String, BackendPool.AdminState)
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
