import Glibc

/// Owns one file descriptor and closes it exactly once.
public struct Descriptor: ~Copyable, Sendable {
    /// The number, for system calls while this owner lives.
    public let raw: Int32

    /// Takes over an open descriptor; nobody else closes it from now on.
    public init(adopting raw: Int32) {
        precondition(raw >= 0, "adopting a descriptor that was never opened")
        self.raw = raw
    }

    /// Closes it now. An error of close(2) is not reported: Linux has given the number free all the same, and
    /// what had to be durable was flushed before.
    public consuming func close() {}

    deinit { _ = Glibc.close(raw) }
}
