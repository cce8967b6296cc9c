import Glibc
import LinuxSystem
import Telemetry

/// Where the lines of one or more proxies go. They are written many at once: when 16 KiB have come together, and ten
/// times a second.
final class AccessLog {
    private static let batch = 16 << 10

    private enum Sink {
        case none
        case standardOutput(([UInt8]) -> Void)
        case file(OpenFile)
    }

    private final class OpenFile {
        let descriptor: Descriptor
        init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }
    }

    private let target: ProxyConfiguration.Log
    private var sink: Sink
    private var lines: [UInt8] = []
    private var dates = DateText()

    /// `write` takes what goes to standard output.
    init(_ target: ProxyConfiguration.Log, write: @escaping ([UInt8]) -> Void) throws(SystemError) {
        self.target = target
        switch target {
        case .none: sink = .none
        case .standardOutput: sink = .standardOutput(write)
        case .file(let path): sink = .file(try Self.open(path))
        }
    }

    private static func open(_ path: String) throws(SystemError) -> OpenFile {
        let number = Glibc.open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o640)
        guard number >= 0 else { throw SystemError(operation: "open", subject: path, code: errno) }
        return OpenFile(Descriptor(adopting: number))
    }

    /// Writes on to whatever file has the path now: after somebody has moved the last one away. Where none can be opened
    /// the old one is kept, and the lines with it.
    func reopen() throws(SystemError) {
        guard case .file(let path) = target else { return }
        let file = try Self.open(path)
        flush()
        sink = .file(file)
    }

    /// Whether a line is worth making.
    var isOn: Bool { if case .none = sink { false } else { true } }

    func take(_ line: borrowing AccessLine) {
        line.write(into: &lines, dates: &dates)
        if lines.count >= Self.batch { flush() }
    }

    func flush() {
        guard !lines.isEmpty else { return }
        switch sink {
        case .none: break
        case .standardOutput(let write): write(lines)
        case .file(let file): Self.write(lines, to: file.descriptor.raw)
        }
        lines.removeAll(keepingCapacity: true)
    }

    /// All of the bytes, or as many as are taken: a log that nobody takes stops no request.
    static func write(_ bytes: [UInt8], to descriptor: Int32) {
        var start = 0
        while start < bytes.count {
            let count = bytes[start...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            start += count
        }
    }
}
