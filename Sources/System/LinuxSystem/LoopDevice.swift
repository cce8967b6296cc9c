import CLinux
import Glibc

/// A loop device over a file, with direct I/O, or none.
///
/// Without direct I/O the loop driver hides short writes and answers before the file has the data
/// (`Docs/Faults.md`), so a device on which it did not come on is detached again and refused.
public struct LoopDevice: ~Copyable, Sendable {
    /// The device, such as "/dev/loop3".
    public let path: String
    private let device: Descriptor

    private static let directIO: Int32 = 16  // LO_FLAGS_DIRECT_IO of linux/loop.h, an enum there
    private static let autoclear: Int32 = 4  // LO_FLAGS_AUTOCLEAR

    /// Attaches `backing` to a free device, which is made when there is none. Needs root; may block on the file.
    ///
    /// Throws EINVAL, naming direct I/O, when the kernel would not use it for this file.
    public static func attach(_ backing: String, readOnly: Bool = false) throws(SystemError) -> LoopDevice {
        let flags = (readOnly ? O_RDONLY : O_RDWR) | O_CLOEXEC | clinux_o_direct
        let number = clinux_open(backing, flags, 0)
        guard number >= 0 else { throw SystemError(operation: "open", subject: backing, code: errno) }
        let file = Descriptor(adopting: number)
        let control = try open("/dev/loop-control")
        // Another process may take the number between the two calls.
        for _ in 0..<64 {
            let free = clinux_loop_get_free(control.raw)
            guard free >= 0 else {
                throw SystemError(operation: "LOOP_CTL_GET_FREE", subject: "", code: errno)
            }
            let path = "/dev/loop\(free)"
            if access(path, F_OK) != 0 { _ = clinux_make_block_node(path, 7, UInt32(free)) }
            let device = try open(path)
            if clinux_loop_configure(device.raw, file.raw, readOnly ? 1 : 0, backing) == 0 {
                return try LoopDevice(path: path, device: device).checked(backing)
            }
            guard errno == EBUSY else {
                throw SystemError(operation: "LOOP_CONFIGURE \(path)", subject: backing, code: errno)
            }
        }
        throw SystemError(operation: "LOOP_CONFIGURE", subject: backing, code: EBUSY)
    }

    /// The devices whose backing file is `backing` now; those that a dead predecessor left are found so.
    public static func paths(backedBy backing: String) -> [String] {
        var wanted: (device: UInt64, inode: UInt64) = (0, 0)
        guard clinux_file_identity(backing, &wanted.device, &wanted.inode) == 0 else { return [] }
        return (0..<256).compactMap { index in
            let path = "/dev/loop\(index)"
            let number = clinux_open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0)
            guard number >= 0 else { return nil }
            let device = Descriptor(adopting: number)
            var seen: (device: UInt64, inode: UInt64) = (0, 0)
            guard clinux_loop_flags(device.raw, &seen.device, &seen.inode) >= 0 else { return nil }
            return seen == wanted ? path : nil
        }
    }

    /// The devices that `attach` was given the name `name` for, also when the file system that it names is dead or
    /// taken out of the tree: what a dead predecessor left.
    public static func paths(named name: String) -> [String] {
        (0..<256).compactMap { index in
            let path = "/dev/loop\(index)"
            // Of a mount that is out of the tree, sysfs shows the path inside it only; the driver keeps our name.
            guard let text = try? SmallFile.read("/sys/block/loop\(index)/loop/backing_file") else {
                return nil
            }
            let seen = text.hasSuffix("\n") ? String(text.dropLast()) : text
            if seen == name || seen == "\(name) (deleted)" { return path }
            let number = clinux_open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0)
            guard number >= 0 else { return nil }
            let device = Descriptor(adopting: number)
            return clinux_loop_is_named(device.raw, name) == 1 ? path : nil
        }
    }

    /// Detaches the device at `path`, whoever attached it; it goes when its last user closes it.
    public static func detach(_ path: String) throws(SystemError) {
        let device = try open(path)
        guard clinux_loop_clear(device.raw) == 0 || errno == ENXIO else {
            throw SystemError(operation: "LOOP_CLR_FD", subject: path, code: errno)
        }
    }

    /// Whether direct I/O is on and the device still attached: what a health check asks.
    public var usesDirectIO: Bool {
        var device: UInt64 = 0
        var inode: UInt64 = 0
        let flags = clinux_loop_flags(self.device.raw, &device, &inode)
        return flags >= 0 && flags & Self.directIO != 0
    }

    /// Detaches. While somebody else holds the device it is only marked: see `isDetached`.
    public consuming func detach() throws(SystemError) {
        guard clinux_loop_clear(device.raw) == 0 || errno == ENXIO else {
            throw SystemError(operation: "LOOP_CLR_FD", subject: path, code: errno)
        }
    }

    /// Whether nothing is attached to the device at `path` any more.
    public static func isDetached(_ path: String) -> Bool {
        let number = clinux_open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0)
        guard number >= 0 else { return true }
        let device = Descriptor(adopting: number)
        var ignored: (UInt64, UInt64) = (0, 0)
        return clinux_loop_flags(device.raw, &ignored.0, &ignored.1) < 0 && errno == ENXIO
    }

    private consuming func checked(_ backing: String) throws(SystemError) -> LoopDevice {
        guard usesDirectIO else {
            _ = clinux_loop_clear(device.raw)
            throw SystemError(operation: "direct I/O of \(path)", subject: backing, code: EINVAL)
        }
        // The loop's own maximum of 1280 KiB would split into 1024 + 256. Best effort: only speed depends on it.
        let name = path.split(separator: "/").last.map(String.init) ?? ""
        try? SmallFile.write("1024", to: "/sys/block/\(name)/queue/max_sectors_kb")
        return self
    }

    private static func open(_ path: String) throws(SystemError) -> Descriptor {
        let number = clinux_open(path, O_RDWR | O_CLOEXEC, 0)
        guard number >= 0 else { throw SystemError(operation: "open", subject: path, code: errno) }
        return Descriptor(adopting: number)
    }
}
