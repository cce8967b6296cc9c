import CLinux
import Glibc
public import LinuxSystem

/// Directories and small files of the daemons' own.
public enum FileTree {
    /// Makes a directory with those above it; one that is there is left as it is.
    public static func makeDirectory(_ path: String, mode: UInt32) throws(SystemError) {
        // Not asked whether it is there: what is mounted on it may hang, and mkdir does not ask that.
        if mkdir(path, mode_t(mode)) == 0 || errno == EEXIST { return }
        guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex else {
            throw SystemError(operation: "make directory", subject: path, code: errno)
        }
        try makeDirectory(String(path[..<slash]), mode: mode)
        guard mkdir(path, mode_t(mode)) == 0 || errno == EEXIST else {
            throw SystemError(operation: "make directory", subject: path, code: errno)
        }
    }

    /// The calls of `replace` in their order, each told of after it has ended.
    public enum ReplaceCall: Sendable, Hashable, CaseIterable {
        /// A file beside it has the bytes.
        case written
        case synced
        /// It has the name.
        case renamed
        case nameSynced
    }

    /// Replaces a small file of root's alone, or makes it, durably: after a loss of power it has the old contents or the
    /// new ones, whole. On an error too. Tests look at it through `note`, and break it with `omitted` syncs.
    public static func replace(
        _ path: String, with bytes: [UInt8], omitting omitted: Set<ReplaceCall> = [],
        note: (ReplaceCall) -> Void = { _ in }
    ) throws(SystemError) {
        let draft = path + ".new"
        do throws(SystemError) {
            let file = try open(draft, O_WRONLY | O_CREAT | O_TRUNC, "create")
            try write(bytes, to: file, draft)
            note(.written)
            if !omitted.contains(.synced) {
                try sync(file, draft)
                note(.synced)
            }
            guard rename(draft, path) == 0 else {
                throw SystemError(operation: "rename to", subject: path, code: errno)
            }
            note(.renamed)
        } catch {
            _ = unlink(draft)
            throw error
        }
        guard !omitted.contains(.nameSynced) else { return }
        try syncName(path)
        note(.nameSynced)
    }

    /// Makes a small file of root's alone, durably; EEXIST where there is one. It leaves nothing when it fails.
    public static func create(_ path: String, with bytes: [UInt8]) throws(SystemError) {
        let file = try open(path, O_WRONLY | O_CREAT | O_EXCL, "create")
        do throws(SystemError) {
            try write(bytes, to: file, path)
            try sync(file, path)
            try syncName(path)
        } catch {
            _ = unlink(path)
            throw error
        }
    }

    private static func open(
        _ path: String, _ flags: Int32, _ operation: String
    ) throws(SystemError) -> Descriptor {
        let number = clinux_open(path, flags | O_CLOEXEC, 0o600)
        guard number >= 0 else { throw SystemError(operation: operation, subject: path, code: errno) }
        return Descriptor(adopting: number)
    }

    private static func write(
        _ bytes: [UInt8], to file: borrowing Descriptor, _ path: String
    ) throws(SystemError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = Glibc.write(file.raw, Array(rest), rest.count)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw SystemError(operation: "write", subject: path, code: errno) }
            rest = rest.dropFirst(count)
        }
    }

    private static func sync(_ file: borrowing Descriptor, _ path: String) throws(SystemError) {
        guard fsync(file.raw) == 0 else {
            throw SystemError(operation: "fsync", subject: path, code: errno)
        }
    }

    /// Makes the file's name durable: its directory.
    private static func syncName(_ path: String) throws(SystemError) {
        let slash = path.lastIndex(of: "/")
        let directory = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        try sync(try open(directory, O_RDONLY | O_DIRECTORY, "open"), directory)
    }
}
