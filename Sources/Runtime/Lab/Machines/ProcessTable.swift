public import Basics
import Glibc

/// A process that the lab started: its number alone may belong to another one by now.
public struct ProcessMark: Hashable, Sendable, CustomStringConvertible {
    public let number: Int32
    /// Clock ticks since boot at which it started, from /proc/NUMBER/stat.
    public let startTime: UInt64

    /// The process that has the number now; nil when there is none or it is a zombie.
    public init?(_ number: Int32) {
        guard let status = ProcessTable.status(number), status.state != "Z" else { return nil }
        self.number = number
        startTime = status.startTime
    }

    /// Reads what `description` gives.
    public init?(_ text: String) {
        let parts = text.split(whereSeparator: { $0 == " " || $0 == "\n" })
        guard parts.count == 2, let number = Int32(parts[0]), let time = UInt64(parts[1]) else { return nil }
        self.number = number
        startTime = time
    }

    public var description: String { "\(number) \(startTime)" }
    /// Whether it still runs.
    public var lives: Bool { ProcessMark(number) == self }

    /// Sends it a signal, unless it has ended.
    public func signal(_ signal: Int32) {
        if lives { kill(number, signal) }
    }
}

/// What /proc says about processes.
public enum ProcessTable {
    /// Of one process, from /proc/NUMBER/stat.
    struct Status {
        let state: Character
        let parent: Int32
        let startTime: UInt64
        /// User and system time in clock ticks.
        let ticks: UInt64
    }

    static func status(_ number: Int32) -> Status? {
        guard let text = TextFile.read("/proc/\(number)/stat"), let end = text.lastIndex(of: ")") else {
            return nil
        }
        let fields = text[text.index(after: end)...].split(separator: " ")
        guard fields.count > 19, let state = fields[0].first, let parent = Int32(fields[1]),
            let user = UInt64(fields[11]), let system = UInt64(fields[12]), let start = UInt64(fields[19])
        else { return nil }
        return Status(state: state, parent: parent, startTime: start, ticks: user + system)
    }

    /// Every process there is.
    static var numbers: [Int32] { TextFile.names(in: "/proc").compactMap { Int32($0) } }

    /// The processes of the process-number namespace that `number` lives in, itself among them.
    public static func sharing(namespaceOf number: Int32) -> [Int32] {
        guard let space = TextFile.link("/proc/\(number)/ns/pid") else { return [] }
        return numbers.filter { TextFile.link("/proc/\($0)/ns/pid") == space }
    }

    /// The children of a process.
    public static func children(of number: Int32) -> [Int32] {
        numbers.filter { status($0)?.parent == number }
    }

    /// The program that a process runs.
    public static func program(of number: Int32) -> String? { TextFile.link("/proc/\(number)/exe") }

    /// What a process is and where in the kernel it waits, for a message.
    static func place(of number: Int32) -> String {
        let name = TextFile.read("/proc/\(number)/comm").map { $0.filter { $0 != "\n" } } ?? "?"
        return "\(name) in \(TextFile.read("/proc/\(number)/wchan") ?? "?")"
    }

    /// Processor time of a process, all threads.
    public static func processorTime(of number: Int32) -> Interval {
        Interval(
            nanoseconds: (status(number)?.ticks ?? 0) * 1_000_000_000 / UInt64(sysconf(Int32(_SC_CLK_TCK))))
    }

    /// The threads of a process that wait in state D, each with its context switches so far.
    static func uninterruptible(of number: Int32) -> [Int32: UInt64] {
        TextFile.names(in: "/proc/\(number)/task").reduce(into: [:]) { waits, name in
            guard let task = Int32(name), status(task)?.state == "D" else { return }
            waits[task] = contextSwitches(at: "/proc/\(task)/status")
        }
    }

    /// Voluntary and other context switches of a process so far, all threads.
    public static func contextSwitches(of number: Int32) -> UInt64 {
        TextFile.names(in: "/proc/\(number)/task").reduce(0) { sum, task in
            sum + contextSwitches(at: "/proc/\(number)/task/\(task)/status")
        }
    }

    private static func contextSwitches(at path: String) -> UInt64 {
        guard let text = TextFile.read(path) else { return 0 }
        return text.split(separator: "\n").filter { $0.contains("ctxt_switches") }.reduce(0) {
            $0 + (UInt64($1.split(whereSeparator: { $0 == ":" || $0 == "\t" }).last ?? "") ?? 0)
        }
    }
}
