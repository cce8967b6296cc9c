public import Basics

/// How a command ended.
public enum CommandEnd: Sendable, Hashable {
    /// By itself, with this status.
    case exited(UInt8)
    /// By a signal that was not ours.
    case signalled(Int32)
    /// It did not end in its time and was stopped, with all of its process group.
    case timedOut
    /// The caller gave it up, and it was stopped.
    case cancelled
    /// It could not even be killed: it hangs in the kernel, and is left behind under this process identifier.
    case unresponsive(Int32)
}

/// What a command left.
public struct CommandResult: Sendable, Hashable {
    /// The command's name as it was called.
    public var command: String
    public var end: CommandEnd
    /// At most `CommandRunner.outputMaximum` bytes each; bytes that are no UTF-8 are replaced.
    public var output: String
    public var errors: String
    /// Whether more was written than was kept.
    public var isTruncated: Bool
    public var duration: Interval

    /// Whether it ended by itself with status 0.
    public var isSuccess: Bool { end == .exited(0) }

    /// One sentence for the operator: what ended how, and the last line that it wrote.
    public var summary: String {
        let ending =
            switch end {
            case .exited(0): "succeeded"
            case .exited(let status): "failed with status \(status)"
            case .signalled(let signal): "was ended by signal \(signal)"
            case .timedOut: "did not end in its time (\(duration.wholeMilliseconds) ms) and was stopped"
            case .cancelled: "was stopped"
            case .unresponsive(let process): "hangs in the kernel as process \(process)"
            }
        let said = (errors.isEmpty ? output : errors).split(separator: "\n").last.map { ": \($0)" } ?? ""
        return "\(command) \(ending)\(said)"
    }
}
