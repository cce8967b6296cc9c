import CLinux

/// A system call that failed: what was tried, on what, and the errno it left.
public struct SystemError: Error, Equatable, Sendable {
    /// What was tried: the call's name or a verb, such as "open".
    public let operation: String
    /// What it was tried on: a path, an address, a name; may be empty.
    public let subject: String
    /// The errno.
    public let code: Int32

    public init(operation: String, subject: String, code: Int32) {
        self.operation = operation
        self.subject = subject
        self.code = code
    }
}

extension SystemError: CustomStringConvertible {
    /// "open /x: No such file or directory (ENOENT)".
    public var description: String {
        let head = subject.isEmpty ? operation : "\(operation) \(subject)"
        guard let text = clinux_error_text(code), let name = clinux_error_name(code) else {
            return "\(head): error \(code)"
        }
        return "\(head): \(String(cString: text)) (\(String(cString: name)))"
    }
}
