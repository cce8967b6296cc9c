import Basics
import Synchronization

/// What became of all requests, and when servers were being made ill: whoever asked meanwhile may be failed honestly,
/// everybody else must be answered.
final class LoadScore: Sendable {
    /// How one request ended.
    enum Outcome: Sendable, Equatable {
        case answered
        /// An error of the proxy's own: 502, 503, 504; 408 for those who asked slowly on purpose.
        case refused(Int)
        /// The connection was visibly cut.
        case cut
        /// The client itself went away.
        case left
        /// Nothing came in time.
        case hung
        /// Something came that is not true.
        case wrong(String)
        /// What would be wrong, had its server not been without a processor: the proxy was right to take it for down.
        case starved(String)

        /// An error of the proxy's own, or a cut.
        var isFailure: Bool {
            switch self {
            case .refused, .cut: true
            case .answered, .left, .hung, .wrong, .starved: false
            }
        }
    }

    /// Counts of one kind of client.
    struct Tally: Sendable {
        var answered = 0
        var refused = 0
        var cut = 0
        var left = 0
        /// Refused or cut although no server had changed.
        var unexplained = 0
        var hung = 0
        var wrong = 0
        var starved = 0

        var all: Int { answered + refused + cut + left + hung + wrong + starved }
    }

    private struct State: Sendable {
        var tallies: [String: Tally] = [:]
        var findings: [String] = []
        var isDisturbed = false
        var lastDisturbed = Instant(nanoseconds: 0)
    }

    private let state = Mutex(State())
    private let numbers = Atomic<UInt64>(1)

    /// A number that no other request has.
    func number() -> UInt64 { numbers.add(1, ordering: .relaxed).oldValue }

    /// From now on, until it is said to be over, requests may fail honestly.
    func disturb(_ begins: Bool) {
        state.withLock {
            $0.isDisturbed = begins
            $0.lastDisturbed = LabClock.now()
        }
    }

    /// Whether nothing was disturbed from then until now.
    func isCalm(since begun: Instant) -> Bool {
        state.withLock { !$0.isDisturbed && $0.lastDisturbed < begun }
    }

    /// Counts it; `evidence` is asked for when it is a finding.
    func add(
        _ outcome: Outcome, of kind: String, since begun: Instant, note: String = "",
        evidence: () -> String = { "" }
    ) {
        let now = LabClock.now()
        let finding: String? = state.withLock { state in
            var tally = state.tallies[kind] ?? Tally()
            let isCalm = !state.isDisturbed && state.lastDisturbed < begun
            var finding: String?
            switch outcome {
            case .answered: tally.answered += 1
            case .left: tally.left += 1
            case .refused, .cut:
                if case .cut = outcome { tally.cut += 1 } else { tally.refused += 1 }
                if isCalm {
                    tally.unexplained += 1
                    finding = "\(outcome) while no server changed"
                }
            case .hung:
                tally.hung += 1
                finding = "no answer"
            case .wrong(let what):
                tally.wrong += 1
                finding = what
            case .starved(let what):
                tally.starved += 1
                finding = what + ", but one had no processor"
            }
            state.tallies[kind] = tally
            return state.findings.count < 30 ? finding : nil
        }
        // Said at once: of an hour, the end may be far.
        guard let finding else { return }
        let text = "\(kind): \(finding) after \(now.since(begun).text) \(note)\(evidence())"
        ProxyProof.say("  \(text)")
        state.withLock { $0.findings.append(text) }
    }

    var tallies: [String: Tally] { state.withLock { $0.tallies } }
    var findings: [String] { state.withLock { $0.findings } }
}
