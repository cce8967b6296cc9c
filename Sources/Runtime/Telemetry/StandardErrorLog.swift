import Glibc
public import Logging

/// Writes log lines to standard error, each in one write(2), so that lines of several threads do not mix.
public struct StandardErrorLog: LogHandler {
    /// What is less grave is not written.
    public var logLevel = Logger.Level.info
    /// Added to each line.
    public var metadata: Logger.Metadata = [:]
    private let label: String

    /// A handler whose lines begin with time, level and `label`.
    public init(label: String) { self.label = label }

    /// A value that is added to each line.
    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    /// Writes the event's line.
    public func log(event: LogEvent) {
        var line = "\(WallTime.now()) \(event.level.rawValue) \(label): \(event.message)"
        let merged = metadata.merging(event.metadata ?? [:]) { _, new in new }
        for key in merged.keys.sorted() { line += " \(key)=\(merged[key] ?? "")" }
        Self.write(line + "\n")
    }

    /// Best effort: a daemon whose standard error is closed or full still does its work.
    static func write(_ line: String) {
        var rest = Array(line.utf8)[...]
        while !rest.isEmpty {
            let count = Glibc.write(2, Array(rest), rest.count)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }
}
