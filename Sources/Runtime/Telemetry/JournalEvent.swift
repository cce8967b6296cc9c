/// How much an event concerns the operator.
public enum JournalLevel: String, Sendable, Hashable, CaseIterable {
    /// Something that happens in the normal course.
    case notice
    /// Something to look at; the service goes on.
    case warning
    /// A promise is at stake, or the service has stopped.
    case error
}

/// One decision or change, as one line of the journal.
public struct JournalEvent: Sendable, Hashable {
    /// A key and its value.
    public struct Field: Sendable, Hashable {
        public var key: String
        public var value: String

        public init(key: String, value: String) {
            self.key = key
            self.value = value
        }
    }

    /// Counts the events of this process; the first is 1.
    public var sequence: UInt64
    public var time: WallTime
    public var level: JournalLevel
    /// What happened, in words joined by `-`: "grant-received".
    public var name: String
    public var fields: [Field]

    public init(sequence: UInt64, time: WallTime, level: JournalLevel, name: String, fields: [Field]) {
        self.sequence = sequence
        self.time = time
        self.level = level
        self.name = name
        self.fields = fields
    }

    /// `name key=value key="value with spaces"`: the line without its time.
    public var text: String {
        fields.reduce(into: name) { line, field in line += " \(field.key)=\(Self.quoted(field.value))" }
    }

    /// A value as one word: in quotes where it is not one already, without line ends.
    private static func quoted(_ value: String) -> String {
        let isPlain =
            !value.isEmpty && value.utf8.allSatisfy { $0 > 0x20 && $0 != 0x22 && $0 != 0x3D && $0 != 0x7F }
        if isPlain { return value }
        var text = "\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"", "\\": text += "\\\(scalar)"
            case "\n": text += "\\n"
            case _ where scalar.value < 0x20 || scalar.value == 0x7F: text += "?"
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text + "\""
    }
}

extension JournalEvent: CustomStringConvertible {
    /// The whole line.
    public var description: String { "\(time) \(level.rawValue) \(text)" }
}
