import LinuxSystem
import Synchronization

/// Threads of a load, which are all told to end and then waited for.
final class LoadThreads: Sendable {
    private final class Entry: Sendable {
        let stop: @Sendable () -> Void
        let thread: SystemThread

        init(_ thread: consuming SystemThread, _ stop: @escaping @Sendable () -> Void) {
            self.thread = thread
            self.stop = stop
        }
    }

    private let entries = Mutex<[Entry]>([])

    func add(
        _ name: String, _ stop: @escaping @Sendable () -> Void, _ body: @escaping @Sendable () -> Void
    ) throws(LabError) {
        do throws(SystemError) {
            let entry = Entry(try SystemThread(name: name, body: body), stop)
            entries.withLock { $0.append(entry) }
        } catch {
            throw LabError("\(error)")
        }
    }

    /// Ends them; the last owner of each joins it.
    func end() {
        let all = entries.withLock { entries in
            defer { entries = [] }
            return entries
        }
        for entry in all { entry.stop() }
    }
}
