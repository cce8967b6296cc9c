/// Compares a volume's image with the logs of all that wrote to it.
///
/// A block may hold what any attempt put there, unless a write that had to survive was issued after that
/// attempt had ended. Which writes have to survive is the caller's word: those that a completed flush covers,
/// or all that were acknowledged. An attempt that was never answered ends only with its writer.
public struct StampedCheck: Sendable {
    /// Which writes must be in the image.
    public enum Promise: Sendable {
        /// Those that were acknowledged and then flushed (G2).
        case flushed
        /// Every acknowledged one (G1).
        case acknowledged
    }

    /// A block that holds what it must not.
    public struct Finding: Sendable, Hashable, CustomStringConvertible {
        public let block: UInt64
        /// The last write that had to survive and that nothing later hides; nil when the content is wrong by
        /// itself.
        public let expected: Stamp?
        public let found: StampedBlock.Content
        /// The expected write in words of time, for a person who compares it with the events.
        public let detail: String

        public var description: String {
            let want =
                expected.map { "write \($0.sequence) of writer \($0.writer)" } ?? "a write of this block"
            return "block \(block): expected \(want), found \(Self.text(found)). \(detail)"
        }

        static func text(_ content: StampedBlock.Content) -> String {
            switch content {
            case .blank: "nothing"
            case .stamp(let stamp):
                "write \(stamp.sequence) of writer \(stamp.writer) for block \(stamp.block)"
            case .torn(let stamp): "a torn write \(stamp.sequence) of writer \(stamp.writer)"
            case .foreign: "bytes of no writer"
            }
        }
    }

    /// What a check found.
    public struct Report: Sendable {
        public internal(set) var findings: [Finding] = []
        /// Blocks that somebody tried to write.
        public internal(set) var blocks = 0
        /// Writes that had to survive.
        public internal(set) var required = 0
        /// Blocks that hold parts of several writes; counted where sectors are judged alone.
        public internal(set) var torn = 0
        /// Whether everything promised is there.
        public var holds: Bool { findings.isEmpty }
    }

    struct Attempt {
        let stamp: Stamp
        let begin: UInt64
        var end = UInt64.max
        var written = false
        var flushed = false
    }

    private(set) var attempts: [UInt64: [Attempt]] = [:]
    /// How many writes were acknowledged, over all logs.
    public private(set) var written = 0
    /// How many flushes were, over all logs.
    public private(set) var flushes = 0
    /// Longest time between two acknowledged writes of one writer, nanoseconds.
    public private(set) var longestPause: UInt64 = 0

    public init() {}

    /// Takes in the log of one writer, in the order in which it was written.
    ///
    /// A writer has one operation in flight. The log of a writer that was killed ends without `ended` and
    /// leaves its last attempt open for ever.
    public mutating func add(_ log: [StampRecord]) {
        var open: (block: UInt64, index: Int)?
        var unflushed: [(block: UInt64, index: Int)] = []
        var covered = 0
        var lastWritten: UInt64?
        for record in log {
            switch record.kind {
            case .opened:
                unflushed.removeAll()
            case .writing:
                let stamp = Stamp(writer: record.writer, sequence: record.sequence, block: record.block)
                attempts[record.block, default: []].append(Attempt(stamp: stamp, begin: record.time))
                open = (record.block, attempts[record.block, default: []].count - 1)
            case .written, .writeFailed, .ended:
                guard let last = open else { continue }
                attempts[last.block]?[last.index].end = record.time
                open = nil
                guard record.kind == .written else { continue }
                attempts[last.block]?[last.index].written = true
                written += 1
                unflushed.append(last)
                if let lastWritten { longestPause = max(longestPause, record.time - lastWritten) }
                lastWritten = record.time
            case .flushing:
                covered = unflushed.count
            case .flushed:
                flushes += 1
                for one in unflushed.prefix(covered) { attempts[one.block]?[one.index].flushed = true }
                unflushed.removeFirst(min(covered, unflushed.count))
            case .flushFailed, .openFailed:
                break
            }
        }
    }

    /// The blocks that somebody tried to write, in order.
    public var blocks: [UInt64] { attempts.keys.sorted() }

    /// Compares every block that somebody tried to write with what `content` says the image holds there.
    public func verify<Failure: Error>(
        _ promise: Promise, content: (UInt64) throws(Failure) -> StampedBlock.Content
    ) throws(Failure) -> Report {
        try judgeBlocks(promise) { block, all, required, report throws(Failure) in
            let found = try content(block)
            if let finding = Self.judge(block, found, all, required) { report.findings.append(finding) }
        }
    }

    /// Counts, and calls `judge` for every block that somebody tried to write, with all its attempts and those that
    /// had to survive.
    func judgeBlocks<Failure: Error>(
        _ promise: Promise,
        _ judge: (UInt64, _ all: [Attempt], _ required: [Attempt], inout Report) throws(Failure) -> Void
    ) throws(Failure) -> Report {
        var report = Report()
        for block in blocks {
            let all = attempts[block, default: []]
            let required = all.filter { promise == .flushed ? $0.flushed : $0.written }
            report.blocks += 1
            report.required += required.count
            try judge(block, all, required, &report)
        }
        return report
    }

    private static func judge(
        _ block: UInt64, _ found: StampedBlock.Content, _ all: [Attempt], _ required: [Attempt]
    ) -> Finding? {
        /// Whatever lay there before `end` must have given way to a required write issued after it.
        func lost(after end: UInt64) -> Finding? {
            guard let missing = required.filter({ $0.begin > end }).max(by: { $0.begin < $1.begin }) else {
                return nil
            }
            let detail = "It was issued at \(missing.begin) ns and answered at \(missing.end) ns."
            return Finding(block: block, expected: missing.stamp, found: found, detail: detail)
        }
        switch found {
        case .blank:
            return lost(after: 0)
        case .foreign:
            return Finding(block: block, expected: nil, found: found, detail: "")
        case .torn(let stamp):
            // Only a write that was never answered may lie there in part.
            if let attempt = all.first(where: { $0.stamp == stamp && !$0.written }) {
                return lost(after: attempt.end)
            }
            return Finding(block: block, expected: nil, found: found, detail: "That write was answered.")
        case .stamp(let stamp):
            guard let attempt = all.first(where: { $0.stamp == stamp }) else {
                return Finding(
                    block: block, expected: nil, found: found,
                    detail: "No log says that this was ever tried here.")
            }
            return lost(after: attempt.end)
        }
    }
}
