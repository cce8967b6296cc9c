import CLinux
import Glibc
import LinuxSystem

/// Reads files of the kernel's own making, whatever their length, and directories.
enum KernelFiles {
    /// The whole content.
    static func read(_ path: String) throws(SystemError) -> [UInt8] {
        let number = clinux_open(path, O_RDONLY | O_CLOEXEC, 0)
        guard number >= 0 else { throw SystemError(operation: "open", subject: path, code: errno) }
        let file = Descriptor(adopting: number)
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = Glibc.read(file.raw, &buffer, buffer.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw SystemError(operation: "read", subject: path, code: errno) }
            if count == 0 { return bytes }
            bytes += buffer[..<count]
        }
    }

    /// The names in a directory, without "." and "..".
    static func names(in path: String) throws(SystemError) -> [String] {
        var buffer = [CChar](repeating: 0, count: 65536)
        while true {
            let length = clinux_directory(path, &buffer, buffer.count)
            guard length >= 0 else { throw SystemError(operation: "opendir", subject: path, code: errno) }
            guard length <= buffer.count else {
                buffer = [CChar](repeating: 0, count: 2 * length)
                continue
            }
            return buffer[..<length].split(separator: 0).map {
                String(decoding: $0.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            }.filter { $0 != "." && $0 != ".." }
        }
    }

    /// What a symbolic link holds; nil when it cannot be read (a process that ended, or is not ours to see).
    static func link(_ path: String) -> String? {
        var buffer = [CChar](repeating: 0, count: 4096)
        let length = readlink(path, &buffer, buffer.count)
        guard length >= 0 else { return nil }
        return String(decoding: buffer[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
