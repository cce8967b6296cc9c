import CLinux
import Glibc

/// Files of the kernel's own making (sysfs, procfs) that are read and written in one call.
public enum SmallFile {
    /// Writes `text` to an existing file in one write(2).
    public static func write(_ text: String, to path: String) throws(SystemError) {
        let number = clinux_open(path, O_WRONLY | O_CLOEXEC, 0)
        guard number >= 0 else { throw SystemError(operation: "open", subject: path, code: errno) }
        let file = Descriptor(adopting: number)
        let bytes = Array(text.utf8)
        guard Glibc.write(file.raw, bytes, bytes.count) == bytes.count else {
            throw SystemError(operation: "write", subject: path, code: errno)
        }
    }

    /// Reads the file's first 64 KiB as text.
    public static func read(_ path: String) throws(SystemError) -> String {
        let number = clinux_open(path, O_RDONLY | O_CLOEXEC, 0)
        guard number >= 0 else { throw SystemError(operation: "open", subject: path, code: errno) }
        let file = Descriptor(adopting: number)
        var bytes = [UInt8](repeating: 0, count: 65536)
        var kept = 0
        while kept < bytes.count {
            let count = bytes.withUnsafeMutableBytes { raw in
                raw.baseAddress.map { Glibc.read(file.raw, $0 + kept, raw.count - kept) } ?? 0
            }
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw SystemError(operation: "read", subject: path, code: errno) }
            if count == 0 { break }
            kept += count
        }
        return String(decoding: bytes[..<kept], as: UTF8.self)
    }
}
