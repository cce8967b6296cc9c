import CLinux
import Glibc
import LinuxSystem

/// A byte queue whose free part and whose used part are each one piece of memory, always.
///
/// Its pages are mapped twice in a row, so a region may run over the end. Bytes never move: a region that the kernel
/// was given (a receive or a send in flight) stays where it is while the other end of the queue is used.
struct MirrorBuffer: ~Copyable {
    private let base: UnsafeMutableRawPointer
    /// A multiple of the page size.
    let capacity: Int
    private var head = 0
    /// How many bytes lie in it.
    private(set) var count = 0

    /// Maps at least `minimum` bytes.
    init(minimum: Int) throws(SystemError) {
        let page = Int(sysconf(Int32(_SC_PAGESIZE)))
        let capacity = (max(1, minimum) + page - 1) / page * page
        guard let base = clinux_mirror_map(capacity) else {
            throw SystemError(operation: "map", subject: "a buffer of \(capacity) bytes", code: errno)
        }
        self.base = base
        self.capacity = capacity
    }

    /// How many more bytes fit.
    var room: Int { capacity - count }

    /// The bytes that lie in it, oldest first.
    var used: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base + head, count: count) }

    /// The room behind them.
    var free: UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(start: base + (head + count) % capacity, count: room)
    }

    /// Takes over `count` bytes that were written into `free`.
    mutating func fill(_ count: Int) {
        precondition(count >= 0 && count <= room, "more bytes than there was room")
        self.count += count
    }

    /// Drops the `count` oldest bytes.
    mutating func drop(_ count: Int) {
        precondition(count >= 0 && count <= self.count, "more bytes than there were")
        head = (head + count) % capacity
        self.count -= count
    }

    /// Starts from the first byte again if it is empty, so that a queue that is often empty stays in the cache. Not
    /// while the kernel holds a region of it.
    mutating func rewindIfEmpty() {
        if count == 0 { head = 0 }
    }

    deinit { clinux_mirror_unmap(base, capacity) }
}
