import CLinux
import Glibc
public import LinuxSystem

/// A FUSE mount and the descriptor that its requests come from. Belongs to whoever mounts: the keeper, or a test.
///
/// Mounted by mount(2) itself, so root is needed and no helper program; only root may look in.
public struct FuseMount: ~Copyable, Sendable {
    /// The directory.
    public let path: String
    /// /dev/fuse, opened; give its number, or a duplicate, to `FuseSession`.
    public let descriptor: Descriptor
    private var isMounted = true

    /// Mounts on `path`, an existing directory on which nothing is mounted (else EBUSY).
    public init(at path: String) throws(SystemError) {
        let number = clinux_open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK, 0)
        guard number >= 0 else { throw SystemError(operation: "open", subject: "/dev/fuse", code: errno) }
        let descriptor = Descriptor(adopting: number)
        guard try !Self.isMountPoint(path) else {
            throw SystemError(operation: "mount on", subject: path, code: EBUSY)
        }
        let options = "fd=\(descriptor.raw),rootmode=40000,user_id=0,group_id=0"
        guard clinux_mount_fuse(path, options) == 0 else {
            throw SystemError(operation: "mount on", subject: path, code: errno)
        }
        self.path = path
        self.descriptor = descriptor
    }

    /// Whether something is mounted on `path`. Does not ask the file system that is mounted there, which may hang.
    public static func isMountPoint(_ path: String) throws(SystemError) -> Bool {
        let code = clinux_is_mount_point(path)
        guard code >= 0 else { throw SystemError(operation: "look at", subject: path, code: errno) }
        return code == 1
    }

    /// Unmounts; EBUSY while a file of it is open. The descriptor stays open; the session ends.
    public mutating func unmount() throws(SystemError) {
        guard isMounted else { return }
        guard umount2(path, 0) == 0 || errno == EINVAL || errno == ENOENT else {
            throw SystemError(operation: "unmount", subject: path, code: errno)
        }
        isMounted = false
    }

    deinit {
        // Last resort, for an owner that failed half-way: nothing of ours may stay in the tree.
        if isMounted { _ = umount2(path, Int32(MNT_DETACH)) }
    }
}
