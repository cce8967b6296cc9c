public import Basics
import CUring
import Glibc

/// An io_uring of one thread: operations go in, completions come out under the tag that they were given.
///
/// Make it on the thread that uses it. Memory and descriptors of an operation must outlive its completion.
public struct Ring: ~Copyable {
    /// What ended: the tag that was given, and the call's result (a count, or a negative errno).
    public struct Completion: Sendable, Equatable {
        public let tag: UInt64
        public let result: Int32
    }

    private var ring = io_uring()
    /// Operations that were given in and have not been taken out.
    public private(set) var inFlight = 0

    /// A ring with room for `entries` operations between two submissions.
    public init(entries: UInt32) throws(SystemError) {
        // One thread only, which runs the kernel's deferred work when it waits and is never interrupted for it: from
        // 6.1 on. An older kernel refuses the flags and gets a plain ring.
        let preferred = UInt32(IORING_SETUP_SINGLE_ISSUER) | UInt32(IORING_SETUP_DEFER_TASKRUN)
        var code = io_uring_queue_init(entries, &ring, preferred)
        if code == -EINVAL { code = io_uring_queue_init(entries, &ring, 0) }
        guard code == 0 else { throw SystemError(operation: "io_uring_setup", subject: "", code: -code) }
    }

    private mutating func entry() -> UnsafeMutablePointer<io_uring_sqe> {
        while true {
            if let entry = io_uring_get_sqe(&ring) {
                inFlight += 1
                return entry
            }
            // The queue is full of what was not submitted yet.
            io_uring_submit(&ring)
        }
    }

    /// Completes once when `descriptor` is readable (or has failed); result: the poll events.
    public mutating func pollReadable(_ descriptor: Int32, tag: UInt64) {
        let entry = entry()
        io_uring_prep_poll_add(entry, descriptor, UInt32(POLLIN))
        io_uring_sqe_set_data64(entry, tag)
    }

    /// pread(2). `aside`: by a thread of the kernel's, even if the bytes are in memory, so that a long copy runs beside
    /// the caller.
    public mutating func read(
        _ descriptor: Int32, into bytes: UnsafeMutableRawPointer, count: Int, at offset: UInt64, tag: UInt64,
        aside: Bool = false
    ) {
        let entry = entry()
        io_uring_prep_read(entry, descriptor, bytes, UInt32(count), offset)
        io_uring_sqe_set_data64(entry, tag)
        if aside { entry.pointee.flags |= 1 << 4 }  // IOSQE_ASYNC
    }

    /// pwrite(2).
    public mutating func write(
        _ descriptor: Int32, from bytes: UnsafeRawPointer, count: Int, at offset: UInt64, tag: UInt64
    ) {
        let entry = entry()
        io_uring_prep_write(entry, descriptor, bytes, UInt32(count), offset)
        io_uring_sqe_set_data64(entry, tag)
    }

    /// fdatasync(2). It covers writes that were completed before it was given in, not those in flight.
    public mutating func dataSync(_ descriptor: Int32, tag: UInt64) {
        let entry = entry()
        io_uring_prep_fsync(entry, descriptor, UInt32(IORING_FSYNC_DATASYNC))
        io_uring_sqe_set_data64(entry, tag)
    }

    /// fallocate(2).
    public mutating func allocate(_ descriptor: Int32, mode: Int32, range: ByteRange, tag: UInt64) {
        let entry = entry()
        io_uring_prep_fallocate(entry, descriptor, mode, off_t(range.offset), off_t(range.length))
        io_uring_sqe_set_data64(entry, tag)
    }

    /// recv(2) of what is there, waiting until something is.
    public mutating func receive(
        _ socket: Int32, into bytes: UnsafeMutableRawPointer, count: Int, tag: UInt64
    ) {
        let entry = entry()
        io_uring_prep_recv(entry, socket, bytes, count, 0)
        io_uring_sqe_set_data64(entry, tag)
    }

    /// send(2), waiting for room; may take less than all.
    public mutating func send(_ socket: Int32, from bytes: UnsafeRawPointer, count: Int, tag: UInt64) {
        let entry = entry()
        io_uring_prep_send(entry, socket, bytes, count, Int32(MSG_NOSIGNAL))
        io_uring_sqe_set_data64(entry, tag)
    }

    /// sendmsg(2) of a gathered message, waiting for room; may take less than all. The list stays as it is until then.
    public mutating func send(_ socket: Int32, gathered list: borrowing GatherList, tag: UInt64) {
        let entry = entry()
        io_uring_prep_sendmsg(entry, socket, list.message(), UInt32(MSG_NOSIGNAL))
        io_uring_sqe_set_data64(entry, tag)
    }

    /// Asks the kernel to give up the operation with that tag; it then completes with -ECANCELED, or as it did.
    public mutating func cancel(_ target: UInt64, tag: UInt64) {
        let entry = entry()
        io_uring_prep_cancel64(entry, target, 0)
        io_uring_sqe_set_data64(entry, tag)
    }

    /// Gives in what is prepared and waits until something has completed or `deadline` has come.
    public mutating func wait(until deadline: Instant) throws(SystemError) {
        var first: UnsafeMutablePointer<io_uring_cqe>?
        var code: Int32
        if deadline == .never {
            code = io_uring_submit_and_wait(&ring, 1)
        } else {
            let left = deadline.since(.now()).nanoseconds
            var limit = __kernel_timespec(
                tv_sec: Int64(left / 1_000_000_000), tv_nsec: Int64(left % 1_000_000_000))
            code = io_uring_submit_and_wait_timeout(&ring, &first, left == 0 ? 0 : 1, &limit, nil)
        }
        if code < 0 && code != -ETIME && code != -EINTR && code != -EAGAIN && code != -EBUSY {
            throw SystemError(operation: "io_uring_enter", subject: "", code: -code)
        }
    }

    /// The next completion that is there; makes no system call.
    public mutating func next() -> Completion? {
        guard io_uring_cq_ready(&ring) > 0 else { return nil }
        var entry: UnsafeMutablePointer<io_uring_cqe>?
        guard io_uring_peek_cqe(&ring, &entry) == 0, let entry else { return nil }
        let completion = Completion(tag: io_uring_cqe_get_data64(entry), result: entry.pointee.res)
        io_uring_cqe_seen(&ring, entry)
        inFlight -= 1
        return completion
    }

    deinit {
        var ring = ring
        io_uring_queue_exit(&ring)
    }
}
