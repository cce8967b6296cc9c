import Basics
import LinuxSystem
import SecureChannel
import Settings
import Synchronization
import Telemetry

/// What the peer connector tells one group.
enum PeerNews: Sendable {
    /// The session between the nodes stands, and the settings are the same.
    case up
    case lost
    case sign(PeerSign)
    case confirmed(sequence: UInt64)
    case resigned
    /// Its operator wants the group to move there.
    case wanted
    /// Its operator moves the group to this node.
    case offered
    /// What was asked of it does not come true, or its promotion has failed: why.
    case failed(String)
    /// What its operator wants of the proxy's servers.
    case orders(String)
    /// A connection for the volume's data.
    case socket(PeerSocket)
}

/// The connections between the two nodes: one session of messages, and one connection of data a group.
///
/// The first node dials, the second is dialed, so that there is never more than one of each. Data connections are made
/// only while the session stands: there the settings have been compared. It decides nothing about roles. Both listen:
/// the keeper of either tells the other node that its worker has died.
///
/// Threads: `peer` accepts, and greets each connection on a thread of its own; the first node's `peer-data` and
/// `peer-session` dial.
final class PeerConnector: Sendable {
    /// Of one group's data connection.
    struct Link {
        /// The operator and the replica allow a connection.
        var isAllowed = false
        var isUp = false
        var retryAt = Instant(nanoseconds: 0)
        var lastProblem = ""
    }

    struct State {
        var links: [String: Link] = [:]
        /// Counts sessions; the newest alone speaks.
        var session: UInt64 = 0
        var isSessionUp = false
        var lastProblem = ""
        /// `transport: plain`: whose connection a token stands for, taken once.
        var tokens: [Mark: String] = [:]
        /// The dialing side: groups whose token the peer has.
        var taken: Set<String> = []
        var generator: SeededGenerator
    }

    let context: NodeContext
    let state: Mutex<State>
    let outbox: NodeInbox<PeerMessage>
    let deliver: @Sendable (_ group: String?, PeerNews) -> Void
    /// Wakes the thread that dials for data; nobody else drains it.
    let wake: EventCounter
    /// Readable from `stop` on, for every thread.
    let ending: EventCounter
    let isStopping = Atomic<Bool>(false)
    private let threads = Mutex<[NodeThread]>([])

    static let retry = Interval.milliseconds(300)
    static let greetingLimit = Interval.seconds(3)
    /// Connections that are being greeted at once.
    static let greetingMaximum = 16

    /// Starts it; throws when the node cannot listen. `deliver` is called on its threads, with nil for every
    /// group.
    init(
        _ context: NodeContext, deliver: @escaping @Sendable (_ group: String?, PeerNews) -> Void
    ) throws(SystemError) {
        self.context = context
        self.deliver = deliver
        outbox = try NodeInbox()
        wake = try EventCounter()
        ending = try EventCounter()
        state = Mutex(State(generator: SeededGenerator(seed: context.life.high, label: "peer tokens")))
        let own = context.settings[context.node]
        let listener = PeerListener(
            try SocketListener(tcp: try NodeContext.socketAddress(own.address, own.port)))
        try start("peer") { [self] in listen(listener) }
        guard context.node == .first else { return }
        let second = context.settings[.second]
        let address = try NodeContext.socketAddress(second.address, second.port)
        try start("peer-data") { [self] in dialData(address) }
        try start("peer-session") { [self] in dialSessions(address) }
    }

    // MARK: what groups say

    /// Sends a message if the session stands.
    func send(_ message: PeerMessage) { outbox.post(message) }

    /// Whether a data connection of the group may be made.
    func allow(_ group: String, _ isAllowed: Bool) {
        state.withLock { $0.links[group, default: Link()].isAllowed = isAllowed }
        wake.signal()
    }

    /// The group's data connection has ended.
    func ended(_ group: String) {
        state.withLock { state in
            state.links[group, default: Link()].isUp = false
            state.links[group, default: Link()].retryAt = .now() + .milliseconds(50)
        }
        wake.signal()
    }

    /// Whether a data connection of the group may be made.
    func isAllowed(_ group: String) -> Bool { state.withLock { $0.links[group]?.isAllowed ?? false } }

    var isSessionUp: Bool { state.withLock { $0.isSessionUp } }

    /// Ends all threads.
    func stop() {
        isStopping.store(true, ordering: .relaxed)
        wake.signal()
        ending.signal()
        outbox.post(.lines([]))
        for thread in threads.withLock({ $0 }) { thread.join() }
    }

    var stopping: Bool { isStopping.load(ordering: .relaxed) }

    /// Starts a thread and forgets those that have ended.
    func start(_ name: String, _ body: @escaping @Sendable () -> Void) throws(SystemError) {
        let thread = try NodeThread(name: name, body: body)
        let ended = threads.withLock { threads in
            let ended = threads.filter(\.hasEnded)
            threads.removeAll { $0.hasEnded }
            threads.append(thread)
            return ended
        }
        for thread in ended { thread.join() }
    }

    var runningThreads: Int { threads.withLock { $0.count { !$0.hasEnded } } }

    /// Journals trouble once, not each time that it is met.
    func complain(_ name: String, _ problem: String) {
        let isNew = state.withLock { state in
            defer { state.lastProblem = problem }
            return state.lastProblem != problem
        }
        if isNew, !stopping { context.journal.record(name, level: .warning, ["reason": problem]) }
    }
}

/// A listener on its way to its thread.
final class PeerListener: Sendable {
    let listener: SocketListener
    init(_ listener: consuming SocketListener) { self.listener = listener }
}

/// A connection on its way to the thread that greets it.
final class PeerGuest: Sendable {
    private let stream: Mutex<SocketStream?>
    init(_ stream: consuming SocketStream) { self.stream = Mutex(stream) }
    func take() -> SocketStream? { stream.withLock { $0.take() } }
}
