import Glibc

/// Page-aligned, zeroed memory of the kernel's own (mmap), for direct I/O. One owner; not inherited by fork(2).
public struct PageBuffer: ~Copyable, @unchecked Sendable {  // The owner is the only one who has the address.
    /// The size of a page that alignment is promised to, in bytes.
    public static let pageSize = 4096

    /// The first byte; on a page boundary.
    public let base: UnsafeMutableRawPointer
    /// Bytes, a multiple of `pageSize`.
    public let count: Int

    /// Reserves `count` bytes, rounded up to whole pages; memory is taken when it is touched.
    public init(count: Int) throws(SystemError) {
        let rounded = (max(count, 1) + Self.pageSize - 1) & ~(Self.pageSize - 1)
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
        guard let base = mmap(nil, rounded, PROT_READ | PROT_WRITE, flags, -1, 0), base != MAP_FAILED else {
            throw SystemError(operation: "mmap", subject: "\(rounded) bytes", code: errno)
        }
        guard madvise(base, rounded, MADV_DONTFORK) == 0 else {
            let code = errno
            munmap(base, rounded)
            throw SystemError(operation: "madvise", subject: "\(rounded) bytes", code: code)
        }
        // Fewer entries of the processor's page table to look up while a long request is copied. Only advice.
        if rounded >= 2 << 20 { _ = madvise(base, rounded, MADV_HUGEPAGE) }
        self.base = base
        self.count = rounded
    }

    /// The whole of it.
    public var bytes: UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(start: base, count: count)
    }

    /// Copies `source` to `offset`.
    public func store(_ source: [UInt8], at offset: Int = 0) {
        precondition(offset >= 0 && offset + source.count <= count, "a store past the buffer's end")
        source.withUnsafeBytes { raw in
            if let start = raw.baseAddress { memcpy(base + offset, start, raw.count) }
        }
    }

    /// A copy of `count` bytes from `offset`.
    public func load(at offset: Int = 0, count: Int) -> [UInt8] {
        precondition(
            offset >= 0 && count >= 0 && offset + count <= self.count, "a load past the buffer's end")
        return [UInt8](UnsafeRawBufferPointer(start: base + offset, count: count))
    }

    deinit { munmap(base, count) }
}
