public import Basics
import CLinux
import Glibc

/// What a program on an NFS client sees: it appends numbered lines, each durable before the next, under a lock.
public struct LineWriter: Sendable {
    /// The file; made if it is not there.
    public var path: String
    /// Where each answer goes, before the next line is written.
    public var log: String
    /// Between two lines.
    public var pause: Interval

    public init(path: String, log: String, pause: Interval) {
        self.path = path
        self.log = log
        self.pause = pause
    }

    /// Appends until SIGTERM. A line that fails is logged and written again.
    public func run() throws(LabError) {
        clinux_lab_hold_stop_signals()
        let report = clinux_open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o644)
        guard report >= 0 else { throw LabError("open \(log)", code: errno) }
        defer { close(report) }
        let file = clinux_open(path, O_RDWR | O_CREAT | O_APPEND | O_SYNC | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw LabError("open \(path)", code: errno) }
        defer { close(file) }
        var lock = flock()
        lock.l_type = Int16(F_WRLCK)
        guard fcntl(file, F_SETLK, &lock) == 0 else { throw LabError("lock \(path)", code: errno) }
        func tell(_ answer: LineAnswer) {
            let bytes = Array("\(answer.text)\n".utf8)
            _ = write(report, bytes, bytes.count)
        }
        var number = 0
        while clinux_lab_stop_requested() == 0 {
            let line = Array("\(number)\n".utf8)
            let begin = LabClock.now()
            let count = write(file, line, line.count)
            let code = errno
            let time = LabClock.now().since(begin).wholeMilliseconds
            if count == line.count {
                tell(LineAnswer(number: number, milliseconds: time, code: 0))
                number += 1
            } else {
                tell(LineAnswer(number: number, milliseconds: time, code: count < 0 ? code : EIO))
            }
            LabClock.nap(pause)
        }
    }
}

/// One answer that a `LineWriter` had.
public struct LineAnswer: Sendable, Hashable {
    public var number: Int
    /// How long the write took.
    public var milliseconds: UInt64
    /// 0, or an errno.
    public var code: Int32

    public init(number: Int, milliseconds: UInt64, code: Int32) {
        self.number = number
        self.milliseconds = milliseconds
        self.code = code
    }

    var text: String { "\(number) \(milliseconds) \(code)" }

    /// The whole lines of a log.
    public static func parse(_ log: String) -> [LineAnswer] {
        let whole = log.prefix(upTo: log.lastIndex(of: "\n") ?? log.startIndex)
        return whole.split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ")
            guard words.count == 3, let number = Int(words[0]), let time = UInt64(words[1]),
                let code = Int32(words[2])
            else { return nil }
            return LineAnswer(number: number, milliseconds: time, code: code)
        }
    }

    /// What is wrong with a file that these answers were had for; nil when every acknowledged line is there, once and
    /// in order. One line more may be there: its answer was still on its way. A line that was answered with an error
    /// may be there as often as it was tried: an error says that nobody knows.
    public static func fault(in file: String, after answers: [LineAnswer]) -> String? {
        let acknowledged = answers.filter { $0.code == 0 }.count
        let failed = Dictionary(answers.filter { $0.code != 0 }.map { ($0.number, 1) }, uniquingKeysWith: +)
        let lines = file.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
        var (next, repeats) = (0, 0)
        for (index, line) in lines.enumerated() {
            if line == "\(next)" {
                (next, repeats) = (next + 1, 0)
            } else if line == "\(next - 1)", repeats < failed[next - 1, default: 0] {
                repeats += 1
            } else {
                return "line \(index) of the file is '\(line)'"
            }
        }
        if next < acknowledged {
            return "\(acknowledged) lines were acknowledged and \(next) are there"
        }
        return next > acknowledged + 1
            ? "\(next) lines are there and \(acknowledged) were acknowledged" : nil
    }
}
