import Basics
import CFuse
import Glibc
public import LinuxSystem

/// The volume as one file, `volume`, in the directory that a FUSE mount shows.
///
/// libfuse negotiates and answers the rare requests; the four of the data path are read and answered here. One thread
/// owns it; nothing here blocks. Every answer is whole or an error, never short (`Docs/Faults.md`).
public struct FuseSession: ~Copyable {
    /// The name of the one file.
    public static let fileName = "volume"
    /// Bytes that must be free before the page that `receive` is given: the request's two headers.
    public static let headroom = MemoryLayout<fuse_in_header>.size + MemoryLayout<fuse_write_in>.size

    private let session: OpaquePointer
    private let identity: Unmanaged<FuseIdentity>
    private let size: UInt64
    /// The descriptor, for the ring to poll. Closed with the session.
    public let descriptor: Int32
    /// Set when the grant that the session belongs to has ended: everything is answered EIO from then on, for ever.
    public private(set) var isOver = false

    /// Takes over `descriptor`, of a mount on which nobody has read yet, for a volume of `size` bytes.
    public init(adopting descriptor: consuming Descriptor, size: UInt64) throws(SystemError) {
        let raw = descriptor.raw
        let flags = fcntl(raw, F_GETFL)
        guard flags >= 0, fcntl(raw, F_SETFL, flags | O_NONBLOCK) == 0 else {
            throw SystemError(operation: "fcntl", subject: "/dev/fuse", code: errno)
        }
        let identity = Unmanaged.passRetained(FuseIdentity(size: size))
        var operations = FuseIdentity.operations
        guard let session = FuseIdentity.makeSession(&operations, identity.toOpaque()) else {
            identity.release()
            throw SystemError(operation: "fuse_session_new", subject: "", code: ENOMEM)
        }
        // libfuse owns a descriptor that it is told of in this form, and closes it with the session.
        let owned = dup(raw)
        guard owned >= 0, fuse_session_mount(session, "/dev/fd/\(owned)") == 0 else {
            let code = errno
            if owned >= 0 { _ = close(owned) }
            fuse_session_destroy(session)
            identity.release()
            throw SystemError(operation: "fuse_session_mount", subject: "/dev/fuse", code: code)
        }
        _ = fcntl(owned, F_SETFD, FD_CLOEXEC)
        self.session = session
        self.identity = identity
        self.size = size
        self.descriptor = owned
    }

    /// Answers EIO to every later request of the data path.
    public mutating func end() { isOver = true }

    /// Reads one request. `page` is page-aligned, with `headroom` bytes before it and `BlockSize.requestMaximum` after.
    public mutating func receive(page: UnsafeMutableRawPointer) -> FuseRequest {
        let start = page - Self.headroom
        let count = Glibc.read(descriptor, start, Self.headroom + Int(BlockSize.requestMaximum))
        guard count >= MemoryLayout<fuse_in_header>.size else {
            if count >= 0 { return .ended }
            switch errno {
            case EAGAIN: return .none
            // ENOENT: the request was taken back before we read it.
            case EINTR, ENOENT: return .handled
            default: return .ended
            }
        }
        let opcode = start.loadUnaligned(fromByteOffset: 4, as: UInt32.self)
        let unique = start.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
        switch opcode {
        case FUSE_WRITE.rawValue: return write(start, count, unique)
        case FUSE_READ.rawValue: return read(start, count, unique)
        case FUSE_FSYNC.rawValue: return isOver ? refuse(unique, .inputOutput) : .flush(unique: unique)
        case FUSE_FALLOCATE.rawValue: return allocate(start, count, unique)
        // Not shown to libfuse, which does not know our requests. A request that was interrupted is answered as
        // any other: its writer waits that long.
        case FUSE_INTERRUPT.rawValue: return .handled
        default:
            var buffer = fuse_buf()
            buffer.mem = start
            buffer.size = count
            fuse_session_process_buf(session, &buffer)
            return fuse_session_exited(session) != 0 ? .ended : .handled
        }
    }

    private func write(_ start: UnsafeMutableRawPointer, _ count: Int, _ unique: UInt64) -> FuseRequest {
        guard count >= Self.headroom, !isOver else { return refuse(unique, .inputOutput) }
        let header = (start + 40).loadUnaligned(as: fuse_write_in.self)
        guard Int(header.size) == count - Self.headroom else { return refuse(unique, .inputOutput) }
        guard header.offset <= size, UInt64(header.size) <= size - header.offset else {
            return refuse(unique, .noSpace)
        }
        if header.size == 0 { return written(unique, count: 0) }
        return .write(unique: unique, ByteRange(offset: header.offset, length: UInt64(header.size)))
    }

    private func read(_ start: UnsafeMutableRawPointer, _ count: Int, _ unique: UInt64) -> FuseRequest {
        guard count >= Self.headroom, !isOver else { return refuse(unique, .inputOutput) }
        let header = (start + 40).loadUnaligned(as: fuse_read_in.self)
        guard UInt64(header.size) <= BlockSize.requestMaximum else { return refuse(unique, .inputOutput) }
        // Past the end there is nothing, which is no short answer: the file ends there.
        let length = header.offset >= size ? 0 : min(UInt64(header.size), size - header.offset)
        if length == 0 {
            reply(unique, error: 0)
            return .handled
        }
        return .read(unique: unique, ByteRange(offset: header.offset, length: length))
    }

    private func allocate(_ start: UnsafeMutableRawPointer, _ count: Int, _ unique: UInt64) -> FuseRequest {
        guard count >= 40 + MemoryLayout<fuse_fallocate_in>.size, !isOver else {
            return refuse(unique, .inputOutput)
        }
        let header = (start + 40).loadUnaligned(as: fuse_fallocate_in.self)
        let (end, overflow) = header.offset.addingReportingOverflow(header.length)
        let keepSize: UInt32 = 1  // FALLOC_FL_*, of linux/falloc.h
        let punchHole: UInt32 = 2
        let zeroRange: UInt32 = 16
        guard !overflow else { return refuse(unique, .noSpace) }
        let fits = end <= size
        switch header.mode {
        case 0 where fits, keepSize where fits:
            // The volume is allocated as a whole.
            return succeed(unique)
        case 0, keepSize: return refuse(unique, .noSpace)
        case zeroRange where !fits: return refuse(unique, .noSpace)
        case punchHole | keepSize, zeroRange, zeroRange | keepSize:
            guard header.offset < min(end, size) else { return succeed(unique) }
            let length = min(end, size) - header.offset
            return .zero(unique: unique, ByteRange(offset: header.offset, length: length))
        default: return refuse(unique, .notSupported)
        }
    }

    private func refuse(_ unique: UInt64, _ error: FuseError) -> FuseRequest {
        reply(unique, error: error.rawValue)
        return .handled
    }

    private func succeed(_ unique: UInt64) -> FuseRequest {
        reply(unique, error: 0)
        return .handled
    }

    private func written(_ unique: UInt64, count: UInt32) -> FuseRequest {
        replyWritten(unique, count: count)
        return .handled
    }

    /// Answers a flush or a zero: done.
    public func replyDone(_ unique: UInt64) { reply(unique, error: 0) }

    /// Answers anything with an error.
    public func replyFailed(_ unique: UInt64, _ error: FuseError = .inputOutput) {
        reply(unique, error: error.rawValue)
    }

    /// Answers a write: all of its `count` bytes are written.
    public func replyWritten(_ unique: UInt64, count: UInt32) {
        var answer = (
            fuse_out_header(len: 24, error: 0, unique: unique), fuse_write_out(size: count, padding: 0)
        )
        send(&answer, 24)
    }

    /// Answers a read with `count` bytes at `page`: the whole of its range. Overwrites the 16 bytes before it.
    public func replyRead(_ unique: UInt64, page: UnsafeMutableRawPointer, count: Int) {
        let start = page - MemoryLayout<fuse_out_header>.size
        start.storeBytes(of: UInt32(16 + count), toByteOffset: 0, as: UInt32.self)
        start.storeBytes(of: 0, toByteOffset: 4, as: Int32.self)
        start.storeBytes(of: unique, toByteOffset: 8, as: UInt64.self)
        send(start, 16 + count)
    }

    private func reply(_ unique: UInt64, error: Int32) {
        var answer = fuse_out_header(len: 16, error: -error, unique: unique)
        send(&answer, 16)
    }

    private func send(_ bytes: UnsafeRawPointer, _ count: Int) {
        // ENOENT: the request is gone, with its mount or its caller. ENODEV: the session is. Nobody waits in either.
        while Glibc.write(descriptor, bytes, count) < 0 && errno == EINTR {}
    }

    deinit {
        fuse_session_destroy(session)
        identity.release()
    }
}
