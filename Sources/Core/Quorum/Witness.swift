public import Basics

/// How long a witness keeps its word, in its own time.
public struct WitnessConfiguration: Sendable {
    /// After a sign of life of the holder nobody else is granted for this long (`reference/vip.md` 5.5: L_g).
    public var promise: Interval

    public init(promise: Interval) { self.promise = promise }
}

/// One group as the witness sees it: the arbiter's machine, pure.
///
/// Decides: who is granted, by compare-and-set on (epoch, grant) and rules R1 to R6. Does not decide: when a node
/// asks, nor how the record is stored; the runtime stores `record` and `granted` durably before it sends an answer
/// that granted something, and drops a request whose session has ended.
public struct Witness: Sendable {
    /// The record; nil until `init` or `adopt` made one.
    public private(set) var record: ArbiterRecord?
    /// The identifier of the request that made the record, stored with it: repeated, it gets its grant again.
    public private(set) var granted: Mark
    /// Whether a node knew a newer record than this one: nothing is granted until it is reseeded.
    public private(set) var isRolledBack = false

    private let configuration: WitnessConfiguration
    private var breaks: QuorumBreaks
    /// Refusals are remembered while the process runs, so that a repeated request gets the same answer.
    private var refusals: [Mark: ArbiterAnswer] = [:]
    private var refusalOrder: [Mark] = []
    private var heard: [Heard?] = [nil, nil]
    /// Until then only the recorded holder is granted: what was promised before a restart is unknown.
    private var quietUntil: Instant

    private struct Heard {
        var until: Instant
        var isRestarted: Bool
        var holdsEpoch: UInt64
    }

    /// Refusals remembered at most; the oldest goes first.
    public static let refusalMaximum = 256

    /// A witness that starts (again) with what its disk holds.
    public init(
        record: ArbiterRecord?, granted: Mark, configuration: WitnessConfiguration, at now: Instant,
        breaks: QuorumBreaks = []
    ) {
        self.record = record
        self.granted = granted
        self.configuration = configuration
        self.breaks = breaks
        quietUntil = now + configuration.promise
    }

    /// A node was heard. `holding`: the epoch that it serves under, 0 when it is not Primary.
    public mutating func heard(_ node: NodeIndex, isRestarted: Bool, holding: UInt64, at now: Instant) {
        heard[Int(node.rawValue)] = Heard(
            until: now + configuration.promise, isRestarted: isRestarted, holdsEpoch: holding)
    }

    /// The holder gives its promise back, so that the other may be granted at once.
    public mutating func released(by node: NodeIndex) { heard[Int(node.rawValue)] = nil }

    /// A node says what it knows. A newer record than the witness's own means that the witness's disk went back.
    public mutating func told(_ known: ArbiterRecord) {
        guard let record else {
            isRolledBack = isRolledBack || !breaks.contains(.emptiedWitnessCreatesRecord)
            if breaks.contains(.emptiedWitnessCreatesRecord) { self.record = known }
            return
        }
        if known.epoch > record.epoch || known.epoch == record.epoch && known.grant != record.grant {
            isRolledBack = true
        }
    }

    /// Creates the first record, for `tandem init` and `adopt` only. Answers the record that stands.
    public mutating func create(_ first: ArbiterRecord) -> ArbiterRecord {
        if let record { return record }
        record = first
        granted = .none
        return first
    }

    /// The operator says which record counts, with both nodes present or by force.
    public mutating func reseed(_ known: ArbiterRecord) {
        record = known
        granted = .none
        isRolledBack = false
        refusals.removeAll()
        refusalOrder.removeAll()
    }

    /// Decides on a request. `mark` is the random mark that a grant will carry.
    public mutating func decide(_ request: ArbiterRequest, mark: Mark, at now: Instant) -> ArbiterAnswer {
        if let record, granted == request.identifier, request.identifier != .none { return .granted(record) }
        if let first = refusals[request.identifier] { return first }
        // Who asks from a newer record than this one has seen what this disk has lost.
        if let record, request.expectedEpoch > record.epoch { isRolledBack = true }
        if let reason = refusal(of: request, at: now) {
            let answer = ArbiterAnswer.refused(reason, record)
            remember(answer, of: request.identifier)
            return answer
        }
        let next = ArbiterRecord(
            epoch: request.expectedEpoch + 1, grant: mark, holder: request.holder, copies: request.copies)
        record = next
        granted = request.identifier
        // A grant is a sign of life, and a promise to the holder that it makes, until its first renewal.
        if next.holder == request.asker {
            heard(request.asker, isRestarted: request.restarted, holding: next.epoch, at: now)
        }
        return .granted(next)
    }

    private mutating func remember(_ answer: ArbiterAnswer, of identifier: Mark) {
        refusals[identifier] = answer
        refusalOrder.append(identifier)
        if refusalOrder.count > Self.refusalMaximum { refusals[refusalOrder.removeFirst()] = nil }
    }

    private func isHeard(_ node: NodeIndex, at now: Instant) -> Heard? {
        guard let heard = heard[Int(node.rawValue)], heard.until > now else { return nil }
        return heard
    }

    private func refusal(of request: ArbiterRequest, at now: Instant) -> ArbiterRefusal? {
        guard let record else { return .noRecord }
        if isRolledBack { return .rolledBack }
        if request.expectedEpoch != record.epoch || request.expectedGrant != record.grant {
            return .recordChanged
        }
        if request.copies.isEmpty || !request.copies.isSubset(of: .both) { return .malformed }
        switch request.purpose {
        case .narrow:
            // A holder whose own disk failed stays holder of the peer's copy (R2).
            return request.asker == record.holder ? nil : .notTheHolder
        case .widen:
            // A holder that lost its disk left the only copy to the other, which then widens.
            let isSoleCopy = record.copies == NodeSet(request.asker)
            return request.asker == record.holder || isSoleCopy ? nil : .notTheHolder
        case .handOver:
            if request.asker != record.holder { return .notTheHolder }
            return request.copies.contains(request.holder) ? nil : .malformed
        case .leave:
            return record.copies.contains(request.asker) ? nil : .notACopy
        case .promote:
            if request.asker != record.holder { return .notTheHolder }
            return record.copies.contains(request.asker) ? nil : .notACopy
        case .takeOver:
            return refusalOfTakeOver(request, record, at: now)
        }
    }

    private func refusalOfTakeOver(
        _ request: ArbiterRequest, _ record: ArbiterRecord, at now: Instant
    ) -> ArbiterRefusal? {
        guard record.copies.contains(request.asker) else { return .notACopy }
        let other = request.asker.peer
        // Also a holder that has no copy left, and serves through the asker's, keeps what it was promised.
        if record.holder == other {
            if let holder = isHeard(other, at: now), holder.holdsEpoch == record.epoch { return .leaseAlive }
            if quietUntil > now { return .leaseAlive }
        }
        guard record.copies == .both else { return nil }
        if request.restarted, !breaks.contains(.soloGrantWhileOtherIntact) {
            // Just started, this process has heard nobody yet: the other may be as intact as it ever was.
            guard let heard = isHeard(other, at: now) else {
                return quietUntil > now ? .otherMemberIntact : nil
            }
            if !heard.isRestarted { return .otherMemberIntact }
        }
        return nil
    }
}
