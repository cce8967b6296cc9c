import CLinux
import Glibc
import LinuxSystem

/// A look at a device before a file system is made on it.
enum BlankDevice {
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
