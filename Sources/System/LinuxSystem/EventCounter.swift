import CLinux
import Glibc

/// An eventfd(2): one thread wakes another that polls. Any thread may signal.
public struct EventCounter: ~Copyable, Sendable {
    /// Readable while a signal has not been drained.
    public let descriptor: Descriptor

    public init() throws(SystemError) {
        let number = clinux_eventfd()
        guard number >= 0 else { throw SystemError(operation: "eventfd", subject: "", code: errno) }
        descriptor = Descriptor(adopting: number)
    }

    /// Wakes whoever waits. Signals that come before the drain count as one.
    public func signal() {
        var one: UInt64 = 1
        // The only failure is EAGAIN at 2^64 - 1 signals that nobody drained: the waiter is awake all the same.
        _ = write(descriptor.raw, &one, 8)
    }

    /// Takes back all signals; false when there was none.
    @discardableResult
    public func drain() -> Bool {
        var count: UInt64 = 0
        return read(descriptor.raw, &count, 8) == 8
    }
}
