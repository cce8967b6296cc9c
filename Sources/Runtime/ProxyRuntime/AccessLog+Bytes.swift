import Glibc
import LinuxSystem
import Telemetry

/// The machine's host name.
enum MachineName {
    /// Empty when the kernel does not tell.
    static func read() -> String {
        var bytes = [UInt8](repeating: 0, count: 256)
        let result = bytes.withUnsafeMutableBytes { buffer in
            buffer.baseAddress.map { gethostname($0, buffer.count - 1) }
        }
        return result == 0 ? String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self) : ""
    }
}

/// Where the lines of one or more proxies go. They are written many at once: when 16 KiB have come together, and ten
/// times a second.
final class AccessLog {
    private static let batch = 16 << 10

    private enum Sink {
        case none
        case standardOutput(([UInt8]) -> Void)
        case file(OpenFile)
        case syslog(SyslogSink)
    }

    private final class OpenFile {
        let descriptor: Descriptor
        init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }
    }

    private let target: ProxyConfiguration.Log
    private var sink: Sink
    private let ring: LogRing
    private var lines: [UInt8] = []
    private var count = 0
    private var dates = DateText()

    /// `write` takes what goes to standard output, `ring` every line.
    init(
        _ target: ProxyConfiguration.Log, ring: LogRing, write: @escaping ([UInt8]) -> Void
    ) throws(SystemError) {
        self.target = target
        self.ring = ring
        switch target {
        case .none: sink = .none
        case .standardOutput: sink = .standardOutput(write)
        case .file(let path): sink = .file(try Self.open(path))
        case .syslog(let path): sink = .syslog(SyslogSink(.local(path: path), machine: MachineName.read()))
        case .syslogServer(let address):
            sink = .syslog(SyslogSink(.server(address), machine: MachineName.read()))
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

    /// Lines that nobody took.
    private(set) var lost: UInt64 = 0

    func take(_ line: borrowing AccessLine) {
        line.write(into: &lines, dates: &dates)
        count += 1
        if lines.count >= Self.batch { flush() }
    }

    func flush() {
        guard !lines.isEmpty else { return }
        switch sink {
        case .none: break
        case .standardOutput(let write): write(lines)
        case .file(let file):
            let written = Self.write(lines, to: file.descriptor.raw)
            if written < lines.count { lost += UInt64(lines[written...].count { $0 == 0x0A }) }
        case .syslog(let sink):
            sink.send(lines, at: .now())
            lost = sink.lost
        }
        ring.add(lines, count: count)
        count = 0
        lines.removeAll(keepingCapacity: true)
    }

    /// All of the bytes, or as many as are taken: a log that nobody takes stops no request. How many were taken.
    @discardableResult
    static func write(_ bytes: [UInt8], to descriptor: Int32) -> Int {
        var start = 0
        while start < bytes.count {
            let count = bytes[start...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return start }
            start += count
        }
        return start
    }
}
