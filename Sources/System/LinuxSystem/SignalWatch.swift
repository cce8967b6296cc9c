import Basics

/// Waits for signals on a thread of its own.
public final class SignalWatch: Sendable {
    private let signals: SignalQueue
    private let end: EventCounter

    /// Blocks the signals in the calling thread and all that it starts from now on: call it before any other starts.
    public init(_ numbers: [Int32]) throws(SystemError) {
        signals = try SignalQueue(numbers)
        end = try EventCounter()
    }

    /// Calls `body` at the first signal that is not `repeated`, and at each that is what stands beside it; returns after
    /// `body`, or after `stop`.
    public func run(repeated: [Int32: () -> Void] = [:], _ body: () -> Void) {
        var poll = PollSet()
        poll.add(signals.descriptor.raw, .readable)
        let ending = poll.add(end.descriptor.raw, .readable)
        do throws(SystemError) {
            while true {
                try poll.wait(until: .never)
                while let signal = try signals.next() {
                    guard let again = repeated[signal] else { return body() }
                    again()
                }
                if poll.ready(at: ending).contains(.readable) { return }
            }
        } catch {
            // Without signals nobody could end the process in order: end it now.
            body()
        }
    }

    /// Lets `run` return. Any thread.
    public func stop() { end.signal() }
}
