import Balancing
import Basics

@testable import ProxyReport

/// An instant so many milliseconds after 1000 s of the monotonic clock.
func at(_ milliseconds: UInt64) -> Instant {
    Instant(nanoseconds: 1_000_000_000_000 + milliseconds * 1_000_000)
}

/// A request that went well, with what a test changes of it.
func record(
    _ server: Int? = 0, status: Int = 200, ending: String = "--", isFromServer: Bool = true,
    times: (queue: Int, connect: Int, response: Int, total: Int) = (0, 1, 2, 3)
) -> TrafficRecord {
    TrafficRecord(
        server: server, status: status, isFromServer: isFromServer, bytesIn: 100, bytesOut: 1000,
        times: times,
        ending: ending)
}

/// A proxy of two servers, `web1` and a backup with a limit, as it is after what `change` does to it.
func sample(
    name: String = "web", second: String = "web2", checked: Bool = true,
    _ change: (inout BackendPool, inout ProxyTraffic) -> Void = { _, _ in }
) -> ProxySnapshot {
    var rules = ServerHealth.Rules()
    rules.isOff = !checked
    var pool = BackendPool(
        proxy: name, method: .roundrobin,
        servers: [.init(name: "web1"), .init(name: second, isBackup: true, limit: 5)], health: rules,
        queueLimit: 128, key: KeyedHash(key: [UInt8](repeating: 7, count: 16)), at: at(0))
    var traffic = ProxyTraffic(servers: ["web1", second], isTCP: false, at: at(0))
    change(&pool, &traffic)
    let proxy = ProxySnapshot.Proxy(
        name: name, listen: "0.0.0.0:80", method: .roundrobin, isTCP: false, cookie: "TANDEM", rules: rules,
        queueLimit: 128, clientCount: 3, traffic: traffic, pool: pool,
        addresses: ["192.168.56.21:80", "192.168.56.22:80"], idle: [1, 0])
    return ProxySnapshot(
        at: at(10_000), startedAt: at(0), processID: 42, clientCount: 3, lostLines: 0, proxies: [proxy])
}
