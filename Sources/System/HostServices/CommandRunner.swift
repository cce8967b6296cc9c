public import Basics
import CLinux
import Glibc
public import LinuxSystem

/// Runs the distribution's tools: with a deadline, captured output, and nothing inherited.
///
/// A command gets a process group of its own, an environment of its own (PATH and LC_ALL=C), default signals,
/// and three descriptors. Past its deadline the group gets SIGTERM, a grace later SIGKILL. Calls block the
/// calling thread; any number of threads may run commands at once.
public struct CommandRunner: Sendable {
    /// How much of each output is kept, in bytes; the rest is read and dropped, so that the command does not
    /// block.
    public static let outputMaximum = 65536
    /// Where commands are looked for: a daemon's own PATH may lack the administrator's directories.
    public static let directories = [
        "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin",
    ]

    /// Between SIGTERM and SIGKILL, and again until a command is called unresponsive.
    public var grace: Interval

    public init(grace: Interval = .seconds(2)) { self.grace = grace }

    /// The path of a command; nil when it is not installed. A name with a slash is a path.
    public static func find(_ name: String) -> String? {
        if name.contains("/") { return access(name, X_OK) == 0 ? name : nil }
        return directories.lazy.map { "\($0)/\(name)" }.first { access($0, X_OK) == 0 }
    }

    /// Runs a command to its end. `arguments` starts with its name. When `cancel`, a descriptor of the
    /// caller's, becomes readable, the command is stopped as at its deadline.
    ///
    /// Throws when it could not be started: ENOENT when it is not installed.
    public func run(
        _ arguments: [String], input: [UInt8] = [], deadline: Interval, cancel: Int32? = nil
    ) throws(SystemError) -> CommandResult {
        let name = arguments.first ?? ""
        guard let path = Self.find(name) else {
            throw SystemError(operation: "run", subject: name, code: ENOENT)
        }
        let source = clinux_memory_file(input, input.count)
        guard source >= 0 else { throw SystemError(operation: "memfd_create", subject: name, code: errno) }
        let standardInput = Descriptor(adopting: source)
        let output = try Self.pipe(for: name)
        let errors = try Self.pipe(for: name)
        let packed = arguments.flatMap { Array($0.utf8) + [0] }.map(CChar.init(bitPattern:))
        let environment = "PATH=\(Self.directories.joined(separator: ":"))\0LC_ALL=C\0".utf8.map(
            CChar.init(bitPattern:))
        var process: pid_t = 0
        let started = Instant.now()
        let code = clinux_spawn(
            path, packed, packed.count, environment, environment.count, standardInput.raw, output.writer,
            errors.writer, &process)
        _ = close(output.writer)
        _ = close(errors.writer)
        var run = RunningCommand(
            process: process, output: Descriptor(adopting: output.reader),
            errors: Descriptor(adopting: errors.reader))
        guard code == 0 else { throw SystemError(operation: "run", subject: path, code: code) }
        return try run.finish(
            named: name, started: started, deadline: started + deadline, grace: grace, cancel: cancel)
    }

    private static func pipe(for name: String) throws(SystemError) -> (reader: Int32, writer: Int32) {
        var ends: [Int32] = [-1, -1]
        guard clinux_pipe(&ends) == 0 else {
            throw SystemError(operation: "pipe", subject: name, code: errno)
        }
        return (ends[0], ends[1])
    }
}

/// A command between its start and its end.
private struct RunningCommand: ~Copyable {
    /// What is captured of one output.
    struct Capture {
        var bytes: [UInt8] = []
        var isTruncated = false
        var isOpen = true

        /// Reads what is there. False at the end of the stream.
        mutating func drain(_ descriptor: Int32) {
            var buffer = [UInt8](repeating: 0, count: 16384)
            while isOpen {
                let count = read(descriptor, &buffer, buffer.count)
                if count < 0 && errno == EINTR { continue }
                if count < 0 && errno == EAGAIN { return }
                guard count > 0 else {
                    isOpen = false
                    return
                }
                let room = min(count, CommandRunner.outputMaximum - bytes.count)
                bytes += buffer[..<room]
                if room < count { isTruncated = true }
            }
        }
    }

    enum Stage {
        case running
        case terminated(CommandEnd)
        case killed(CommandEnd)
    }

    let process: pid_t
    let output: Descriptor
    let errors: Descriptor
    var captured = Capture()
    var complained = Capture()

    init(process: pid_t, output: consuming Descriptor, errors: consuming Descriptor) {
        self.process = process
        self.output = output
        self.errors = errors
    }

    mutating func finish(
        named name: String, started: Instant, deadline: Instant, grace: Interval, cancel: Int32?
    ) throws(SystemError) -> CommandResult {
        let end = try wait(until: deadline, grace: grace, cancel: cancel, name: name)
        captured.drain(output.raw)
        complained.drain(errors.raw)
        return CommandResult(
            command: name, end: end, output: String(decoding: captured.bytes, as: UTF8.self),
            errors: String(decoding: complained.bytes, as: UTF8.self),
            isTruncated: captured.isTruncated || complained.isTruncated,
            duration: Instant.now().since(started))
    }

    private mutating func wait(until first: Instant, grace: Interval, cancel: Int32?, name: String)
        throws(SystemError) -> CommandEnd
    {
        let number = clinux_pidfd(process)
        guard number >= 0 else {
            // Without it the end cannot be waited for; nothing may be left running.
            let code = errno
            _ = kill(-process, SIGKILL)
            _ = clinux_reap(process)
            throw SystemError(operation: "pidfd_open", subject: name, code: code)
        }
        let ended = Descriptor(adopting: number)
        var stage = Stage.running
        var deadline = first
        var set = PollSet()
        while true {
            set.removeAll()
            let endPlace = set.add(ended.raw, .readable)
            if captured.isOpen { set.add(output.raw, .readable) }
            if complained.isOpen { set.add(errors.raw, .readable) }
            var cancelPlace: Int?
            if let cancel, case .running = stage { cancelPlace = set.add(cancel, .readable) }
            let count = try set.wait(until: deadline)
            captured.drain(output.raw)
            complained.drain(errors.raw)
            if !set.ready(at: endPlace).isEmpty { return reaped(after: stage) }
            let isCancelled = cancelPlace.map { !set.ready(at: $0).isEmpty } ?? false
            guard count == 0 || isCancelled else { continue }
            switch stage {
            case .running:
                _ = kill(-process, SIGTERM)
                stage = .terminated(isCancelled ? .cancelled : .timedOut)
            case .terminated(let end):
                _ = kill(-process, SIGKILL)
                stage = .killed(end)
            case .killed: return .unresponsive(process)
            }
            deadline = Instant.now() + grace
        }
    }

    private func reaped(after stage: Stage) -> CommandEnd {
        switch stage {
        case .running: break
        case .terminated(let end), .killed(let end):
            // Its children may ignore SIGTERM; the group's number is ours until the leader is reaped.
            _ = kill(-process, SIGKILL)
            _ = clinux_reap(process)
            return end
        }
        let status = clinux_reap(process)
        return status < 256 ? .exited(UInt8(truncatingIfNeeded: status)) : .signalled(status - 256)
    }
}
