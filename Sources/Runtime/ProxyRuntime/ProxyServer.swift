public import Balancing
public import ControlPlane
public import LinuxSystem
public import ProxyReport
import Synchronization
public import Telemetry

/// The proxies of one machine, listening from the moment that this exists and serving while `run` runs.
public final class ProxyServer: Sendable {
    private let plan: ProxyPlan
    /// Until `run` takes them: one that a reload leaves out must close.
    private let listeners: Mutex<[ProxyListener]>
    private let addresses: Mutex<ProxyAddresses>
    private let orders: ProxyOrders
    private let resolver: ProxyResolver
    private let store: ProxyAdminStore?
    private let journal: Journal
    /// The last lines of the access logs.
    public let ring = LogRing()

    /// Listens for all of them, or for none. What the operator wants of servers is kept in `store`, which runs on a
    /// thread of its own, and read from there. `lookup` tells the addresses of a server's name, on a thread of its own.
    public init(
        _ configurations: [ProxyConfiguration], statistics page: StatisticsConfiguration? = nil,
        store: ProxyAdminStore? = nil, journal: Journal = Journal(logger: nil),
        lookup: @escaping @Sendable (String) -> [SocketAddress] = { NameLookup.addresses(of: $0) }
    ) throws(ProxyError) {
        plan = ProxyPlan(proxies: configurations, statistics: page)
        self.store = store
        self.journal = journal
        var listeners: [ProxyListener] = []
        var addresses = ProxyAddresses()
        for configuration in configurations {
            do throws(SystemError) {
                let listener = try ProxyListener(configuration.listen)
                addresses.proxies[configuration.name] = listener.listener.localAddress
                listeners.append(listener)
            } catch {
                throw .cannotListen(proxy: configuration.name, error)
            }
        }
        do throws(SystemError) {
            if let page {
                let listener = try ProxyListener(page.listen)
                addresses.statistics = listener.listener.localAddress
                listeners.append(listener)
            }
        } catch {
            throw .cannotListenForStatistics(error)
        }
        self.listeners = Mutex(listeners)
        self.addresses = Mutex(addresses)
        do throws(SystemError) {
            orders = try ProxyOrders()
            resolver = try ProxyResolver(lookup, orders: orders)
        } catch {
            throw .system(error)
        }
    }

    /// Where a proxy listens, with the port that the kernel chose; nil when there is none of that name.
    public func address(of proxy: String) -> SocketAddress? {
        addresses.withLock { $0.proxies[proxy] }
    }

    /// Where the statistics page listens; nil without one.
    public var statisticsAddress: SocketAddress? { addresses.withLock { $0.statistics } }

    /// Serves until `stop`; `log` gets whole lines of the access log, many at once.
    public func run(log: @escaping ([UInt8]) -> Void) throws(ProxyError) {
        let listeners = listeners.withLock { listeners in
            defer { listeners = [] }
            return listeners
        }
        defer { resolver.stop() }
        let admin = store?.load(journal: journal) ?? ProxyAdmin()
        do throws(SystemError) {
            try ProxyLoop(
                plan, listeners: listeners, orders: orders, resolver: resolver, ring: ring, admin: admin,
                store: store,
                journal: journal, log: log
            ).run()
        } catch {
            throw .system(error)
        }
    }

    /// Ends `run`; connections that stand are closed. From any thread.
    public func stop() { orders.give(.stop) }

    /// Opens the files of access logs anew, after they were moved away. From any thread.
    public func reopenLogs() { orders.give(.reopenLogs) }

    /// What the proxies are and have done; `reply` is called on their thread. From any thread.
    public func look(_ reply: @escaping @Sendable (ProxySnapshot) -> Void) { orders.give(.look(reply)) }

    /// The last `count` choices as sentences, of one proxy or of all; nil when there is none of that name. `reply` is
    /// called on their thread. From any thread.
    public func explain(
        proxy: String?, count: Int, _ reply: @escaping @Sendable ([String]?) -> Void
    ) {
        orders.give(.explain(proxy: proxy, count: count, reply))
    }

    /// What the operator wants of one server. From any thread.
    public func setAdmin(_ state: BackendPool.AdminState, proxy: String, server: String) {
        orders.give(.setAdmin(proxy: proxy, server: server, state))
    }

    /// Goes on by new settings, or by the old ones when one of the new cannot be: no connection ends either way. `reply`
    /// is called on the proxies' thread. From any thread.
    public func reload(
        _ configurations: [ProxyConfiguration], statistics: StatisticsConfiguration? = nil,
        reply: @escaping @Sendable (Result<Void, ProxyError>) -> Void
    ) {
        orders.give(
            .reload(ProxyPlan(proxies: configurations, statistics: statistics)) { [weak self] result in
                if case .success(let addresses) = result { self?.addresses.withLock { $0 = addresses } }
                reply(result.map { _ in })
            })
    }

    /// A request of the control socket; `reply` is called by any thread. From any thread.
    public func ask(_ request: ControlRequest, reply: @escaping @Sendable (ControlReply) -> Void) {
        orders.give(.ask(request, reply))
    }
}

/// What is to run on a machine.
struct ProxyPlan: Sendable {
    var proxies: [ProxyConfiguration]
    var statistics: StatisticsConfiguration?
}

/// Where the proxies listen, with the ports that the kernel chose.
struct ProxyAddresses: Sendable {
    var proxies: [String: SocketAddress] = [:]
    var statistics: SocketAddress?
}
