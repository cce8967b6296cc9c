import LinuxSystem
import Synchronization

/// What other threads tell a thread that sleeps in poll. Off the write path: a lock is good enough.
final class NodeInbox<Event: Sendable>: Sendable {
    private let waiting = Mutex<[Event]>([])
    private let wake: EventCounter

    init() throws(SystemError) { wake = try EventCounter() }

    /// Readable while something waits.
    var descriptor: Int32 { wake.descriptor.raw }

    func post(_ event: Event) {
        waiting.withLock { $0.append(event) }
        wake.signal()
    }

    func takeAll() -> [Event] {
        wake.drain()
        return waiting.withLock { waiting in
            let taken = waiting
            waiting.removeAll(keepingCapacity: true)
            return taken
        }
    }
}
