import CLinux
import Glibc

/// An epoll(7) instance for many sockets. Each descriptor is added once, edge-triggered, and leaves by being closed:
/// whoever is told "readable" reads until it would block.
public struct EventPoll: ~Copyable, Sendable {
    /// What happened to one descriptor.
    public struct Event: Sendable, Equatable {
        /// The number that it was added with.
        public var token: UInt64
        public var isReadable: Bool
        public var isWritable: Bool
        /// The peer has ended its side; what it sent before is still to be read.
        public var peerEnded: Bool
        /// It failed, or both sides have ended.
        public var failed: Bool
    }

    /// Most events of one wait.
    public static let eventMaximum = 256

    private let descriptor: Descriptor

    public init() throws(SystemError) {
        let number = clinux_epoll()
        guard number >= 0 else { throw SystemError(operation: "epoll_create1", subject: "", code: errno) }
        descriptor = Descriptor(adopting: number)
    }

    /// Begins to watch; `token` comes back with each event.
    public func add(_ watched: Int32, token: UInt64) throws(SystemError) {
        guard clinux_epoll_add(descriptor.raw, watched, token) == 0 else {
            throw SystemError(operation: "epoll_ctl", subject: "descriptor \(watched)", code: errno)
        }
    }

    /// Waits at most that long for events, 0 looks only; `events` is replaced.
    public func wait(milliseconds: Int32, into events: inout [Event]) throws(SystemError) {
        events.removeAll(keepingCapacity: true)
        let failure = withUnsafeTemporaryAllocation(of: UInt64.self, capacity: Self.eventMaximum) { tokens in
            withUnsafeTemporaryAllocation(of: UInt8.self, capacity: Self.eventMaximum) { bits -> Int32 in
                guard let first = tokens.baseAddress, let firstBits = bits.baseAddress else { return EINVAL }
                let count = clinux_epoll_wait(
                    descriptor.raw, first, firstBits, Int32(Self.eventMaximum), milliseconds)
                guard count >= 0 else { return errno == EINTR ? 0 : errno }
                for index in 0..<Int(count) {
                    let seen = bits[index]
                    events.append(
                        Event(
                            token: tokens[index], isReadable: seen & 1 != 0, isWritable: seen & 2 != 0,
                            peerEnded: seen & 4 != 0, failed: seen & 8 != 0))
                }
                return 0
            }
        }
        guard failure == 0 else { throw SystemError(operation: "epoll_wait", subject: "", code: failure) }
    }
}
