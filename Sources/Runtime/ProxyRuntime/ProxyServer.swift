public import Balancing
public import LinuxSystem
public import ProxyReport

/// The proxies of one machine, listening from the moment that this exists and serving while `run` runs.
public final class ProxyServer: Sendable {
    private let configurations: [ProxyConfiguration]
    private let listeners: [ProxyListener]
    private let orders: ProxyOrders
    private let statistics: (StatisticsConfiguration, ProxyListener)?
    /// The last lines of the access logs.
    public let ring = LogRing()

    /// Listens for all of them, or for none.
    public init(
        _ configurations: [ProxyConfiguration], statistics page: StatisticsConfiguration? = nil
    ) throws(ProxyError) {
        self.configurations = configurations
        var listeners: [ProxyListener] = []
        for configuration in configurations {
            do throws(SystemError) {
                listeners.append(try ProxyListener(configuration.listen))
            } catch {
                throw .cannotListen(proxy: configuration.name, error)
            }
        }
        self.listeners = listeners
        do throws(SystemError) {
            statistics = try page.map { page throws(SystemError) in (page, try ProxyListener(page.listen)) }
        } catch {
            throw .cannotListenForStatistics(error)
        }
        do throws(SystemError) { orders = try ProxyOrders() } catch { throw .system(error) }
    }

    /// Where a proxy listens, with the port that the kernel chose; nil when there is none of that name.
    public func address(of proxy: String) -> SocketAddress? {
        configurations.firstIndex { $0.name == proxy }.flatMap { listeners[$0].listener.localAddress }
    }

    /// Where the statistics page listens; nil without one.
    public var statisticsAddress: SocketAddress? { statistics?.1.listener.localAddress }

    /// Serves until `stop`; `log` gets whole lines of the access log, many at once.
    public func run(log: @escaping ([UInt8]) -> Void) throws(ProxyError) {
        do throws(SystemError) {
            let loop = try ProxyLoop(
                configurations, listeners: listeners, orders: orders, statistics: statistics, ring: ring,
                log: log)
            try loop.run()
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
}
