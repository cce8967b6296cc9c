public import Replication

/// How often each branch of the rules, each row of the handshake and each verdict was reached.
public struct Coverage: Sendable {
    public private(set) var branches: [RuleBranch: Int] = [:]
    public private(set) var rows: [HandshakeRow: Int] = [:]
    public private(set) var others: [String: Int] = [:]
    public private(set) var seeds = 0
    public private(set) var events = 0

    public init() {}

    mutating func count(_ note: ReplicaNote) {
        switch note {
        case .ruleReached(let branch): branches[branch, default: 0] += 1
        case .handshake(let row): rows[row, default: 0] += 1
        case .verdictPeerBack: others["verdict: the peer is back", default: 0] += 1
        case .verdictAlone: others["verdict: go on alone", default: 0] += 1
        case .verdictDeposed: others["verdict: deposed", default: 0] += 1
        case .verdictTimeout: others["verdict: none in time", default: 0] += 1
        case .verdictThroughPeer: others["verdict: go on through the peer", default: 0] += 1
        case .logReplayed: others["log replayed", default: 0] += 1
        case .diskFailed: others["disk failed", default: 0] += 1
        case .refusedOldFrame: others["old frame refused", default: 0] += 1
        case .frozen, .resyncStarted, .resyncEnded, .widened, .narrowed, .asked, .answered, .recordAdopted:
            break
        }
    }

    mutating func countSeed(events count: Int) {
        seeds += 1
        events += count
    }

    /// Adds another run's counts.
    public mutating func merge(_ other: Coverage) {
        branches.merge(other.branches, uniquingKeysWith: +)
        rows.merge(other.rows, uniquingKeysWith: +)
        others.merge(other.others, uniquingKeysWith: +)
        seeds += other.seeds
        events += other.events
    }

    private static let verdicts = [
        "verdict: the peer is back", "verdict: go on alone", "verdict: deposed", "verdict: none in time",
        "verdict: go on through the peer", "log replayed", "disk failed", "old frame refused",
    ]

    /// One line each, zeroes included, in the order of declaration.
    public var lines: [String] {
        RuleBranch.allCases.map { "rule \($0): \(branches[$0] ?? 0)" }
            + HandshakeRow.allCases.map { "handshake \($0): \(rows[$0] ?? 0)" }
            + Self.verdicts.map { "\($0): \(others[$0] ?? 0)" }
    }

    /// Takes back what `lines` wrote, and the two totals; false for a name that it does not know.
    mutating func restore(_ name: String, _ value: Int) -> Bool {
        if name == "seeds" {
            seeds = value
        } else if name == "events" {
            events = value
        } else if let branch = RuleBranch.allCases.first(where: { "rule \($0)" == name }) {
            branches[branch] = value
        } else if let row = HandshakeRow.allCases.first(where: { "handshake \($0)" == name }) {
            rows[row] = value
        } else if Self.verdicts.contains(name) {
            others[name] = value
        } else {
            return false
        }
        return true
    }

    /// What was never reached.
    public var missing: [String] { lines.filter { $0.hasSuffix(": 0") } }
}
