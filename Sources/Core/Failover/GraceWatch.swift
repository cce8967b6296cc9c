public import Basics

/// What the clients of an NFS server hold, at one moment.
public struct ClientHoldings: Sendable, Hashable {
    /// Opens and locks of each client of version 4, by the name that it gives itself.
    public var states: [String: Int]
    /// The clients of version 3 with locks, by name or address.
    public var hosts: Set<String>
    /// Locks on files of the exported file system, of all versions.
    public var locks: Int

    public init(states: [String: Int] = [:], hosts: Set<String> = [], locks: Int = 0) {
        self.states = states
        self.hosts = hosts
        self.locks = locks
    }
}

/// Decides when a new server's grace period may end: when everybody who held something from the old server has it again.
///
/// The kernel ends the period by itself only where every recorded client speaks 4.1 or later, each of which says when it
/// has reclaimed all. For the others there is what they held when the old server last wrote it down, and silence: a
/// client reclaims in one go, so one that has at least what it had, and has asked for nothing more for `quiet`, is
/// through. In doubt the period lasts as long as it lasts: ended too early, it costs a client its lock.
///
/// A client that held nothing is not waited for. One that has closed a file since the list was written never reaches
/// what the list says.
public struct GraceWatch: Sendable {
    /// For so long nothing may have changed.
    public static let quiet = Interval.seconds(2)

    /// What the old server's clients held; nil when that is not known: then nothing is ended.
    public let recorded: ClientHoldings?
    /// The most that was seen of each since.
    private var most = ClientHoldings()
    private var last: ClientHoldings?
    private var changed: Instant

    /// `now`: when the new server's clients could first come.
    public init(recorded: ClientHoldings?, at now: Instant) {
        self.recorded = recorded
        changed = now
    }

    /// Takes what clients hold now; says whether the grace period is to be ended. `isRecorded`: whether everybody who is
    /// here is in the records: with the period's end goes what the old server had recorded of them.
    public mutating func mayEnd(_ held: ClientHoldings, isRecorded: Bool = true, at now: Instant) -> Bool {
        if held != last {
            // What is seen first is a change only where it is something.
            if last != nil || held != ClientHoldings() { changed = max(changed, now) }
            last = held
        }
        most.states.merge(held.states) { max($0, $1) }
        most.hosts.formUnion(held.hosts)
        most.locks = max(most.locks, held.locks)
        return isRecorded && missing == [] && now >= changed + Self.quiet
    }

    /// Who has not come back, or not with all that it held; nil when that is not known.
    public var missing: [String]? {
        guard let recorded else { return nil }
        let clients = recorded.states.filter { $0.value > most.states[$0.key, default: 0] }.map(\.key)
        let hosts = recorded.hosts.subtracting(most.hosts)
        // Locks count by themselves only where everybody is here: else they are a client's that is named already.
        let locks = most.locks < recorded.locks && clients.isEmpty && hosts.isEmpty
        return clients.sorted() + hosts.sorted() + (locks ? ["\(recorded.locks - most.locks) locks"] : [])
    }
}
