import ControlPlane
import Glibc
public import LinuxSystem
public import SecureChannel

/// Why the cluster's secret cannot be had from its file, or written to it.
public enum SecretFileError: Error, Equatable, Sendable {
    case missing(path: String)
    /// Others than the owner may read or write it.
    case notPrivate(path: String, mode: UInt32)
    case notPermitted(path: String)
    case exists(path: String)
    case unusable(path: String, ClusterSecretError)
    case system(SystemError)
}

extension SecretFileError: CustomStringConvertible {
    /// One sentence for the operator.
    public var description: String {
        switch self {
        case .missing(let path):
            "the secret \(path) does not exist: copy it from another machine of the cluster, or make it with"
                + " `tandem secret --out \(path)`"
        case .notPrivate(let path, let mode):
            "the secret \(path) can be used by others (mode \(String(mode, radix: 8))): run `chmod 600 \(path)`"
        case .notPermitted(let path): "no permission for the secret \(path): run this as root"
        case .exists(let path):
            "\(path) exists already and is not overwritten: a new secret would lock the other machines out"
        case .unusable(let path, let error): "\(path): \(error)"
        case .system(let error) where error.code == ENOSPC || error.code == EDQUOT:
            "\(error): make room there, or name another place; nothing was left behind"
        case .system(let error): "\(error)"
        }
    }
}

/// The file that holds the cluster's secret: mode 0600, the same on every machine.
public enum SecretFile {
    /// The contents of a file with a new secret, drawn from the kernel.
    public static func newText() -> String {
        String(decoding: ClusterSecret.generate().fileContents, as: UTF8.self)
    }

    /// Reads the secret; the file must be its owner's alone.
    public static func load(_ path: String) throws(SecretFileError) -> ClusterSecret {
        var status = stat()
        guard stat(path, &status) == 0 else { throw failure(path, errno, "stat") }
        let mode = UInt32(status.st_mode) & 0o777
        guard mode & 0o077 == 0 else { throw .notPrivate(path: path, mode: mode) }
        let text: String
        do throws(SystemError) { text = try SmallFile.read(path) } catch {
            throw failure(path, error.code, error.operation)
        }
        do throws(ClusterSecretError) { return try ClusterSecret(fileContents: Array(text.utf8)) } catch {
            throw .unusable(path: path, error)
        }
    }

    /// Writes a new secret, drawn from the kernel, to a file that does not exist yet, durably; leaves nothing when it
    /// fails.
    public static func create(_ path: String) throws(SecretFileError) {
        do throws(SystemError) {
            try FileTree.create(path, with: ClusterSecret.generate().fileContents)
        } catch {
            switch error.code {
            case EEXIST: throw .exists(path: path)
            case EACCES, EPERM: throw .notPermitted(path: path)
            default: throw .system(error)
            }
        }
    }

    private static func failure(_ path: String, _ code: Int32, _ operation: String) -> SecretFileError {
        switch code {
        case ENOENT: .missing(path: path)
        case EACCES, EPERM: .notPermitted(path: path)
        default: .system(SystemError(operation: operation, subject: path, code: code))
        }
    }
}
