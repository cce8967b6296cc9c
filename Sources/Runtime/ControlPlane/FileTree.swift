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

    /// Replaces a small file of root's alone, or makes it, durably: after a loss of power it has the old contents or the
    /// new ones, whole. On an error too.
    public static func replace(_ path: String, with bytes: [UInt8]) throws(SystemError) {
        let draft = path + ".new"
        do throws(SystemError) {
            try write(bytes, to: draft)
            guard rename(draft, path) == 0 else {
                throw SystemError(operation: "rename to", subject: path, code: errno)
            }
        } catch {
            _ = unlink(draft)
            throw error
        }
        let directory = path.split(separator: "/").dropLast().map { "/\($0)" }.joined()
        let number = clinux_open(directory.isEmpty ? "/" : directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
        guard number >= 0 else { throw SystemError(operation: "open", subject: directory, code: errno) }
        try sync(Descriptor(adopting: number), directory)
    }

    private static func write(_ bytes: [UInt8], to path: String) throws(SystemError) {
        let number = clinux_open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard number >= 0 else { throw SystemError(operation: "create", subject: path, code: errno) }
        let file = Descriptor(adopting: number)
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = Glibc.write(file.raw, Array(rest), rest.count)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw SystemError(operation: "write", subject: path, code: errno) }
            rest = rest.dropFirst(count)
        }
        try sync(file, path)
    }

    private static func sync(_ file: borrowing Descriptor, _ path: String) throws(SystemError) {
        guard fsync(file.raw) == 0 else {
            throw SystemError(operation: "fsync", subject: path, code: errno)
        }
    }
}
