public import Basics
import CLinux
import Glibc

/// What to wait for on a descriptor, and what came.
public struct PollEvents: OptionSet, Sendable, Hashable {
    public let rawValue: Int16

    public init(rawValue: Int16) { self.rawValue = rawValue }

    /// A read would not block; the end of the stream counts.
    public static let readable = PollEvents(rawValue: Int16(POLLIN))
    /// A write would not block, or a connection attempt has ended.
    public static let writable = PollEvents(rawValue: Int16(POLLOUT))
    /// An error or a hang-up; reported without being asked for. Read or write to learn which.
    public static let failed = PollEvents(rawValue: Int16(POLLERR))
}

/// The descriptors that one thread waits for: poll(2).
///
/// Fill it anew for each wait: the set is small (a witness has at most some hundred), and no stale entry can stay.
public struct PollSet: Sendable {
    private var entries: [pollfd] = []

    public init() {}

    /// Forgets every entry and keeps the room.
    public mutating func removeAll() { entries.removeAll(keepingCapacity: true) }

    /// Adds a descriptor and returns its place.
    @discardableResult
    public mutating func add(_ descriptor: Int32, _ interest: PollEvents) -> Int {
        entries.append(pollfd(fd: descriptor, events: interest.rawValue, revents: 0))
        return entries.count - 1
    }

    /// Waits until one is ready or `deadline` has come. Returns how many are ready: 0 at the deadline.
    @discardableResult
    public mutating func wait(until deadline: Instant) throws(SystemError) -> Int {
        while true {
            let left = deadline == .never ? UInt64.max : deadline.since(.now()).nanoseconds
            let count = clinux_poll(&entries, entries.count, left)
            if count > 0 { return Int(count) }
            if count < 0 && errno != EINTR { throw SystemError(operation: "poll", subject: "", code: errno) }
            if Instant.now() >= deadline {
                for index in entries.indices { entries[index].revents = 0 }
                return 0
            }
        }
    }

    /// What came on the descriptor at `place`.
    public func ready(at place: Int) -> PollEvents {
        let came = entries[place].revents
        // Three bits of the kernel's for one thing, so that `contains(.failed)` means any of them.
        let failures = Int16(POLLERR | POLLHUP | POLLNVAL)
        let events = PollEvents(rawValue: came & ~failures)
        return came & failures == 0 ? events : events.union(.failed)
    }
}

extension Instant {
    /// Reads the machine's CLOCK_BOOTTIME.
    public static func now() -> Instant { Instant(nanoseconds: clinux_boottime()) }
}
