public import Basics

/// One group's way between Secondary and Primary: runs the steps of a plan one at a time.
///
/// It decides which step comes next, when one has taken too long, and what happens to a plan that cannot go
/// on. It does not decide whether the node may be Primary (the arbiter's record does), nor how a step is
/// done.
///
/// - Promote: steps forward. A step that fails or takes too long is undone together with all before it, in
///   reverse.
/// - Demote, undo and deposed run to their end: a step that fails leaves the group `stuck`, named, and is
///   tried again every `retry` and whenever `retry` is told. Nothing is skipped: a mount is not left behind
///   under a dead device.
/// - A step that takes too long is told to stop, and its answer awaited: nothing that depends on it is begun
///   while it may still take effect. Without an answer the group is stuck, and goes on when the answer comes.
/// - `deposed` replaces whatever runs at once: the steps that make the node mute do not wait for the old one.
///
/// State      | promote | demote   | deposed | step ends         | step's deadline
/// -----------|---------|----------|---------|-------------------|----------------
/// secondary  | promote | done¹    | done¹   |                   |
/// promote    | refused | undo     | deposed | next; undo        | cancel, undo
/// primary    | refused | demote   | deposed |                   |
/// undo/demote| refused | refused  | deposed | next; stuck       | cancel, stuck
/// deposed    | refused | refused  | -       | next; stuck       | cancel, stuck
/// stuck      | refused | refused  | deposed | next; stuck       | tried again
///
/// ¹ Nothing to do: `demoted` is told at once.
///
/// The caller wakes it at `nextWakeup`. Not for several threads at once.
public struct FailoverPlan: Sendable {
    /// One attempt that has not answered.
    private struct Attempt {
        var identifier: AttemptIdentifier
        var step: FailoverStep
        var phase: FailoverPhase
        var started: Instant
        /// Set when it was told to stop.
        var cancelled: Instant?
        /// What a late failure is called.
        var cause: StepFailure = .timedOut
    }

    public let targets: FailoverTargets
    public let mistake: FailoverBreak?
    /// Where the group is.
    public private(set) var state: FailoverState = .secondary

    private var phase: FailoverPhase = .demote
    private var phaseStarted = Instant(nanoseconds: 0)
    /// The steps of the phase that are not done, the next one first.
    private var remaining: [FailoverStep] = []
    /// Of a promotion: the steps begun, the last one last.
    private var begun: [FailoverStep] = []
    private var current: Attempt?
    /// An attempt of a phase that was replaced, or one told to stop: nothing that depends on it may begin.
    private var lingering: [Attempt] = []
    /// Steps begun meanwhile. What answers late may have taken effect after them: they are done once more.
    private var overlapped: [FailoverStep] = []
    private var failure: (step: String, StepFailure)?
    private var retryAt: Instant = .never
    private var nextIdentifier: UInt64 = 1
    private var actions: [FailoverAction] = []

    public init(targets: FailoverTargets, break mistake: FailoverBreak? = nil) {
        self.targets = targets
        self.mistake = mistake
    }

    /// When `wake` is due; `never` while nothing is waited for.
    public var nextWakeup: Instant {
        var next = retryAt
        if let current { next = min(next, deadline(of: current)) }
        return lingering.reduce(next) { min($0, $1.cause == .unresponsive ? .never : deadline(of: $1)) }
    }

    /// The step that runs, and since when; nil between phases.
    public var step: (name: String, since: Instant)? { current.map { ($0.step.name, $0.started) } }

    /// Whether anything of an old grant may exist here: then the group is not promotable.
    public var isClean: Bool { state == .secondary && lingering.isEmpty }

    /// Handles one event; the actions are to be carried out in their order.
    public mutating func handle(_ event: FailoverEvent, at now: Instant) -> [FailoverAction] {
        actions.removeAll(keepingCapacity: true)
        switch event {
        case .promote, .demote, .deposed: command(event, at: now)
        case .succeeded(let identifier): answered(identifier, nil, at: now)
        case .failed(let identifier, let failure): answered(identifier, failure, at: now)
        case .retry: if retryAt != .never { retryAt = now }
        case .wake: break
        }
        checkDeadlines(at: now)
        advance(at: now)
        return actions
    }

    private func deadline(of attempt: Attempt) -> Instant {
        attempt.cancelled.map { $0 + targets.deadlines.cancel } ?? attempt.started + attempt.step.deadline
    }
}

// MARK: - Commands

extension FailoverPlan {
    private mutating func command(_ event: FailoverEvent, at now: Instant) {
        switch (event, state) {
        case (.promote, .secondary) where lingering.isEmpty:
            begin(.promote, FailoverPlans.promote(targets, break: mistake), at: now)
        case (.demote, .secondary), (.deposed, .secondary):
            actions.append(.demoted(event == .deposed ? .deposed : .demote))
        case (.demote, .primary):
            begin(.demote, FailoverPlans.demote(targets), at: now)
        case (.demote, .running(.promote, _)):
            if let attempt = current { failure = (attempt.step.name, .cancelled) }
            giveUpCurrent(as: .cancelled, at: now)
            beginUndo(at: now)
        case (.deposed, .running(.deposed, _)), (.deposed, .stuck(.deposed, _, _)):
            break
        case (.deposed, _):
            if phase == .promote, failure == nil, let attempt = current {
                failure = (attempt.step.name, .cancelled)
            }
            giveUpCurrent(as: .cancelled, at: now)
            begin(.deposed, FailoverPlans.deposed(targets), at: now)
        default:
            actions.append(.refused(event, state))
        }
    }

    private mutating func begin(_ phase: FailoverPhase, _ steps: [FailoverStep], at now: Instant) {
        self.phase = phase
        phaseStarted = now
        remaining = steps
        overlapped.removeAll()
        retryAt = .never
        if phase == .promote {
            begun.removeAll()
            failure = nil
        }
        state = .running(phase, step: steps.first?.name ?? "")
        actions.append(.note(.phaseStarted(phase)))
    }

    /// The steps that were begun, the failed one among them: it may be half done.
    private mutating func beginUndo(at now: Instant) {
        let steps = begun.reversed().compactMap { step in
            step.undo.map { FailoverStep(name: "undo \(step.name)", effect: $0, deadline: step.deadline) }
        }
        begin(.undo, steps, at: now)
    }

    /// Tells the running attempt to stop; it stays in the way of what depends on it until it has answered.
    private mutating func giveUpCurrent(as cause: StepFailure, at now: Instant) {
        guard var attempt = current else { return }
        current = nil
        if attempt.cancelled == nil { actions.append(.cancel(attempt.identifier)) }
        attempt.cancelled = attempt.cancelled ?? now
        attempt.cause = cause
        lingering.append(attempt)
    }
}

// MARK: - Answers and deadlines

extension FailoverPlan {
    private mutating func answered(_ identifier: AttemptIdentifier, _ failure: StepFailure?, at now: Instant)
    {
        if let index = lingering.firstIndex(where: { $0.identifier == identifier }) {
            let attempt = lingering.remove(at: index)
            // What it did, if it did it, is undone by the steps that waited for it, or by these.
            remaining.insert(contentsOf: overlapped, at: 0)
            overlapped.removeAll()
            end(attempt, attempt.cause, at: now)
            if case .stuck = state { retryAt = now }
            return
        }
        guard let attempt = current, attempt.identifier == identifier else { return }
        current = nil
        end(attempt, failure, at: now)
        guard let failure, !attempt.step.isBestEffort else { return }
        stepFailed(attempt.step, failure, at: now)
    }

    private mutating func end(_ attempt: Attempt, _ failure: StepFailure?, at now: Instant) {
        let time = now.since(attempt.started)
        actions.append(.note(.stepEnded(attempt.phase, step: attempt.step.name, time, failure)))
    }

    private mutating func stepFailed(_ step: FailoverStep, _ reason: StepFailure, at now: Instant) {
        switch phase {
        case .promote:
            failure = (step.name, reason)
            beginUndo(at: now)
        case .undo, .demote, .deposed:
            remaining.insert(step, at: 0)
            stick(at: step, reason)
            retryAt = now + targets.deadlines.retry
        }
    }

    private mutating func stick(at step: FailoverStep, _ reason: StepFailure) {
        let stuck = FailoverState.stuck(phase, step: step.name, reason)
        // The same reason, found again by a retry, is not news.
        if state != stuck { actions.append(.note(.stuck(phase, step: step.name, reason))) }
        state = stuck
    }

    private mutating func checkDeadlines(at now: Instant) {
        if let attempt = current, now >= deadline(of: attempt) {
            giveUpCurrent(as: .timedOut, at: now)
            if attempt.step.isBestEffort {
                // It was worth a try; nothing waits for it but its answer.
            } else if phase == .promote {
                stepFailed(attempt.step, .timedOut, at: now)
            } else {
                remaining.insert(attempt.step, at: 0)
            }
        }
        for index in lingering.indices
        where lingering[index].cause != .unresponsive && now >= deadline(of: lingering[index]) {
            lingering[index].cause = .unresponsive
        }
    }
}

// MARK: - Going on

extension FailoverPlan {
    private mutating func advance(at now: Instant) {
        guard current == nil, isMoving else { return }
        if retryAt != .never {
            guard now >= retryAt else { return }
            retryAt = .never
        }
        guard let step = remaining.first else {
            if lingering.isEmpty { finish(at: now) } else { wait(for: lingering[0]) }
            return
        }
        if let old = lingering.first(where: { !step.effect.mayOverlap($0.step.effect) }) {
            wait(for: old)
            return
        }
        remaining.removeFirst()
        if phase == .promote { begun.append(step) }
        if !lingering.isEmpty { overlapped.append(step) }
        let identifier = AttemptIdentifier(rawValue: nextIdentifier)
        nextIdentifier += 1
        current = Attempt(identifier: identifier, step: step, phase: phase, started: now)
        state = stateWhile(running: step)
        actions.append(.note(.stepStarted(phase, step: step.name)))
        actions.append(.perform(identifier, step.effect))
    }

    /// A stuck step that is tried again stays stuck until it succeeds: the status does not flicker.
    private func stateWhile(running step: FailoverStep) -> FailoverState {
        if case .stuck(phase, step: step.name, _) = state { return state }
        return .running(phase, step: step.name)
    }

    private mutating func wait(for old: Attempt) {
        guard old.cause == .unresponsive else { return }
        stick(at: old.step, .unresponsive)
    }

    private var isMoving: Bool {
        switch state {
        case .secondary, .primary: false
        case .running, .stuck: true
        }
    }

    private mutating func finish(at now: Instant) {
        actions.append(.note(.phaseEnded(phase, now.since(phaseStarted))))
        switch phase {
        case .promote:
            state = .primary
            actions.append(.promoted)
        case .undo:
            state = .secondary
            if let failure { actions.append(.promotionFailed(step: failure.step, failure.1)) }
        case .demote, .deposed:
            state = .secondary
            // A promotion that a deposition cut off has failed too, and whoever asked for it waits.
            if let failure { actions.append(.promotionFailed(step: failure.step, failure.1)) }
            actions.append(.demoted(phase))
        }
        failure = nil
        begun.removeAll()
    }
}
