import Basics
import CLinux
import Glibc

/// What a program does that copies a large file: it writes without O_SYNC, and syncs once at the end.
///
/// Contents come from a seed, so that the copy can be judged without another one.
public struct FileCopy: Sendable {
    public var path: String
    /// MiB.
    public var size: Int
    public var seed: UInt64

    public init(path: String, size: Int, seed: UInt64) {
        self.path = path
        self.size = size
        self.seed = seed
    }

    private static let chunk = 1 << 20

    /// The next MiB.
    private static func fill(_ bytes: inout [UInt8], _ generator: inout SeededGenerator) {
        for offset in stride(from: 0, to: bytes.count, by: 8) {
            let word = generator.next()
            for place in 0..<8 {
                bytes[offset + place] = UInt8(truncatingIfNeeded: word >> (8 * UInt64(place)))
            }
        }
    }

    /// Writes the file; the log gets `write N MILLISECONDS CODE` for each MiB and `fsync 0 MILLISECONDS CODE` at the end.
    public func write(log: String) throws(LabError) {
        let report = clinux_open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o644)
        guard report >= 0 else { throw LabError("open \(log)", code: errno) }
        defer { close(report) }
        let file = clinux_open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw LabError("open \(path)", code: errno) }
        defer { close(file) }
        func tell(_ what: String, _ number: Int, _ begin: Instant, _ code: Int32) {
            let time = LabClock.now().since(begin).wholeMilliseconds
            let bytes = Array("\(what) \(number) \(time) \(code)\n".utf8)
            _ = Glibc.write(report, bytes, bytes.count)
        }
        var generator = SeededGenerator(seed: seed)
        var bytes = [UInt8](repeating: 0, count: Self.chunk)
        for number in 0..<size {
            Self.fill(&bytes, &generator)
            let begin = LabClock.now()
            let count = Glibc.write(file, bytes, bytes.count)
            tell("write", number, begin, count == bytes.count ? 0 : count < 0 ? errno : EIO)
            guard count == bytes.count else { return }
        }
        let begin = LabClock.now()
        tell("fsync", 0, begin, fsync(file) == 0 ? 0 : errno)
    }

    /// How many MiB are not what was written; those that are missing count.
    public func differences() throws(LabError) -> Int {
        let file = clinux_open(path, O_RDONLY | O_CLOEXEC, 0)
        guard file >= 0 else { throw LabError("open \(path)", code: errno) }
        defer { close(file) }
        var generator = SeededGenerator(seed: seed)
        var wanted = [UInt8](repeating: 0, count: Self.chunk)
        var found = wanted
        var wrong = 0
        for number in 0..<size {
            Self.fill(&wanted, &generator)
            var got = 0
            while got < Self.chunk {
                var part = [UInt8](repeating: 0, count: Self.chunk - got)
                let count = pread(file, &part, part.count, off_t(number * Self.chunk + got))
                guard count >= 0 else { throw LabError("read \(path)", code: errno) }
                if count == 0 { break }
                found.replaceSubrange(got..<got + count, with: part[..<count])
                got += count
            }
            if got < Self.chunk || found != wanted { wrong += 1 }
        }
        return wrong
    }
}
