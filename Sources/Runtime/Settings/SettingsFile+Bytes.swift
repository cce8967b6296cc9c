import Glibc

/// Why a settings file could not be read, and what to do.
struct SettingsFileProblem: Error {
    var message: String
}

/// Reads the file and asks for the host's name: the module's only system calls.
enum SettingsFile {
    /// The whole file, of at most `limit` bytes.
    static func bytes(path: String, limit: Int) throws(SettingsFileProblem) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw problem(errno) }
        // Read only: there is nothing that closing could still lose.
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: limit + 1)
        var length = 0
        while length <= limit {
            let count = bytes.withUnsafeMutableBytes { buffer in
                Glibc.read(descriptor, buffer.baseAddress.map { $0 + length }, buffer.count - length)
            }
            if count == 0 { break }
            if count < 0 {
                if errno == EINTR { continue }
                throw problem(errno)
            }
            length += count
        }
        guard length <= limit else {
            throw SettingsFileProblem(message: "longer than \(limit) bytes; is it the settings file?")
        }
        bytes.removeSubrange(length...)
        return bytes
    }

    /// The host's name, empty when the kernel does not tell.
    static func hostName() -> String {
        var bytes = [UInt8](repeating: 0, count: 256)
        let result = bytes.withUnsafeMutableBytes { buffer in
            buffer.baseAddress.map { gethostname($0, buffer.count - 1) }
        }
        guard result == 0 else { return "" }
        return String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }

    private static func problem(_ code: Int32) -> SettingsFileProblem {
        let reason = String(cString: strerror(code))
        let advice =
            switch code {
            case ENOENT: "write it (Docs/Operating/settings.md) or name another with --settings"
            case EACCES, EPERM: "run as root, or let this user read it"
            case EISDIR: "name the file, not the directory"
            default: "see that it is a readable file"
            }
        return SettingsFileProblem(message: "cannot be read: \(reason); \(advice)")
    }
}
