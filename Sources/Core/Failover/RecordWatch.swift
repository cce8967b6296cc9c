public import Basics

/// A client of an NFS server, as the server sees it at one moment.
public struct SeenClient: Sendable, Hashable {
    /// What it calls itself.
    public var name: String
    /// Opens and locks.
    public var states: Int
    /// Whether it says when it has reclaimed all, as clients of 4.1 and later do: then the server records it.
    public var saysWhenDone: Bool
    /// Since it was last heard; nil when that is not known.
    public var silence: Interval?

    public init(name: String, states: Int, saysWhenDone: Bool, silence: Interval? = nil) {
        self.name = name
        self.states = states
        self.saysWhenDone = saysWhenDone
        self.silence = silence
    }
}

/// Decides which clients' names are to be in a server's records, and which no more, so that they may reclaim from the
/// next server what they hold of this one.
///
/// The kernel records a client of 4.1 or later when it says that it has reclaimed all, and a client of 4.0 when one of
/// its owners opens for the first time, but not when it reclaims: that is done here. Who holds something has either
/// opened it here or reclaimed it, which the kernel lets only those do who were in the records before; so nobody is
/// recorded who stayed away.
///
/// A name stays while its client is here, whatever it holds meanwhile, and goes before the client's lease can end: then
/// the server may give its locks to another.
public struct RecordWatch: Sendable {
    /// For so long before its lease can end a client counts as gone: silence is told in whole seconds, looked for twice
    /// a second, and a name takes its time to be removed.
    public static let margin = Interval.seconds(2)

    /// What has to be written.
    public struct Changes: Sendable, Hashable {
        public var adding: Set<String>
        public var removing: Set<String>
        public var isEmpty: Bool { adding.isEmpty && removing.isEmpty }

        public init(adding: Set<String> = [], removing: Set<String> = []) {
            self.adding = adding
            self.removing = removing
        }
    }

    private let lease: Interval
    /// Whose names were written.
    private var recorded: Set<String> = []

    /// `lease`: for how long a server holds a client's state without a word from it.
    public init(lease: Interval) { self.lease = lease }

    /// What has to be written now that these clients are here.
    public func changes(_ clients: [SeenClient]) -> Changes {
        let here = clients.filter { client in
            let silence = client.silence?.nanoseconds ?? 0
            return !client.saysWhenDone && silence + Self.margin.nanoseconds < lease.nanoseconds
        }
        let holding = Set(here.filter { $0.states > 0 }.map(\.name))
        return Changes(
            adding: holding.subtracting(recorded), removing: recorded.subtracting(here.map(\.name)))
    }

    /// Takes that they are written.
    public mutating func wrote(_ changes: Changes) {
        recorded.formUnion(changes.adding)
        recorded.subtract(changes.removing)
    }
}
