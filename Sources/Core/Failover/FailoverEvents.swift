public import Basics

/// Names one attempt at a step; an answer to an attempt that is over is recognised by it.
public struct AttemptIdentifier: RawRepresentable, Sendable, Hashable {
    public var rawValue: UInt64

    public init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// Why a step ended without success.
public enum StepFailure: Sendable, Hashable {
    /// It answered with an error, in words for the operator.
    case failed(String)
    /// Something still uses what it removes: unmount or detach busy; the processes that pin it.
    case busy(pins: [String])
    /// It did not end in its time, was told to stop, and has answered that it did.
    case timedOut
    /// It did not end in its time and does not answer: it hangs in the kernel.
    case unresponsive
    /// The plan was given up while it ran.
    case cancelled
}

/// Which way a plan runs.
public enum FailoverPhase: UInt8, Sendable, Hashable, CaseIterable {
    case promote = 0
    /// Takes a promotion back, in reverse.
    case undo = 1
    case demote = 2
    case deposed = 3
}

/// Where a group is, for `tandem status`.
public enum FailoverState: Sendable, Hashable {
    case secondary
    /// A step of the phase is under way.
    case running(FailoverPhase, step: String)
    case primary
    /// The safe state of a step that can be neither done nor undone: nothing is served, nothing is
    /// promotable. The plan goes on by itself when the reason is gone.
    case stuck(FailoverPhase, step: String, StepFailure)
}

/// What the machine is told.
public enum FailoverEvent: Sendable, Hashable {
    /// Become Primary.
    case promote
    /// Become Secondary in order.
    case demote
    /// The grant is gone: become Secondary whatever the device does.
    case deposed
    /// An attempt ended well.
    case succeeded(AttemptIdentifier)
    /// An attempt ended without success; what it had begun may be half done.
    case failed(AttemptIdentifier, StepFailure)
    /// What pinned a stuck step may be gone: try now.
    case retry
    /// Nothing but time.
    case wake
}

/// What the machine wants done, in this order.
public enum FailoverAction: Sendable, Hashable {
    /// Perform the effect, and answer with `succeeded` or `failed`.
    case perform(AttemptIdentifier, FailoverEffect)
    /// Stop that attempt as soon as it can be stopped; it answers all the same.
    case cancel(AttemptIdentifier)
    /// The group is Primary: all steps are done.
    case promoted
    /// The promotion failed at that step and is undone.
    case promotionFailed(step: String, StepFailure)
    /// The group is Secondary and nothing of its old grant exists here.
    case demoted(FailoverPhase)
    /// A command that cannot be obeyed now, and where the group is.
    case refused(FailoverEvent, FailoverState)
    /// A line of the journal.
    case note(FailoverNote)
}

/// The journal's lines: every step has a start and an end.
public enum FailoverNote: Sendable, Hashable {
    case phaseStarted(FailoverPhase)
    case stepStarted(FailoverPhase, step: String)
    /// How long it took; nil for success.
    case stepEnded(FailoverPhase, step: String, Interval, StepFailure?)
    case stuck(FailoverPhase, step: String, StepFailure)
    /// How long the whole phase took.
    case phaseEnded(FailoverPhase, Interval)
}
