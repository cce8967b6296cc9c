import CLinux
import Glibc
import LinuxSystem

/// Small files that must survive a loss of power.
enum DurableFile {
    /// Writes the bytes; `sync` makes them durable.
    static func write(
        _ file: borrowing Descriptor, _ bytes: [UInt8], _ path: String
    ) throws(SystemError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = Glibc.write(file.raw, Array(rest), rest.count)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw SystemError(operation: "write", subject: path, code: errno) }
            rest = rest.dropFirst(count)
        }
    }

    static func sync(_ file: borrowing Descriptor, _ path: String) throws(SystemError) {
        guard fsync(file.raw) == 0 else { throw SystemError(operation: "fsync", subject: path, code: errno) }
    }

    /// Replaces the file at `path`, or makes it: written beside it, made durable, renamed over it, the name made
    /// durable. On an error the old contents stand, or the new ones do.
    static func replace(
        _ path: String, in directory: String, with bytes: [UInt8], disk: WitnessDisk
    ) throws(SystemError) {
        let draft = path + ".new"
        let number = clinux_open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard number >= 0 else { throw SystemError(operation: "create", subject: draft, code: errno) }
        let file = Descriptor(adopting: number)
        do throws(SystemError) {
            try write(file, bytes, draft)
            disk.recorder?(.written(bytes))
            if !disk.omitted.contains(.record) {
                try sync(file, draft)
                disk.recorder?(.synced(.record))
            }
            guard rename(draft, path) == 0 else {
                throw SystemError(operation: "rename to", subject: path, code: errno)
            }
            disk.recorder?(.renamed)
        } catch {
            _ = unlink(draft)
            throw error
        }
        guard !disk.omitted.contains(.recordName) else { return }
        try syncDirectory(directory)
        disk.recorder?(.synced(.recordName))
    }

    static func syncDirectory(_ directory: String) throws(SystemError) {
        let number = clinux_open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
        guard number >= 0 else { throw SystemError(operation: "open", subject: directory, code: errno) }
        let opened = Descriptor(adopting: number)
        guard fsync(opened.raw) == 0 else {
            throw SystemError(operation: "fsync", subject: directory, code: errno)
        }
    }
}
