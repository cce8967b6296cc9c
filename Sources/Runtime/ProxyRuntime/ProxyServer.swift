public import Balancing
public import LinuxSystem

/// The proxies of one machine, listening from the moment that this exists and serving while `run` runs.
public final class ProxyServer: Sendable {
    private let configurations: [ProxyConfiguration]
    private let listeners: [ProxyListener]
    private let orders: ProxyOrders

    /// Listens for all of them, or for none.
    public init(_ configurations: [ProxyConfiguration]) throws(ProxyError) {
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
        do throws(SystemError) { orders = try ProxyOrders() } catch { throw .system(error) }
    }

    /// Where a proxy listens, with the port that the kernel chose; nil when there is none of that name.
    public func address(of proxy: String) -> SocketAddress? {
        configurations.firstIndex { $0.name == proxy }.flatMap { listeners[$0].listener.localAddress }
    }

    /// Serves until `stop`; `log` gets whole lines of the access log, many at once.
    public func run(log: @escaping ([UInt8]) -> Void) throws(ProxyError) {
        do throws(SystemError) {
            try ProxyLoop(configurations, listeners: listeners, orders: orders, log: log).run()
        } catch {
            throw .system(error)
        }
    }

    /// Ends `run`; connections that stand are closed. From any thread.
    public func stop() { orders.give(.stop) }

    /// Opens the files of access logs anew, after they were moved away. From any thread.
    public func reopenLogs() { orders.give(.reopenLogs) }

    /// What the operator wants of one server. From any thread.
    public func setAdmin(_ state: BackendPool.AdminState, proxy: String, server: String) {
        orders.give(.setAdmin(proxy: proxy, server: server, state))
    }
}
