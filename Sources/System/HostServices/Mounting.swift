import CLinux
import Glibc
public import LinuxSystem

/// mount(2) and umount2(2): system calls, because a process start would cost too much in a failover.
public enum Mounting {
    /// Mounts a device and keeps what is mounted below it out of other namespaces. Needs root; replays a
    /// journal, so it may take long, and hangs as long as the device does.
    ///
    /// `options` are words as in fstab; those of the kernel's own flags are taken out, the rest goes to the
    /// file system. Throws EBUSY when something is mounted there already.
    public static func mount(_ device: String, at path: String, type: String, options: [String] = [])
        throws(SystemError)
    {
        if let there = try MountTable.read().entry(at: path) {
            throw SystemError(operation: "mount \(device) over \(there.source)", subject: path, code: EBUSY)
        }
        let (flags, data) = split(options)
        guard clinux_mount(device, path, type, flags, data) == 0 else {
            throw SystemError(operation: "mount \(device)", subject: path, code: errno)
        }
        guard clinux_mount_private(path) == 0 else {
            let code = errno
            _ = clinux_unmount(path)
            throw SystemError(operation: "mount --make-private", subject: path, code: code)
        }
    }

    /// Unmounts, never lazily. Nothing mounted there is a success; EBUSY when something uses it (see
    /// `MountPins`).
    public static func unmount(_ path: String) throws(SystemError) {
        guard clinux_unmount(path) != 0 else { return }
        let code = errno
        // EINVAL: no mount point; ENOENT: no directory either.
        if code == EINVAL || code == ENOENT, try MountTable.read().entry(at: path) == nil { return }
        throw SystemError(operation: "umount", subject: path, code: code)
    }

    private static let flags: [String: UInt] = [
        "ro": 1, "nosuid": 2, "nodev": 4, "noexec": 8, "sync": 16, "dirsync": 128, "nosymfollow": 256,
        "noatime": 1024, "nodiratime": 2048, "relatime": 1 << 21, "strictatime": 1 << 24, "lazytime": 1 << 25,
    ]

    /// The kernel's flags (linux/mount.h) and the options left for the file system.
    static func split(_ options: [String]) -> (flags: UInt, data: String) {
        var flags: UInt = 0
        var data: [String] = []
        for option in options {
            if let flag = Self.flags[option] {
                flags |= flag
            } else if !["defaults", "rw", "suid", "dev", "exec", "async", "atime"].contains(option) {
                data.append(option)
            }
        }
        return (flags, data.joined(separator: ","))
    }
}
