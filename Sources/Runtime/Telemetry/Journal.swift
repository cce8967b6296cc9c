public import Logging
import Synchronization

/// The journal of every decision: the last events in memory, and each as a line of the log.
///
/// Any thread may record and read. Recording takes a lock for a moment and writes one line to the log after it; it is
/// not for the path of a request.
public final class Journal: Sendable {
    /// Events kept; the oldest goes first.
    public static let capacity = 1000

    private struct State {
        var events: [JournalEvent] = []
        /// Where the oldest event is once `events` is full.
        var oldest = 0
        var next: UInt64 = 1
        var observers: [UInt64: @Sendable () -> Void] = [:]
        var nextObserver: UInt64 = 1
    }

    private let state = Mutex(State())
    private let logger: Logger?

    /// A journal that writes its lines through `logger`; nil keeps them in memory only.
    public init(logger: Logger?) { self.logger = logger }

    /// A journal whose lines go to standard error and begin with `label`.
    public convenience init(label: String) {
        self.init(logger: Logger(label: label) { StandardErrorLog(label: $0) })
    }

    /// Notes an event: its name in words joined by `-`, and keys with their values.
    public func record(
        _ name: String, level: JournalLevel = .notice,
        _ fields: KeyValuePairs<String, any CustomStringConvertible> = [:]
    ) {
        let list = fields.map { JournalEvent.Field(key: $0.key, value: "\($0.value)") }
        let (event, observers) = state.withLock { state -> (JournalEvent, [@Sendable () -> Void]) in
            let event = JournalEvent(
                sequence: state.next, time: .now(), level: level, name: name, fields: list)
            state.next += 1
            if state.events.count < Self.capacity {
                state.events.append(event)
            } else {
                state.events[state.oldest] = event
                state.oldest = (state.oldest + 1) % Self.capacity
            }
            return (event, Array(state.observers.values))
        }
        logger?.log(level: level.logLevel, "\(event.text)")
        for observer in observers { observer() }
    }

    /// The events after that sequence number that are still kept, oldest first, at most `limit`: the newest of them.
    public func events(after sequence: UInt64 = 0, limit: Int = Journal.capacity) -> [JournalEvent] {
        state.withLock { state in
            let ordered = state.events[state.oldest...] + state.events[..<state.oldest]
            return Array(ordered.drop { $0.sequence <= sequence }.suffix(limit))
        }
    }

    /// Calls `body` after each event, on the thread that recorded it, which must not be kept waiting and must not
    /// record in turn. The number undoes it.
    public func observe(_ body: @escaping @Sendable () -> Void) -> UInt64 {
        state.withLock { state in
            defer { state.nextObserver += 1 }
            state.observers[state.nextObserver] = body
            return state.nextObserver
        }
    }

    /// Ends what `observe` began.
    public func stopObserving(_ number: UInt64) {
        state.withLock { state in state.observers[number] = nil }
    }
}

extension JournalLevel {
    var logLevel: Logger.Level {
        switch self {
        case .notice: .notice
        case .warning: .warning
        case .error: .error
        }
    }
}
