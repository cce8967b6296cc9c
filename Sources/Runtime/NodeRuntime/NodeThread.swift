import LinuxSystem
import Synchronization

/// A thread that can be asked whether it has ended.
final class NodeThread: Sendable {
    private let ended: NodeFlag
    private let thread: Mutex<SystemThread?>

    init(name: String, body: @escaping @Sendable () -> Void) throws(SystemError) {
        let ended = NodeFlag()
        self.ended = ended
        thread = Mutex(
            try SystemThread(name: name) {
                body()
                ended.value.store(true, ordering: .releasing)
            })
    }

    var hasEnded: Bool { ended.value.load(ordering: .acquiring) }

    func join() { thread.withLock { $0.take() }?.join() }
}

final class NodeFlag: Sendable {
    let value = Atomic<Bool>(false)
}
