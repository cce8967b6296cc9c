import Quorum
import Replication

/// Where a long campaign stands, as lines of text that the next process reads.
public struct Progress: Sendable {
    /// The seed to go on with.
    public var next: UInt64
    public var coverage: Coverage

    /// A campaign that begins at `next`.
    public init(next: UInt64) {
        self.next = next
        coverage = Coverage()
    }

    /// What `text` wrote; nil if it is something else.
    public init?(text: String) {
        var next: UInt64?
        coverage = Coverage()
        for line in text.split(separator: "\n") {
            guard let colon = line.lastIndex(of: ":"),
                let value = Int(line[line.index(after: colon)...].dropFirst())
            else { return nil }
            let name = String(line[..<colon])
            if name == "next seed" {
                next = UInt64(value)
            } else if !coverage.restore(name, value) {
                return nil
            }
        }
        guard let next else { return nil }
        self.next = next
    }

    /// `NAME: NUMBER` a line.
    public var text: String {
        let own = ["next seed: \(next)", "seeds: \(coverage.seeds)", "events: \(coverage.events)"]
        return (own + coverage.lines).map { $0 + "\n" }.joined()
    }
}
