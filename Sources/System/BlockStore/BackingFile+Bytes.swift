public import Basics
import CLinux
import Glibc
public import LinuxSystem

/// How data reaches a backing file.
public enum BackingAccess: Sendable, Equatable {
    /// Past the page cache (O_DIRECT).
    case direct
    /// Through the page cache.
    case buffered
}

/// A regular file or block device that holds bytes for a volume, used by one process only.
///
/// Calls here continue short results and may block; the event loop gives aligned requests to its ring through
/// `descriptor` instead. The caller sees to it that no two requests under way touch the same 4 KiB block.
public struct BackingFile: ~Copyable, Sendable {
    /// Where it is.
    public let path: String
    /// Bytes that may be used, from the file's start.
    public let size: UInt64
    public let isBlockDevice: Bool
    public let access: BackingAccess
    /// What offset, length and address of a request through `descriptor` must be a multiple of, in bytes.
    public let alignment: UInt64
    private let file: Descriptor
    /// Holds the lock for as long as the file is open; nil when buffered, where `file` holds it.
    private let lock: Descriptor?

    /// The file's number, for a ring; good while this owner lives.
    public var descriptor: Int32 { file.raw }

    private init(
        path: String, size: UInt64, isBlockDevice: Bool, access: BackingAccess, file: consuming Descriptor,
        lock: consuming Descriptor?
    ) {
        self.path = path
        self.size = size
        self.isBlockDevice = isBlockDevice
        self.access = access
        alignment = access == .direct ? UInt64(clinux_direct_alignment(file.raw)) : 1
        self.file = file
        self.lock = lock
    }

    /// Opens what is there, with at least `size` bytes (all of them when nil), and keeps every other daemon out.
    ///
    /// `wanted` nil: direct where the file system can, else buffered.
    public static func open(
        _ path: String, size: UInt64?, access wanted: BackingAccess? = nil
    ) throws(BackingError) -> BackingFile {
        let locked = Descriptor(adopting: try openExclusively(path))
        let kind = clinux_is_block_device(locked.raw)
        guard kind >= 0 else { throw .wrongKind(path: path) }
        if clinux_lock_exclusive(locked.raw) != 0 {
            if errno == EWOULDBLOCK { throw .inUse(path: path) }
            throw .failed(SystemError(operation: "flock", subject: path, code: errno))
        }
        let has = clinux_file_size(locked.raw)
        guard has >= 0 else { throw .failed(SystemError(operation: "stat", subject: path, code: errno)) }
        let needs = size ?? UInt64(has)
        guard UInt64(has) >= needs else { throw .tooSmall(path: path, has: UInt64(has), needs: needs) }
        if wanted == .buffered || (wanted == nil && clinux_is_memory_file(locked.raw) == 1) {
            return BackingFile(
                path: path, size: needs, isBlockDevice: kind == 1, access: .buffered, file: locked, lock: nil)
        }
        let direct = clinux_open(path, O_RDWR | O_CLOEXEC | clinux_o_direct, 0)
        if direct >= 0 {
            return BackingFile(
                path: path, size: needs, isBlockDevice: kind == 1, access: .direct,
                file: Descriptor(adopting: direct), lock: locked)
        }
        if wanted == .direct {
            throw .failed(SystemError(operation: "open with O_DIRECT", subject: path, code: errno))
        }
        return BackingFile(
            path: path, size: needs, isBlockDevice: kind == 1, access: .buffered, file: locked, lock: nil)
    }

    private static func openExclusively(_ path: String) throws(BackingError) -> Int32 {
        // O_EXCL without O_CREAT: a block device that is mounted or otherwise claimed is refused. No meaning for
        // a regular file. O_NONBLOCK: a pipe must not hang us before it is refused.
        let number = clinux_open(path, O_RDWR | O_CLOEXEC | O_EXCL | O_NONBLOCK, 0)
        guard number < 0 else { return number }
        switch errno {
        case ENOENT: throw .missing(path: path)
        case EBUSY: throw .inUse(path: path)
        case EISDIR, ENXIO: throw .wrongKind(path: path)
        default: throw .failed(SystemError(operation: "open", subject: path, code: errno))
        }
    }

    /// Makes a file of `size` bytes, all of them allocated: `contents`, then zeroes. It has its name only when it is whole
    /// and durable, and the name is durable on return. Leaves nothing when it fails.
    public static func create(
        _ path: String, size: UInt64, contents: [UInt8] = [], disk: CreationDisk = CreationDisk()
    ) throws(BackingError) {
        if Glibc.access(path, F_OK) == 0 { throw .exists(path: path) }
        let draft = path + ".new"
        _ = unlink(draft)
        let number = clinux_open(draft, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard number >= 0 else { throw .failed(SystemError(operation: "create", subject: path, code: errno)) }
        let file = Descriptor(adopting: number)
        do throws(BackingError) {
            try reserve(file.raw, path, size)
            try fill(file.raw, path, contents)
            disk.recorder?(.written(path))
            if !disk.omitted.contains(.contents) {
                guard fsync(file.raw) == 0 else {
                    throw BackingError.failed(SystemError(operation: "fsync", subject: path, code: errno))
                }
                disk.recorder?(.synced(path, .contents))
            }
            guard clinux_rename_new(draft, path) == 0 else {
                if errno == EEXIST { throw BackingError.exists(path: path) }
                throw BackingError.failed(SystemError(operation: "rename to", subject: path, code: errno))
            }
            disk.recorder?(.named(path))
        } catch {
            _ = unlink(draft)
            throw error
        }
        guard !disk.omitted.contains(.name) else { return }
        do throws(BackingError) { try syncDirectory(of: path) } catch {
            remove(path)
            throw error
        }
        disk.recorder?(.synced(path, .name))
    }

    private static func fill(_ file: Int32, _ path: String, _ contents: [UInt8]) throws(BackingError) {
        var done = 0
        while done < contents.count {
            let count = contents.withUnsafeBytes {
                pwrite(file, $0.baseAddress.map { $0 + done }, contents.count - done, off_t(done))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                throw .failed(SystemError(operation: "write", subject: path, code: errno))
            }
            done += count
        }
    }

    /// Removes the name, if it is there: the undo of `create`.
    public static func remove(_ path: String) { _ = unlink(path) }

    /// Allocates every byte of the file, keeping what is there: a volume must not run out of space later.
    public func reserve() throws(BackingError) {
        if !isBlockDevice { try Self.reserve(file.raw, path, size) }
    }

    private static func reserve(_ file: Int32, _ path: String, _ size: UInt64) throws(BackingError) {
        while clinux_fallocate(file, 0, 0, size) != 0 {
            switch errno {
            case EINTR: continue
            case ENOSPC, EDQUOT, EFBIG: throw .noSpace(path: path, needs: size)
            default: throw .failed(SystemError(operation: "fallocate", subject: path, code: errno))
            }
        }
    }

    /// Makes the names in the directory of `path` durable.
    public static func syncDirectory(of path: String) throws(BackingError) {
        let cut = path.lastIndex(of: "/")
        let name = cut.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let number = clinux_open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
        guard number >= 0 else { throw .failed(SystemError(operation: "open", subject: name, code: errno)) }
        let directory = Descriptor(adopting: number)
        guard fsync(directory.raw) == 0 else {
            throw .failed(SystemError(operation: "fsync", subject: name, code: errno))
        }
    }

    /// Whether a request of this range, from a page-aligned buffer, may go through `descriptor` as it is.
    public func isAligned(_ range: ByteRange) -> Bool { (range.offset | range.length) & (alignment - 1) == 0 }

    /// Writes the whole range from `bytes`, or throws: then any part of it may have been written.
    public func write(_ bytes: UnsafeRawPointer, _ range: ByteRange) throws(SystemError) {
        precondition(range.end <= size, "a write past the end of the volume")
        if isAligned(range) && UInt(bitPattern: bytes) & UInt(alignment - 1) == 0 {
            return try writeAll(bytes, range)
        }
        // The page cache would be a second way to the same blocks, and a stale page of it a lost write: the rest of
        // the blocks is read and written with the range.
        let whole = try widened(range)
        let scratch = try PageBuffer(count: Int(whole.length))
        try readAll(scratch.base, whole)
        (scratch.base + Int(range.offset - whole.offset)).copyMemory(
            from: bytes, byteCount: Int(range.length))
        try writeAll(scratch.base, whole)
    }

    /// Reads the whole range into `bytes`, or throws.
    public func read(_ bytes: UnsafeMutableRawPointer, _ range: ByteRange) throws(SystemError) {
        precondition(range.end <= size, "a read past the end of the volume")
        if isAligned(range) && UInt(bitPattern: bytes) & UInt(alignment - 1) == 0 {
            return try readAll(bytes, range)
        }
        let whole = try widened(range)
        let scratch = try PageBuffer(count: Int(whole.length))
        try readAll(scratch.base, whole)
        bytes.copyMemory(from: scratch.base + Int(range.offset - whole.offset), byteCount: Int(range.length))
    }

    /// Makes the range read as zeroes, keeping it allocated. On a block device too: never a mere discard.
    public func zero(_ range: ByteRange) throws(SystemError) {
        precondition(range.end <= size, "zeroes past the end of the volume")
        let inner = innerBlocks(range)
        if inner.length > 0 && !fallocateZero(inner) { try writeZeroes(inner) }
        if inner.length == 0 { return try writeZeroes(range) }
        if range.offset < inner.offset {
            try writeZeroes(ByteRange(offset: range.offset, length: inner.offset - range.offset))
        }
        if inner.end < range.end {
            try writeZeroes(ByteRange(offset: inner.end, length: range.end - inner.end))
        }
    }

    /// The whole 4 KiB blocks of the range, which a ring may zero by fallocate(2); empty when there are none.
    public func innerBlocks(_ range: ByteRange) -> ByteRange {
        let start = (range.offset + BlockSize.block - 1) & ~(BlockSize.block - 1)
        let end = range.end & ~(BlockSize.block - 1)
        return ByteRange(offset: start, length: end > start ? end - start : 0)
    }

    /// The mode that fallocate(2) zeroes with: the bytes stay allocated, the size stays.
    public static var zeroMode: Int32 { 0x10 | 0x01 }  // FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE

    private func fallocateZero(_ range: ByteRange) -> Bool {
        while true {
            if clinux_fallocate(file.raw, Self.zeroMode, range.offset, range.length) == 0 { return true }
            if errno != EINTR { return false }
        }
    }

    /// Writes zero bytes over the range.
    public func writeZeroes(_ range: ByteRange) throws(SystemError) {
        let piece = try PageBuffer(count: Int(min(range.length, BlockSize.requestMaximum)))
        var offset = range.offset
        while offset < range.end {
            let length = min(UInt64(piece.count), range.end - offset)
            try write(piece.base, ByteRange(offset: offset, length: length))
            offset += length
        }
    }

    /// fdatasync(2). After an error nothing written before may be taken for durable, whatever a later call says.
    public func dataSync() throws(SystemError) {
        guard fdatasync(file.raw) == 0 else {
            throw SystemError(operation: "fdatasync", subject: path, code: errno)
        }
    }

    private func widened(_ range: ByteRange) throws(SystemError) -> ByteRange {
        let whole = range.aligned(to: alignment)
        guard whole.end <= size else {
            throw SystemError(operation: "align a request of", subject: path, code: EINVAL)
        }
        return whole
    }

    private func writeAll(_ bytes: UnsafeRawPointer, _ range: ByteRange) throws(SystemError) {
        var done = 0
        while done < Int(range.length) {
            let offset = off_t(range.offset) + off_t(done)
            let count = pwrite(file.raw, bytes + done, Int(range.length) - done, offset)
            if count < 0 && errno == EINTR { continue }
            // Nothing written and no error: asking again would go on for ever.
            let code = count == 0 ? ENOSPC : errno
            guard count > 0 else { throw SystemError(operation: "write", subject: path, code: code) }
            done += count
        }
    }

    private func readAll(_ bytes: UnsafeMutableRawPointer, _ range: ByteRange) throws(SystemError) {
        var done = 0
        while done < Int(range.length) {
            let offset = off_t(range.offset) + off_t(done)
            let count = pread(file.raw, bytes + done, Int(range.length) - done, offset)
            if count < 0 && errno == EINTR { continue }
            // The file ends early: it was cut behind our back.
            let code = count == 0 ? EIO : errno
            guard count > 0 else { throw SystemError(operation: "read", subject: path, code: code) }
            done += count
        }
    }

    /// pread(2) of what lies in the page cache: false when a part does not, or the file is direct.
    public func readCached(_ bytes: UnsafeMutableRawPointer, _ range: ByteRange) -> Bool {
        access == .buffered
            && clinux_pread_cached(file.raw, bytes, Int(range.length), range.offset) == Int(range.length)
    }
}
