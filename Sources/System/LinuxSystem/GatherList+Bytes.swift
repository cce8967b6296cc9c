import Glibc

/// Runs of memory that leave in one sendmsg(2), in order; a short send is continued from where it stopped.
///
/// The memory stays the caller's and must not change until it has been sent.
public struct GatherList: ~Copyable {
    /// Runs that the kernel takes in one call (IOV_MAX).
    public static let runMaximum = 1024

    private let runs: UnsafeMutablePointer<iovec>
    private let header: UnsafeMutablePointer<msghdr>
    private var first = 0
    private var end = 0
    /// Bytes that have not been sent.
    public private(set) var byteCount = 0

    public init() {
        runs = .allocate(capacity: Self.runMaximum)
        header = .allocate(capacity: 1)
        header.initialize(to: msghdr())
    }

    /// Whether another run fits.
    public var hasRoom: Bool { end < Self.runMaximum }

    /// Adds a run; joined to the one before when it follows it in memory.
    public mutating func append(_ bytes: UnsafeMutableRawPointer, count: Int) {
        precondition(hasRoom && count > 0, "a gather list that is full, or an empty run")
        byteCount += count
        if end > first, let base = runs[end - 1].iov_base, base + runs[end - 1].iov_len == bytes {
            runs[end - 1].iov_len += count
            return
        }
        (runs + end).initialize(to: iovec(iov_base: bytes, iov_len: count))
        end += 1
    }

    /// Takes off what a send has taken.
    public mutating func advance(by sent: Int) {
        var left = sent
        byteCount -= sent
        while left > 0, first < end {
            let length = runs[first].iov_len
            if left < length {
                runs[first].iov_base += left
                runs[first].iov_len = length - left
                return
            }
            left -= length
            first += 1
        }
    }

    /// Sends what the socket takes now, without waiting, and takes it off. An error is left to the next send.
    public mutating func sendNow(_ socket: Int32) {
        guard byteCount > 0 else { return }
        let sent = sendmsg(socket, message(), Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
        if sent > 0 { advance(by: sent) }
    }

    /// Forgets all runs.
    public mutating func removeAll() {
        first = 0
        end = 0
        byteCount = 0
    }

    /// What sendmsg(2) reads; good until the list is changed.
    func message() -> UnsafeMutablePointer<msghdr> {
        header.pointee.msg_iov = runs + first
        header.pointee.msg_iovlen = end - first
        return header
    }

    deinit {
        runs.deallocate()
        header.deallocate()
    }
}
