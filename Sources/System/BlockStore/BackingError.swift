public import LinuxSystem

/// Why a backing file or its metadata cannot be used, in a sentence with what to do.
public enum BackingError: Error, Equatable, Sendable {
    /// Only `create` makes files.
    case missing(path: String)
    /// `create` never touches what is there.
    case exists(path: String)
    /// Neither a regular file nor a block device.
    case wrongKind(path: String)
    /// Bytes that it has and that the volume needs.
    case tooSmall(path: String, has: UInt64, needs: UInt64)
    /// Another process has it: a second daemon, a mount, a loop device.
    case inUse(path: String)
    /// Bytes that could not be had. Nothing was left behind.
    case noSpace(path: String, needs: UInt64)
    case failed(SystemError)
}

extension BackingError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .missing(let path):
            "\(path) does not exist: create it with `tandem init`, or correct the path in the settings"
        case .exists(let path):
            "\(path) exists already and is not touched: take it over with `tandem init --adopt`, or move it away"
        case .wrongKind(let path):
            "\(path) is neither a regular file nor a block device: correct the path in the settings"
        case .tooSmall(let path, let has, let needs):
            "\(path) has \(has) bytes and the volume needs \(needs): correct `size`, or make the file larger"
        case .inUse(let path):
            "\(path) is in use by another process: end the other `tandem node`, or unmount the device"
        case .noSpace(let path, let needs):
            "no room for \(path): it needs \(needs) bytes; nothing was left behind"
        case .failed(let error):
            "\(error)"
        }
    }
}
