import CLinux
import Glibc
public import LinuxSystem

/// What the superblock of an ext2, ext3 or ext4 file system says about its need for a check.
public struct ExtendedSuperblock: Sendable, Hashable {
    /// The kernel unmounted it, or keeps a journal for it.
    public var isValid: Bool
    /// The kernel met an error in it.
    public var hasErrors: Bool
    /// The journal holds what a mount will replay.
    public var needsRecovery: Bool
    /// It was mounted as often as it may be between two checks.
    public var isMountCountReached: Bool

    /// Whether e2fsck should run before a mount: a journal alone is replayed by the mount.
    public var asksForCheck: Bool { !isValid || hasErrors || isMountCountReached }

    /// Reads 1024 bytes, as they lie at offset 1024 of the device; nil for another file system.
    public init?(parsing bytes: [UInt8]) {
        func word(_ offset: Int) -> UInt16 { UInt16(bytes[offset]) | UInt16(bytes[offset + 1]) << 8 }
        guard bytes.count >= 1024, word(0x38) == 0xEF53 else { return nil }
        let state = word(0x3A)
        isValid = state & 1 != 0
        hasErrors = state & 2 != 0
        needsRecovery = bytes[0x60] & 4 != 0
        let limit = Int16(bitPattern: word(0x36))
        isMountCountReached = limit > 0 && word(0x34) >= UInt16(limit)
    }

    /// Reads it from a device or an image; nil for another file system. Hangs as long as the device does.
    public static func read(_ path: String) throws(SystemError) -> ExtendedSuperblock? {
        let number = clinux_open(path, O_RDONLY | O_CLOEXEC, 0)
        guard number >= 0 else { throw SystemError(operation: "open", subject: path, code: errno) }
        let file = Descriptor(adopting: number)
        var bytes = [UInt8](repeating: 0, count: 1024)
        let count = pread(file.raw, &bytes, bytes.count, 1024)
        guard count >= 0 else { throw SystemError(operation: "read", subject: path, code: errno) }
        return count == 1024 ? ExtendedSuperblock(parsing: bytes) : nil
    }
}
