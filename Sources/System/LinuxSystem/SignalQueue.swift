import CLinux
import Glibc

/// A signalfd(2): signals as something to poll for, instead of handlers.
public struct SignalQueue: ~Copyable, Sendable {
    /// Readable while a signal waits.
    public let descriptor: Descriptor

    /// Blocks the signals in the calling thread and queues them. Call it before any other thread starts: threads
    /// inherit what is blocked, and a thread that does not block a signal would be killed by it.
    public init(_ signals: [Int32]) throws(SystemError) {
        let number = clinux_signalfd(signals, signals.count)
        guard number >= 0 else { throw SystemError(operation: "signalfd", subject: "", code: errno) }
        descriptor = Descriptor(adopting: number)
    }

    /// The next signal that waits; nil when none does.
    public func next() throws(SystemError) -> Int32? {
        let signal = clinux_signalfd_read(descriptor.raw)
        guard signal >= 0 else { throw SystemError(operation: "read of", subject: "signalfd", code: errno) }
        return signal == 0 ? nil : signal
    }
}
