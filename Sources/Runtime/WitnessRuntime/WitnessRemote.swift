public import ControlPlane
public import LinuxSystem
import Synchronization

/// What other threads tell the witness's thread: an order to end, and requests of the control socket.
public final class WitnessRemote: ControlHandler, Sendable {
    struct Order: Sendable {
        let request: ControlRequest
        let reply: @Sendable (ControlReply) -> Void
    }

    private struct Mailbox {
        var orders: [Order] = []
        var isStopping = false
    }

    private let mailbox = Mutex(Mailbox())
    private let wake: EventCounter

    /// A remote of a daemon that is made later.
    public init() throws(SystemError) { wake = try EventCounter() }

    /// Ends `WitnessDaemon.run` soon.
    public func stop() {
        mailbox.withLock { $0.isStopping = true }
        wake.signal()
    }

    /// Hands the request to the witness's thread.
    public func handle(_ request: ControlRequest, reply: @escaping @Sendable (ControlReply) -> Void) {
        mailbox.withLock { $0.orders.append(Order(request: request, reply: reply)) }
        wake.signal()
    }

    /// Readable while something waits.
    var descriptor: Int32 { wake.descriptor.raw }

    func takeAll() -> (orders: [Order], isStopping: Bool) {
        wake.drain()
        return mailbox.withLock { box in
            defer { box.orders.removeAll() }
            return (box.orders, box.isStopping)
        }
    }
}
