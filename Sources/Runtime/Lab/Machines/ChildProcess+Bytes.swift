public import Basics
import CLinux
import Glibc

/// Where a started program's output goes.
public enum ChildOutput: Sendable {
    /// Where ours goes.
    case inherited
    /// Appended to a file.
    case file(String)
}

/// Programs that the lab starts.
///
/// Unlike the product's runner of commands, it starts programs that stay when the lab's command has ended.
public enum ChildProcess {
    /// How a program ended, and what it printed on both outputs.
    public struct Outcome: Sendable {
        /// 128 + the signal for one that was killed.
        public let status: Int32
        public let output: String
        public let timedOut: Bool
    }

    /// Starts a program in a session of its own, its input empty; returns its process number.
    public static func start(
        _ arguments: [String], output: ChildOutput, environment: [String: String] = [:]
    ) throws(LabError) -> Int32 {
        var descriptor: Int32 = 1
        if case .file(let path) = output {
            descriptor = clinux_open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
            guard descriptor >= 0 else { throw LabError("open \(path)", code: errno) }
        }
        defer { if descriptor > 2 { close(descriptor) } }
        return try spawn(arguments, output: descriptor, environment: environment, session: true)
    }

    /// Runs a program to its end. At the deadline it is killed and the outcome says so.
    public static func run(
        _ arguments: [String], limit: Interval = .seconds(30), environment: [String: String] = [:]
    ) throws(LabError) -> Outcome {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw LabError("pipe", code: errno) }
        defer { close(ends[0]) }
        let process: Int32
        do {
            process = try spawn(arguments, output: ends[1], environment: environment, session: false)
        } catch {
            close(ends[1])
            throw error
        }
        close(ends[1])
        let deadline = LabClock.now() + limit
        var output: [UInt8] = []
        var timedOut = false
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let left = deadline.since(LabClock.now())
            var entry = pollfd(fd: ends[0], events: Int16(POLLIN), revents: 0)
            let ready = poll(&entry, 1, Int32(clamping: left.wholeMilliseconds + 1))
            if ready == 0 && LabClock.now() >= deadline {
                timedOut = true
                kill(process, SIGKILL)
                break
            }
            guard ready > 0 else { continue }
            let count = read(ends[0], &buffer, buffer.count)
            if count <= 0 { break }
            output.append(contentsOf: buffer[..<count])
        }
        let status = reap(process)
        return Outcome(status: status, output: String(decoding: output, as: UTF8.self), timedOut: timedOut)
    }

    /// Becomes another program, with our input, outputs and terminal.
    public static func become(_ arguments: [String]) throws(LabError) -> Never {
        let words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        execvp(arguments[0], words)
        throw LabError("start \(arguments[0])", code: errno)
    }

    /// Waits for a child and gives its exit status, 128 + the signal for one that was killed.
    public static func reap(_ process: Int32) -> Int32 {
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0 {
            if errno != EINTR { return -1 }
        }
        return status & 0x7F == 0 ? status >> 8 & 0xFF : 128 + (status & 0x7F)
    }

    /// The exit status of a child that has ended, nil while it runs.
    public static func ended(_ process: Int32) -> Int32? {
        var status: Int32 = 0
        guard waitpid(process, &status, WNOHANG) == process else { return nil }
        return status & 0x7F == 0 ? status >> 8 & 0xFF : 128 + (status & 0x7F)
    }

    private static func spawn(
        _ arguments: [String], output: Int32, environment: [String: String], session: Bool
    ) throws(LabError) -> Int32 {
        var words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        var settings = environmentWords(adding: environment)
        defer { for word in words + settings { free(word) } }
        var process: pid_t = 0
        let code = clinux_lab_spawn(&words, &settings, output, session ? 1 : 0, &process)
        guard code == 0 else { throw LabError("start \(arguments[0])", code: code) }
        return process
    }

    private static func environmentWords(adding more: [String: String]) -> [UnsafeMutablePointer<CChar>?] {
        var words: [UnsafeMutablePointer<CChar>?] = []
        var next = environ
        while let word = next.pointee {
            let text = String(cString: word)
            if !more.keys.contains(where: { text.hasPrefix($0 + "=") }) { words.append(strdup(text)) }
            next += 1
        }
        return words + more.map { strdup("\($0.key)=\($0.value)") } + [nil]
    }
}
