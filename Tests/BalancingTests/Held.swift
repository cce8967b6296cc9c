import Balancing
import Basics

/// A pool that an expectation can change: a macro may not mutate a local value.
final class HeldPool {
    var pool: BackendPool

    init(_ pool: BackendPool) { self.pool = pool }

    var servers: [BackendPool.Server] { pool.servers }
    var queue: [UInt64] { pool.queue }

    func place(
        _ waiter: UInt64, sticky: Int?, source: UInt64, avoiding: Int? = nil
    ) -> BackendPool.Placement {
        pool.place(waiter, sticky: sticky, source: source, avoiding: avoiding)
    }

    func verdict(onCookie number: UInt64?) -> (BackendPool.CookieVerdict, server: Int?) {
        pool.verdict(onCookie: number)
    }

    func release(_ server: Int) -> [BackendPool.Grant] { pool.release(server) }
    func cancel(_ waiter: UInt64) -> Bool { pool.cancel(waiter) }

    func setAdmin(_ state: BackendPool.AdminState, of server: Int) -> [BackendPool.Grant] {
        pool.setAdmin(state, of: server)
    }

    func checked(
        _ server: Int, passed: Bool, at now: Instant
    ) -> (changed: Bool, grants: [BackendPool.Grant], refused: [UInt64]) {
        pool.checked(server, passed: passed, at: now)
    }

    /// The names of the servers that get the next requests; `-` for none.
    func names(_ count: Int, source: UInt64 = 0) -> String {
        (0..<count).map { _ in
            guard case .placed(let index, _) = pool.place(0, sticky: nil, source: source) else { return "-" }
            return pool.servers[index].rules.name
        }.joined()
    }
}

/// The same for the health of one server.
final class HeldHealth {
    var health: ServerHealth

    init(_ rules: ServerHealth.Rules, at now: Instant) { health = ServerHealth(rules: rules, at: now) }

    var state: ServerHealth.State { health.state }
    var nextCheck: Instant { health.nextCheck }

    func checkBegan() { health.checkBegan() }
    func checked(passed: Bool, at now: Instant) -> Bool { health.checked(passed: passed, at: now) }
    func didNotResolve(at now: Instant) -> Bool { health.didNotResolve(at: now) }
    func observed(succeeded: Bool, at now: Instant) -> Bool { health.observed(succeeded: succeeded, at: now) }
}
