public import Basics

/// What a service is known to do.
public enum ServiceState: UInt8, Sendable, Hashable, CaseIterable {
    /// It has not answered yet, and may still be starting.
    case unknown = 0
    case serving = 1
    /// It answers, and has nothing to serve with: a proxy without a server.
    case empty = 2
    /// It is not there, or does not answer.
    case gone = 3
}

/// What came of asking it.
public enum ServiceAnswer: Sendable, Hashable {
    case serving
    case empty
    /// Nobody listens, or the answer is none: nothing to wait for.
    case failed
}

/// How often a service is asked, and what follows.
public struct ServiceRules: Sendable, Hashable {
    /// From one answer to the next question.
    public var interval: Interval
    /// Without an answer for so long it counts as gone.
    public var timeout: Interval
    /// Answers in a row after which one that was gone serves again.
    public var rise: Int
    /// How long one that is empty keeps the address from a better one: servers are often lost to both at once.
    public var patience: Interval
    /// How long one that has never answered counts as starting, and not as gone: at a boot it may come after its node.
    public var startup: Interval

    public init(
        interval: Interval = .milliseconds(200), timeout: Interval = .seconds(1), rise: Int = 2,
        patience: Interval = .seconds(3), startup: Interval = .seconds(5)
    ) {
        self.interval = interval
        self.timeout = timeout
        self.rise = rise
        self.patience = patience
        self.startup = startup
    }
}

/// Whether the service behind an address works on this node: who asks it, and who may hold the address.
///
/// It decides when the service is asked and what an answer, or none, is worth. It does not ask, and does not move the
/// address: the elector does, when `mayHold` or `mustGiveUp` say so.
///
/// - One that is gone never holds the address: seen within `interval` where nobody listens, within
///   `interval + timeout` where nobody answers.
/// - One that has not answered since the node began is `unknown` for `startup`: it does not take the address, and the
///   other node, if it is not the preferred one, does not yet take that for a no.
/// - One that is empty leaves the address to a better one, after `patience`. Where there is none it stays: an honest
///   503 and the statistics are worth more than silence.
///
/// The caller wakes it at `nextWakeup`. Not for several threads at once.
public struct ServiceWatch: Sendable {
    public let rules: ServiceRules
    public private(set) var state: ServiceState = .unknown
    /// Since when it is in that state.
    public private(set) var since: Instant
    /// When `wake` is due.
    public private(set) var nextWakeup: Instant
    private let startupEnd: Instant
    private var isAsking = false
    private var answers = 0

    public init(rules: ServiceRules = ServiceRules(), at now: Instant) {
        self.rules = rules
        startupEnd = now + rules.startup
        since = now
        nextWakeup = now
    }

    /// Time has passed; true when the service is to be asked now.
    public mutating func wake(at now: Instant) -> Bool {
        guard now >= nextWakeup else { return false }
        if isAsking {
            // The answer may still come; until then there is nobody else to ask.
            become(.gone, at: now)
            nextWakeup = state == .gone ? .never : startupEnd
            return false
        }
        isAsking = true
        nextWakeup = now + rules.timeout
        return true
    }

    /// The question has ended.
    public mutating func answered(_ answer: ServiceAnswer, at now: Instant) {
        isAsking = false
        nextWakeup = now + rules.interval
        let found: ServiceState =
            switch answer {
            case .serving: .serving
            case .empty: .empty
            case .failed: .gone
            }
        answers += 1
        guard state != .gone || found == .gone || answers >= rules.rise else { return }
        become(found, at: now)
    }

    private mutating func become(_ found: ServiceState, at now: Instant) {
        if found == .gone { answers = 0 }
        guard found != state, !(found == .gone && state == .unknown && now < startupEnd) else { return }
        state = found
        since = now
    }

    /// Whether this node may take the address. `isPeerBetter`: the other node's service has what this one lacks.
    public func mayHold(isPeerBetter: Bool) -> Bool {
        switch state {
        case .serving: true
        case .empty: !isPeerBetter
        case .unknown, .gone: false
        }
    }

    /// Whether this node, which has the address, must give it up.
    public func mustGiveUp(isPeerBetter: Bool, at now: Instant) -> Bool {
        switch state {
        case .serving, .unknown: false
        case .empty: isPeerBetter && now >= since + rules.patience
        case .gone: true
        }
    }
}
