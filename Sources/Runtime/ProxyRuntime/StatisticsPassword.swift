import Basics
import Glibc
import LinuxSystem
import SecureChannel
import Settings

extension ProxyProcess {
    /// What the settings say of the page, with the password read and a key of this process.
    static func statistics(_ page: Settings.Statistics) throws(ProxyError) -> StatisticsConfiguration? {
        let host = "\(page.listen.address)"
        guard let listen = SocketAddress(host: host, port: page.listen.port) else { return nil }
        let password =
            switch page.password {
            case .text(let text): text
            case .file(let path): try password(inFile: path)
            }
        let seconds = Int((page.refresh.wholeMilliseconds + 999) / 1000)
        return StatisticsConfiguration(
            listen: listen, user: page.user, password: password, refresh: seconds > 0 ? seconds : nil,
            key: randomBytes(16))
    }

    /// The first line of a file that is its owner's alone.
    static func password(inFile path: String) throws(ProxyError) -> String {
        var status = stat()
        guard stat(path, &status) == 0 else {
            let error = SystemError(operation: "stat", subject: path, code: errno)
            throw .statisticsPassword("the password of the statistics page cannot be read: \(error)")
        }
        let mode = UInt32(status.st_mode) & 0o777
        guard mode & 0o077 == 0 else {
            throw .statisticsPassword(
                "the password file \(path) can be used by others (mode \(String(mode, radix: 8))): run `chmod 600"
                    + " \(path)`")
        }
        let text: String
        do throws(SystemError) { text = try SmallFile.read(path) } catch {
            throw .statisticsPassword("the password of the statistics page cannot be read: \(error)")
        }
        let line = text.prefix { $0 != "\n" && $0 != "\r\n" }
        guard !line.isEmpty, line.utf8.count <= 128 else {
            throw .statisticsPassword(
                "the first line of \(path) must be the password of the statistics page, 1 to 128 bytes")
        }
        return String(line)
    }
}
