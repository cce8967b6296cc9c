import CLinux

/// Why the lab could not do what it was told, in a sentence.
public struct LabError: Error, Sendable, CustomStringConvertible {
    public let description: String

    public init(_ description: String) { self.description = description }

    /// A system call that failed.
    init(_ what: String, code: Int32) {
        let text = clinux_error_text(code).map { String(cString: $0) } ?? "error \(code)"
        description = "\(what): \(text)"
    }
}
