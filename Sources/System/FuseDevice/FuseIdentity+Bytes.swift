import Basics
import CFuse
import Glibc

/// What the rare requests are answered from: the directory, its one file and the file's size. libfuse's user data.
final class FuseIdentity: Sendable {
    private static let file: fuse_ino_t = 2
    private static let forever = 86_400.0

    private let size: UInt64

    init(size: UInt64) { self.size = size }

    private static func of(_ request: fuse_req_t?) -> FuseIdentity? {
        guard let request, let data = fuse_req_userdata(request) else { return nil }
        return Unmanaged<FuseIdentity>.fromOpaque(data).takeUnretainedValue()
    }

    private func attributes(_ inode: fuse_ino_t) -> stat? {
        var result = stat()
        result.st_ino = UInt(inode)
        result.st_blksize = Int(BlockSize.block)
        switch inode {
        case fuse_ino_t(FUSE_ROOT_ID):
            result.st_mode = S_IFDIR | 0o700
            result.st_nlink = 2
        case Self.file:
            result.st_mode = S_IFREG | 0o600
            result.st_nlink = 1
            result.st_size = off_t(size)
            result.st_blocks = Int(size / 512)
        default: return nil
        }
        return result
    }

    static func makeSession(
        _ operations: UnsafePointer<fuse_lowlevel_ops>, _ userData: UnsafeMutableRawPointer
    ) -> OpaquePointer? {
        let name = strdup("tandem")
        defer { free(name) }
        var arguments: [UnsafeMutablePointer<CChar>?] = [name, nil]
        return arguments.withUnsafeMutableBufferPointer { vector in
            var list = fuse_args(argc: 1, argv: vector.baseAddress, allocated: 0)
            defer { fuse_opt_free_args(&list) }
            return fuse_session_new(&list, operations, MemoryLayout<fuse_lowlevel_ops>.size, userData)
        }
    }

    static var operations: fuse_lowlevel_ops {
        var table = fuse_lowlevel_ops()
        table.`init` = { _, connection in
            guard let connection else { return }
            // Spliced data would lie in a pipe instead of our slot; the writeback cache would answer before us.
            let unwanted = FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE
            let caching = FUSE_CAP_WRITEBACK_CACHE | FUSE_CAP_AUTO_INVAL_DATA
            connection.pointee.want &= ~UInt32(unwanted | caching)
            connection.pointee.want |= connection.pointee.capable & UInt32(FUSE_CAP_ASYNC_DIO)
            connection.pointee.max_write = UInt32(BlockSize.requestMaximum)
            connection.pointee.max_background = 256
            connection.pointee.congestion_threshold = 192
        }
        table.lookup = { request, parent, name in
            guard let identity = FuseIdentity.of(request), let name, parent == FUSE_ROOT_ID,
                String(cString: name) == FuseSession.fileName,
                let attributes = identity.attributes(FuseIdentity.file)
            else {
                fuse_reply_err(request, ENOENT)
                return
            }
            var entry = fuse_entry_param()
            entry.ino = FuseIdentity.file
            entry.attr = attributes
            entry.attr_timeout = FuseIdentity.forever
            entry.entry_timeout = FuseIdentity.forever
            fuse_reply_entry(request, &entry)
        }
        table.getattr = { request, inode, _ in FuseIdentity.replyAttributes(request, inode) }
        table.setattr = { request, inode, wanted, changes, _ in
            // Times, owner and mode are nobody's concern. The size is the volume's.
            if changes & FUSE_SET_ATTR_SIZE != 0, let identity = FuseIdentity.of(request), let wanted,
                wanted.pointee.st_size != off_t(identity.size)
            {
                fuse_reply_err(request, EPERM)
            } else {
                FuseIdentity.replyAttributes(request, inode)
            }
        }
        table.open = { request, inode, _ in FuseIdentity.replyOpen(request, inode) }
        table.readdir = { request, inode, size, offset, _ in
            FuseIdentity.replyDirectory(request, inode, size, offset)
        }
        table.statfs = { request, _ in
            guard let identity = FuseIdentity.of(request) else {
                fuse_reply_err(request, EIO)
                return
            }
            var status = statvfs()
            // The loop driver takes the granularity of its discards from here.
            status.f_bsize = UInt(BlockSize.block)
            status.f_frsize = UInt(BlockSize.block)
            status.f_blocks = UInt(identity.size / BlockSize.block)
            status.f_files = 2
            status.f_namemax = 255
            fuse_reply_statfs(request, &status)
        }
        return table
    }

    private static func replyAttributes(_ request: fuse_req_t?, _ inode: fuse_ino_t) {
        guard var attributes = of(request)?.attributes(inode) else {
            fuse_reply_err(request, ENOENT)
            return
        }
        fuse_reply_attr(request, &attributes, forever)
    }

    private static func replyOpen(_ request: fuse_req_t?, _ inode: fuse_ino_t) {
        guard inode == file else {
            fuse_reply_err(request, EISDIR)
            return
        }
        // libfuse 3.14 knows no bit for parallel direct writes, so the answer is built here.
        var answer = fuse_open_out()
        let noFlush: UInt32 = 1 << 5
        let parallelDirectWrites: UInt32 = 1 << 6
        answer.open_flags = UInt32(FOPEN_DIRECT_IO) | noFlush | parallelDirectWrites
        withUnsafeMutableBytes(of: &answer) { raw in
            let start = raw.baseAddress?.assumingMemoryBound(to: CChar.self)
            _ = fuse_reply_buf(request, start, raw.count)
        }
    }

    private static func replyDirectory(
        _ request: fuse_req_t?, _ inode: fuse_ino_t, _ size: Int, _ offset: off_t
    ) {
        guard let identity = of(request), inode == FUSE_ROOT_ID else {
            fuse_reply_err(request, ENOTDIR)
            return
        }
        let names: [(name: String, inode: fuse_ino_t)] = [
            (".", fuse_ino_t(FUSE_ROOT_ID)), ("..", fuse_ino_t(FUSE_ROOT_ID)), (FuseSession.fileName, file),
        ]
        var buffer = [CChar](repeating: 0, count: size)
        var used = 0
        for index in max(0, Int(offset))..<max(names.count, Int(offset)) {
            guard var attributes = identity.attributes(names[index].inode) else { continue }
            let length = buffer.withUnsafeMutableBufferPointer { raw in
                fuse_add_direntry(
                    request, raw.baseAddress.map { $0 + used }, size - used, names[index].name, &attributes,
                    off_t(index + 1))
            }
            if used + length > size { break }
            used += length
        }
        fuse_reply_buf(request, buffer, used)
    }
}
