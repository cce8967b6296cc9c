public import LinuxSystem

/// One line of /proc/PID/mountinfo.
public struct MountEntry: Sendable, Hashable {
    public var identifier: Int
    public var parent: Int
    /// "major:minor" of the file system's device.
    public var device: String
    /// The directory of the file system that is mounted; "/" unless it is a bind mount.
    public var root: String
    public var mountPoint: String
    public var options: [String]
    /// Whether mounts below it are shown in other namespaces.
    public var isShared: Bool
    public var type: String
    public var source: String
    public var superOptions: [String]
}

/// What is mounted where, as one namespace sees it.
public struct MountTable: Sendable, Hashable {
    /// In the order of mounting, as the kernel lists them: of two on one directory the later one hides the
    /// other.
    public var entries: [MountEntry]

    /// Reads the caller's namespace, or that of a process.
    public static func read(process: Int32? = nil) throws(SystemError) -> MountTable {
        let name = process.map { String($0) } ?? "self"
        return MountTable(parsing: try KernelFiles.read("/proc/\(name)/mountinfo"))
    }

    /// Parses the text; lines that do not have the kernel's form are left out.
    public init(parsing text: [UInt8]) {
        entries = text.split(separator: UInt8(ascii: "\n")).compactMap(Self.entry)
    }

    /// What is visible at exactly this directory.
    public func entry(at mountPoint: String) -> MountEntry? { entries.last { $0.mountPoint == mountPoint } }

    /// Every mount of this device ("major:minor"), binds included.
    public func entries(of device: String) -> [MountEntry] { entries.filter { $0.device == device } }

    /// Every mount whose source is this path, such as "/dev/loop3".
    public func entries(from source: String) -> [MountEntry] { entries.filter { $0.source == source } }

    /// What is mounted below a directory.
    public func entries(below directory: String) -> [MountEntry] {
        let prefix = directory.hasSuffix("/") ? directory : directory + "/"
        return entries.filter { $0.mountPoint.hasPrefix(prefix) }
    }

    private static func entry(_ line: ArraySlice<UInt8>) -> MountEntry? {
        let fields = line.split(separator: UInt8(ascii: " ")).map(unescape)
        // Six fixed fields, any number of optional ones, a lone "-", three more.
        guard let dash = fields.indices.first(where: { $0 >= 6 && fields[$0] == "-" }),
            fields.count >= dash + 3, let identifier = Int(fields[0]), let parent = Int(fields[1])
        else { return nil }
        func list(_ text: String) -> [String] { text.split(separator: ",").map(String.init) }
        return MountEntry(
            identifier: identifier, parent: parent, device: fields[2], root: fields[3], mountPoint: fields[4],
            options: list(fields[5]), isShared: fields[6..<dash].contains { $0.hasPrefix("shared:") },
            type: fields[dash + 1], source: fields[dash + 2],
            superOptions: fields.count > dash + 3 ? list(fields[dash + 3]) : [])
    }

    /// Space, tab, newline and backslash are written as a backslash and three octal digits.
    private static func unescape(_ field: ArraySlice<UInt8>) -> String {
        var bytes: [UInt8] = []
        var index = field.startIndex
        while index < field.endIndex {
            let digits = field[(index + 1)...].prefix(3)
            if field[index] == UInt8(ascii: "\\"), digits.count == 3,
                digits.allSatisfy({ (48...55).contains($0) })
            {
                bytes.append(UInt8(truncatingIfNeeded: digits.reduce(0) { $0 << 3 | Int($1 - 48) }))
                index += 4
            } else {
                bytes.append(field[index])
                index += 1
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
