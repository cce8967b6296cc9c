import Basics
import LinuxSystem
import Synchronization

/// Looks names of servers up, one after the other, on a thread of its own that begins with the first question.
///
/// The thread is never joined: a lookup may hang for as long as a name server does, and nobody waits for it at the end.
final class ProxyResolver: Sendable {
    /// The addresses of a name; none when it has none.
    typealias Lookup = @Sendable (String) -> [SocketAddress]

    private struct Mailbox {
        var questions: [String] = []
        var isRunning = false
        var isStopping = false
    }

    /// Keeps the threads: one that is given up would be joined.
    private final class Running: Sendable {
        let thread: SystemThread
        init(_ thread: consuming SystemThread) { self.thread = thread }
    }
    private static let running = Mutex<[Running]>([])

    private let lookup: Lookup
    private let orders: ProxyOrders
    private let wake: EventCounter
    private let mailbox = Mutex(Mailbox())

    init(_ lookup: @escaping Lookup, orders: ProxyOrders) throws(SystemError) {
        self.lookup = lookup
        self.orders = orders
        wake = try EventCounter()
    }

    /// The answer comes as an order of the loop, also when there is none. A name that waits already is not asked twice.
    func ask(_ host: String) {
        let starts = mailbox.withLock { box in
            if !box.questions.contains(host) { box.questions.append(host) }
            defer { box.isRunning = true }
            return !box.isRunning
        }
        wake.signal()
        guard starts else { return }
        do throws(SystemError) {
            let thread = try SystemThread(name: "resolver") { self.run() }
            let kept = Running(thread)
            Self.running.withLock { $0.append(kept) }
        } catch {
            // Without a thread now: the next question tries again, and this one has no answer.
            mailbox.withLock { $0.isRunning = false }
            orders.give(.resolved(host: host, []))
        }
    }

    func stop() {
        mailbox.withLock { $0.isStopping = true }
        wake.signal()
    }

    private func run() {
        var poll = PollSet()
        poll.add(wake.descriptor.raw, .readable)
        while true {
            wake.drain()
            while let host = mailbox.withLock({ $0.isStopping ? nil : $0.questions.first }) {
                let found = lookup(host)
                mailbox.withLock { $0.questions.removeAll { $0 == host } }
                orders.give(.resolved(host: host, found))
            }
            if mailbox.withLock({ $0.isStopping }) { return }
            do throws(SystemError) { try poll.wait(until: .never) } catch { return giveUp() }
        }
    }

    private func giveUp() { mailbox.withLock { $0.isRunning = false } }
}
