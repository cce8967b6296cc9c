public import LinuxSystem

/// Why the local daemon could not be asked, or could not open its socket.
public enum ControlError: Error, Equatable, Sendable {
    /// Nobody listens at that path.
    case notRunning(path: String)
    /// A living process listens there already, or the file is no socket.
    case alreadyRunning(path: String)
    /// The file or its directory belongs to somebody else.
    case notPermitted(path: String)
    /// No answer came in time.
    case timedOut(path: String)
    /// The connection ended before the answer.
    case ended(path: String)
    /// What came is no answer.
    case malformed(path: String)
    case system(SystemError)
}

extension ControlError: CustomStringConvertible {
    /// One sentence for the operator.
    public var description: String {
        switch self {
        case .notRunning(let path):
            "no tandem daemon listens on \(path): start `tandem node` on this machine first"
        case .alreadyRunning(let path):
            "already running: another process listens on \(path), or the file there is no socket"
        case .notPermitted(let path): "no permission for \(path): run this as root"
        case .timedOut(let path):
            "the daemon behind \(path) has not answered in time; `tandem events` may tell why"
        case .ended(let path): "the daemon behind \(path) ended before it answered; its log tells why"
        case .malformed(let path): "what listens on \(path) does not answer as this version of tandem does"
        case .system(let error): "\(error)"
        }
    }
}
