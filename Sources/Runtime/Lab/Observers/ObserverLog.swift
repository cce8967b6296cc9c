public import Basics

/// What an observer of the address saw, line by line: a time and a word.
public struct ObserverLog: Sendable {
    /// One line.
    public struct Entry: Hashable, Sendable {
        public let time: Instant
        /// `?` when it asked, otherwise who answered.
        public let word: String
    }

    public private(set) var entries: [Entry] = []

    /// Reads the log file of an observer.
    public init(path: String) { self.init(text: TextFile.read(path) ?? "") }

    /// Reads the text of one. A last line without its end is still being written.
    public init(text: String) {
        let whole = text.lastIndex(of: "\n").map { text[...$0] } ?? ""
        entries = whole.split(separator: "\n").compactMap { line in
            let parts = line.split(separator: " ")
            guard parts.count == 2, let time = UInt64(parts[0]) else { return nil }
            return Entry(time: Instant(nanoseconds: time), word: String(parts[1]))
        }
    }

    /// The longest time without an answer between two instants, and when it began.
    public func longestSilence(from begin: Instant, to end: Instant) -> (length: Interval, at: Instant) {
        var last = begin
        var longest = (length: Interval(nanoseconds: 0), at: begin)
        for time in entries.filter({ $0.word != "?" }).map(\.time) where time > begin && time < end {
            if time.since(last) > longest.length { longest = (time.since(last), last) }
            last = time
        }
        if end.since(last) > longest.length { longest = (end.since(last), last) }
        return longest
    }

    /// How long two answered: the sum of the times from each question to the next to which more than one
    /// answered.
    public func doubleAnswers(from begin: Instant = Instant(nanoseconds: 0), to end: Instant = .never)
        -> Interval
    {
        var total: UInt64 = 0
        var asked: Instant?
        var answers: Set<String> = []
        for entry in entries where entry.time >= begin && entry.time <= end {
            if entry.word == "?" {
                if let asked, answers.count > 1 { total += entry.time.since(asked).nanoseconds }
                asked = entry.time
                answers = []
            } else {
                answers.insert(entry.word)
            }
        }
        return Interval(nanoseconds: total)
    }

    /// Who answered, in order, each time that it was another one than before.
    public func changes() -> [Entry] {
        var last: String?
        return entries.filter { entry in
            guard entry.word != "?", entry.word != last else { return false }
            last = entry.word
            return true
        }
    }
}
