public import Basics
import CLinux
import Glibc

/// What a program does that works with many files: it makes, renames, links and removes, and logs every answer.
///
/// Round `n` makes `f<n>` and renames it `g<n>`, makes the directory `d<n>`, links the file into it, changes the file's
/// mode, looks at it, removes link and directory: `g<n>` is left.
public struct MetadataWriter: Sendable {
    public var directory: String
    public var log: String
    /// From one operation to the next.
    public var period: Interval

    public init(directory: String, log: String, period: Interval) {
        self.directory = directory
        self.log = log
        self.period = period
    }

    /// The operations of a round, in order.
    public enum Operation: String, Sendable, CaseIterable {
        case create, rename, mkdir, link, chmod, stat, unlink, rmdir

        /// What a server may answer that has done it already and lost its answer.
        var codeWhenDone: Int32? {
            switch self {
            case .create, .mkdir, .link: EEXIST
            case .rename, .unlink, .rmdir: ENOENT
            case .chmod, .stat: nil
            }
        }
    }

    /// Goes on until SIGTERM, and then ends its round.
    public func run() throws(LabError) {
        clinux_lab_hold_stop_signals()
        guard mkdir(directory, 0o755) == 0 || errno == EEXIST else {
            throw LabError("make \(directory)", code: errno)
        }
        let report = clinux_open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o644)
        guard report >= 0 else { throw LabError("open \(log)", code: errno) }
        defer { close(report) }
        var round = 0
        while clinux_lab_stop_requested() == 0 {
            for operation in Operation.allCases {
                let begin = LabClock.now()
                let code = perform(operation, round)
                let time = LabClock.now().since(begin)
                let bytes = Array("\(round) \(operation.rawValue) \(time.wholeMilliseconds) \(code)\n".utf8)
                _ = write(report, bytes, bytes.count)
                if time < period {
                    LabClock.nap(Interval(nanoseconds: period.nanoseconds - time.nanoseconds))
                }
            }
            round += 1
        }
    }

    /// 0, or an errno.
    private func perform(_ operation: Operation, _ round: Int) -> Int32 {
        let (made, kept) = ("\(directory)/f\(round)", "\(directory)/g\(round)")
        let below = "\(directory)/d\(round)"
        var status = stat()
        let result: Int32
        switch operation {
        case .create:
            let file = clinux_open(made, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
            if file >= 0 { close(file) }
            result = file
        case .rename: result = Glibc.rename(made, kept)
        case .mkdir: result = Glibc.mkdir(below, 0o755)
        case .link: result = Glibc.link(kept, "\(below)/h")
        case .chmod: result = Glibc.chmod(kept, 0o600)
        case .stat: result = lstat(kept, &status)
        case .unlink: result = Glibc.unlink("\(below)/h")
        case .rmdir: result = Glibc.rmdir(below)
        }
        return result >= 0 ? 0 : errno
    }
}

/// One answer that a `MetadataWriter` had.
public struct MetadataAnswer: Sendable, Hashable {
    public var round: Int
    public var operation: MetadataWriter.Operation
    public var milliseconds: UInt64
    /// 0, or an errno.
    public var code: Int32

    /// The whole lines of a log.
    public static func parse(_ log: String) -> [MetadataAnswer] {
        let whole = log.prefix(upTo: log.lastIndex(of: "\n") ?? log.startIndex)
        return whole.split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ")
            guard words.count == 4, let round = Int(words[0]), let time = UInt64(words[2]),
                let operation = MetadataWriter.Operation(rawValue: String(words[1])),
                let code = Int32(words[3])
            else { return nil }
            return MetadataAnswer(round: round, operation: operation, milliseconds: time, code: code)
        }
    }

    /// Whether it is a retried operation's answer, as NFS may give it when the server was lost in between: it had been
    /// done. Nothing else than a long wait makes a client ask again.
    var isDoneBefore: Bool { code != 0 && code == operation.codeWhenDone && milliseconds >= 200 }

    /// What is wrong with a tree, given as the names in it, that these answers were had for; nil when it is right.
    public static func fault(in names: [String], after answers: [MetadataAnswer]) -> String? {
        for answer in answers where answer.code != 0 && !answer.isDoneBefore {
            return
                "\(answer.operation.rawValue) of round \(answer.round) was answered with error \(answer.code)"
                + " after \(answer.milliseconds) ms"
        }
        let rounds = answers.count { $0.operation == .rmdir }
        let wanted = Set((0..<rounds).map { "g\($0)" })
        let found = Set(names)
        if let missing = wanted.subtracting(found).sorted().first { return "\(missing) is missing" }
        // The round that was under way may have left anything of its own.
        let own = Set(["f\(rounds)", "g\(rounds)", "d\(rounds)"])
        if let more = found.subtracting(wanted).subtracting(own).sorted().first {
            return "\(more) is still there"
        }
        return nil
    }
}
