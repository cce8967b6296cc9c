public import Basics

/// Whether one server may be given requests, as its checks and its own answers tell.
///
/// It decides when the next check is due and when a server is down or up. It does not connect, and does not know what
/// a check asks.
///
///     state       check passed            check failed            name unknown
///     checking    up                      down                    unresolved
///     up          up                      down after `fall`       unresolved after `fall`
///     down        up after `rise`         down                    unresolved
///     unresolved  up after `rise`         down                    unresolved
///
/// A new server is `checking` and gets nothing until its first check: a dead one gets no request after a reload. One
/// without checks is up.
public struct ServerHealth: Sendable, Equatable {
    /// What is known of the server.
    public enum State: String, Sendable {
        case checking, up, down, unresolved
    }

    /// How it is checked.
    public struct Rules: Sendable, Equatable {
        /// Nothing is checked; passive marking has no way back and is off too.
        public var isOff: Bool
        /// Between two checks of a server whose state is settled.
        public var interval: Interval
        /// Between two checks of one that is about to change.
        public var fastInterval: Interval
        /// Checks that must pass in a row before a server that is down is up: 1 ... 255.
        public var rise: Int
        /// Checks that must fail in a row before a server that is up is down: 1 ... 255.
        public var fall: Int
        /// Requests that must fail in a row before a server that is up is down; 0 watches none.
        public var passiveLimit: Int

        public init(
            isOff: Bool = false, interval: Interval = .seconds(2),
            fastInterval: Interval = .milliseconds(500),
            rise: Int = 2, fall: Int = 3, passiveLimit: Int = 10
        ) {
            self.isOff = isOff
            self.interval = interval
            self.fastInterval = fastInterval
            self.rise = rise
            self.fall = fall
            self.passiveLimit = passiveLimit
        }
    }

    public private(set) var state: State
    /// When the next check is due.
    public private(set) var nextCheck: Instant
    public private(set) var changedAt: Instant
    /// Checks in a row that speak against the state.
    public private(set) var streak = 0
    private var passiveFailures = 0
    private var rules: Rules

    public init(rules: Rules, at now: Instant) {
        self.rules = rules
        state = rules.isOff ? .up : .checking
        nextCheck = rules.isOff ? .never : now
        changedAt = now
    }

    /// Goes on by other rules. What is known stays known; without checks it is up, and with them again the next one tells.
    public mutating func adopt(_ rules: Rules, at now: Instant) {
        let wasOff = self.rules.isOff
        self.rules = rules
        switch (wasOff, rules.isOff) {
        case (_, true):
            if state != .up { _ = become(.up, at: now) }
            nextCheck = .never
        case (true, false): nextCheck = now
        case (false, false): if nextCheck != .never { nextCheck = min(nextCheck, now + rules.interval) }
        }
    }

    /// A check that has begun is not begun again before it has ended.
    public mutating func checkBegan() { nextCheck = .never }

    /// A check has ended; true when the state has changed.
    public mutating func checked(passed: Bool, at now: Instant) -> Bool {
        // One that was under way when checks were turned off.
        guard !rules.isOff else { return false }
        defer { plan(at: now) }
        switch (state, passed) {
        case (.checking, true): return become(.up, at: now)
        case (.checking, false): return become(.down, at: now)
        case (.up, true):
            streak = 0
            passiveFailures = 0
            return false
        case (.up, false): return count(to: rules.fall) && become(.down, at: now)
        case (.down, true), (.unresolved, true): return count(to: rules.rise) && become(.up, at: now)
        case (.down, false):
            streak = 0
            return false
        case (.unresolved, false): return become(.down, at: now)
        }
    }

    /// The server's name has no address now. That is a state of the server, and no reason not to start.
    public mutating func didNotResolve(at now: Instant) -> Bool {
        defer { plan(at: now) }
        switch state {
        case .unresolved:
            streak = 0
            return false
        case .up: return count(to: rules.fall) && become(.unresolved, at: now)
        case .checking, .down: return become(.unresolved, at: now)
        }
    }

    /// A request of a client could not be brought to the server, or could; true when the state has changed.
    public mutating func observed(succeeded: Bool, at now: Instant) -> Bool {
        guard state == .up, !rules.isOff, rules.passiveLimit > 0 else { return false }
        passiveFailures = succeeded ? 0 : passiveFailures + 1
        guard passiveFailures >= rules.passiveLimit else { return false }
        defer { plan(at: now) }
        return become(.down, at: now)
    }

    private mutating func count(to limit: Int) -> Bool {
        streak += 1
        return streak >= limit
    }

    private mutating func become(_ next: State, at now: Instant) -> Bool {
        (state, streak, passiveFailures, changedAt) = (next, 0, 0, now)
        return true
    }

    private mutating func plan(at now: Instant) {
        guard !rules.isOff else { return }
        nextCheck = now + (streak > 0 ? rules.fastInterval : rules.interval)
    }
}
