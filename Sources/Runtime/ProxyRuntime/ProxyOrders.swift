import Balancing
import ControlPlane
import LinuxSystem
import ProxyReport
import Synchronization

/// What other threads ask of the loop.
final class ProxyOrders: Sendable {
    enum Order: Sendable {
        case stop
        case reopenLogs
        case setAdmin(proxy: String, server: String, BackendPool.AdminState)
        /// A request of the control socket.
        case ask(ControlRequest, @Sendable (ControlReply) -> Void)
        case reload(ProxyPlan, @Sendable (Result<ProxyAddresses, ProxyError>) -> Void)
        /// What a name has for addresses now.
        case resolved(host: String, [SocketAddress])
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
