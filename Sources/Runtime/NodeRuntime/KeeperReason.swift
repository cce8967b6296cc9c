import Glibc
import LinuxSystem

/// A worker's last sentence on its way to the keeper: why it could not start, or go on.
///
/// Made before the worker is: both have both ends, and nothing waits for an end to close. One sentence fits into the
/// kernel's buffer, so that neither side blocks.
struct KeeperReason: ~Copyable {
    private let reader: Descriptor
    private let writer: Descriptor

    /// Bytes of a sentence; a pipe takes that many at once.
    private static let lengthMaximum = 4096

    private init(reader: consuming Descriptor, writer: consuming Descriptor) {
        self.reader = reader
        self.writer = writer
    }

    static func make() throws(SystemError) -> KeeperReason {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw SystemError(operation: "pipe", subject: "", code: errno) }
        // Before any thread or command exists: no program that the worker starts gets these.
        for end in ends {
            guard fcntl(end, F_SETFD, FD_CLOEXEC) == 0, fcntl(end, F_SETFL, O_NONBLOCK) == 0 else {
                throw SystemError(operation: "fcntl", subject: "a pipe", code: errno)
            }
        }
        return KeeperReason(
            reader: Descriptor(adopting: ends[0]), writer: Descriptor(adopting: ends[1]))
    }

    /// The worker's side. False when the keeper will not see it.
    func tell(_ sentence: String) -> Bool {
        let bytes = Array(sentence.utf8.prefix(Self.lengthMaximum))
        return write(writer.raw, bytes, bytes.count) == bytes.count
    }

    /// The keeper's side, once the worker has ended; nil when it said nothing.
    func told() -> String? {
        var bytes = [UInt8](repeating: 0, count: Self.lengthMaximum)
        let count = read(reader.raw, &bytes, bytes.count)
        guard count > 0 else { return nil }
        return String(decoding: bytes[..<count], as: UTF8.self)
    }
}
