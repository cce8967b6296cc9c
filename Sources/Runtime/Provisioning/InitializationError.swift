public import BlockStore
import Glibc
import LinuxSystem
public import WitnessRuntime

/// Why a copy was not made. Nothing of it was left behind.
public enum InitializationError: Error, Equatable, Sendable {
    /// In a sentence, with what to do.
    case refused(String)
    case backing(BackingError)
    case secret(SecretFileError)
    case witness(WitnessError)
}

extension InitializationError: CustomStringConvertible {
    /// One sentence for the operator.
    public var description: String {
        switch self {
        case .refused(let text): text
        case .backing(.noSpace(let path, let needs)):
            "not enough free space for \(path), which needs \(needs) bytes: make room or correct `size`;"
                + " nothing was left behind"
        case .backing(.failed(let error)): Self.text(of: error)
        case .backing(let error): "\(error)"
        case .secret(let error): "\(error)"
        case .witness(let error): "\(error)"
        }
    }

    private static func text(of error: SystemError) -> String {
        switch error.code {
        case EACCES, EPERM, EROFS: "\(error): run this as root, or on a file system that may be written"
        case ENOENT: "\(error): make its directory first, or correct the path in the settings"
        default: "\(error)"
        }
    }
}
