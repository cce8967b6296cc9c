import LinuxSystem
import Synchronization

/// Orders on their way to a volume's thread. Off the write path: a lock is good enough.
final class VolumeInbox: Sendable {
    private let orders = Mutex<[VolumeOrder]>([])
    /// Readable while orders wait.
    let wake: EventCounter

    init() throws(SystemError) { wake = try EventCounter() }

    func post(_ order: VolumeOrder) {
        orders.withLock { $0.append(order) }
        wake.signal()
    }

    func takeAll() -> [VolumeOrder] {
        wake.drain()
        return orders.withLock { waiting in
            let taken = waiting
            waiting.removeAll(keepingCapacity: true)
            return taken
        }
    }
}
