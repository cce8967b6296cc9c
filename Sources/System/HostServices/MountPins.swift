public import LinuxSystem

/// One thing that keeps a mount or a device from going.
public struct MountPin: Sendable, Hashable {
    /// nil when it is no process.
    public var process: Int32?
    /// The process's name, or what pins instead.
    public var name: String
    /// How: "working directory", "open file /srv/x".
    public var how: String
}

extension MountPin: CustomStringConvertible {
    /// "1234 bash (working directory)".
    public var description: String { (process.map { "\($0) " } ?? "") + "\(name) (\(how))" }
}

/// Who pins a mount or a device: what `fuser -m` tells, without touching the file system, which may hang.
///
/// It reads the symbolic links of /proc alone: they are made from the kernel's memory. /proc/PID/maps is not
/// read; it waits for a process that hangs in a page fault of the very mount. So a file that is mapped and
/// not open is missed.
public enum MountPins {
    /// At most that many are told.
    public static let maximum = 16

    /// What pins the mount at this directory: processes, mounts below it, loop devices on its files, and
    /// other mount namespaces that have it too.
    public static func of(mount path: String) throws(SystemError) -> [MountPin] {
        let table = try MountTable.read()
        var pins = table.entries(below: path).map {
            MountPin(process: nil, name: "a mount", how: "at \($0.mountPoint)")
        }
        pins += loops(below: path)
        let device = table.entry(at: path)?.device
        var namespaces = Set([KernelFiles.link("/proc/self/ns/mnt") ?? ""])
        for process in try processes() {
            pins += self.pins(of: process) { isAt($0, path) }
            guard let device, let namespace = KernelFiles.link("/proc/\(process)/ns/mnt"),
                namespaces.insert(namespace).inserted,
                // A process that ended meanwhile pins nothing.
                let other = try? MountTable.read(process: process), !other.entries(of: device).isEmpty
            else { continue }
            pins.append(MountPin(process: process, name: name(of: process), how: "another mount namespace"))
        }
        return Array(pins.prefix(maximum))
    }

    /// What has a device open, or has it mounted.
    public static func of(device path: String) throws(SystemError) -> [MountPin] {
        var pins = try MountTable.read().entries(from: path).map {
            MountPin(process: nil, name: "a mount", how: "at \($0.mountPoint)")
        }
        for process in try processes() { pins += self.pins(of: process) { $0 == path } }
        return Array(pins.prefix(maximum))
    }

    private static func isAt(_ target: String, _ path: String) -> Bool {
        target == path || target.hasPrefix(path.hasSuffix("/") ? path : path + "/")
    }

    private static func processes() throws(SystemError) -> [Int32] {
        try KernelFiles.names(in: "/proc").compactMap { Int32($0) }
    }

    private static func name(of process: Int32) -> String {
        guard let bytes = try? KernelFiles.read("/proc/\(process)/comm") else { return "?" }
        return String(decoding: bytes.filter { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
    }

    private static func pins(of process: Int32, where matches: (String) -> Bool) -> [MountPin] {
        var found: [String] = []
        for (link, how) in [("cwd", "working directory"), ("root", "root directory"), ("exe", "program")] {
            if let target = KernelFiles.link("/proc/\(process)/\(link)"), matches(target) {
                found.append(how)
            }
        }
        // Processes end while they are looked at; one that did pins nothing.
        let numbers = (try? KernelFiles.names(in: "/proc/\(process)/fd")) ?? []
        for number in numbers {
            if let target = KernelFiles.link("/proc/\(process)/fd/\(number)"), matches(target) {
                found.append("open file \(target)")
            }
        }
        guard !found.isEmpty else { return [] }
        let name = name(of: process)
        return found.map { MountPin(process: process, name: name, how: $0) }
    }

    private static func loops(below path: String) -> [MountPin] {
        let names = (try? KernelFiles.names(in: "/sys/block")) ?? []
        return names.compactMap { name in
            guard name.hasPrefix("loop"),
                let bytes = try? KernelFiles.read("/sys/block/\(name)/loop/backing_file")
            else { return nil }
            let file = String(decoding: bytes, as: UTF8.self)
            return isAt(file, path) ? MountPin(process: nil, name: "/dev/\(name)", how: "a loop device") : nil
        }
    }
}
