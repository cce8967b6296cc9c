import Glibc
import CLinux
import LinuxSystem

/// Small things with files that several parts need.
enum NodeFiles {
    /// Makes a directory and those above it; one that is there is a success.
    static func makeDirectory(_ path: String) throws(SystemError) {
        var made = ""
        for part in path.split(separator: "/") {
            made += "/\(part)"
            guard mkdir(made, 0o755) == 0 || errno == EEXIST else {
                throw SystemError(operation: "make the directory", subject: made, code: errno)
            }
        }
    }

    /// Replaces a file or makes it, durably: after a crash it has the old content or the new one.
    static func replace(_ path: String, with bytes: [UInt8]) throws(SystemError) {
        let draft = path + ".new"
        try write(bytes, to: draft)
        guard rename(draft, path) == 0 else {
            throw SystemError(operation: "rename to", subject: path, code: errno)
        }
        let directory = path.split(separator: "/").dropLast().map { "/\($0)" }.joined()
        let number = clinux_open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
        guard number >= 0 else { throw SystemError(operation: "open", subject: directory, code: errno) }
        let opened = Descriptor(adopting: number)
        guard fsync(opened.raw) == 0 else {
            throw SystemError(operation: "fsync", subject: directory, code: errno)
        }
    }

    /// Writes a small file of root's alone, whole, and makes its content durable.
    static func write(_ bytes: [UInt8], to path: String) throws(SystemError) {
        let number = clinux_open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard number >= 0 else { throw SystemError(operation: "create", subject: path, code: errno) }
        let file = Descriptor(adopting: number)
        guard Glibc.write(file.raw, bytes, bytes.count) == bytes.count else {
            throw SystemError(operation: "write", subject: path, code: errno)
        }
        guard fsync(file.raw) == 0 else { throw SystemError(operation: "fsync", subject: path, code: errno) }
    }

    /// Whether the first MiB of a device is all zero bytes: nobody has put anything there.
    static func isBlank(_ path: String) throws(SystemError) -> Bool {
        let number = clinux_open(path, O_RDONLY | O_CLOEXEC, 0)
        guard number >= 0 else { throw SystemError(operation: "open", subject: path, code: errno) }
        let file = Descriptor(adopting: number)
        var bytes = [UInt8](repeating: 0, count: 65536)
        for part in 0..<16 {
            let count = pread(file.raw, &bytes, bytes.count, off_t(part * bytes.count))
            guard count >= 0 else { throw SystemError(operation: "read", subject: path, code: errno) }
            if count == 0 { return true }
            if bytes[..<count].contains(where: { $0 != 0 }) { return false }
        }
        return true
    }
}
