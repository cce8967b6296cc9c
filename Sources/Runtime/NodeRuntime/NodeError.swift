public import LinuxSystem

/// Why a node does not run, in words for the operator.
public enum NodeError: Error, Sendable {
    /// What failed, and what to do.
    case refused(String)
    case system(SystemError)
    /// The worker ended though nobody told it to; the keeper has tidied up. `status`: as in waitpid(2), 256 + signal.
    /// `reason`: what it said itself.
    case workerDied(status: Int32, reason: String?, remains: [String])
}

extension NodeError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .refused(let text): return text
        case .system(let error): return "\(error)"
        case .workerDied(let status, let reason, let remains):
            let end =
                reason.map { "could not go on (\($0))" }
                ?? (status >= 256 ? "was ended by signal \(status - 256)" : "ended with status \(status)")
            let left =
                remains.isEmpty ? "" : "; what could not be removed: \(remains.joined(separator: ", "))"
            return
                "the worker \(end); its address, mounts and devices were removed and its grant released\(left);"
                + " the lines before this one tell its last steps; start `tandem node` again"
        }
    }
}
