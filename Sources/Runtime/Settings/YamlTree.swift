/// A place in a settings file, both counted from 1.
struct Position: Sendable, Equatable {
    var line: Int
    var column: Int
}

/// A value of a YAML text with the place where it begins.
struct YamlNode: Sendable, Equatable {
    enum Value: Sendable, Equatable {
        case scalar(String)
        case list([YamlNode])
        case map([YamlEntry])
    }

    var position: Position
    var value: Value

    /// What a person would call it in a message.
    var kind: String {
        switch value {
        case .scalar(""): "nothing"
        case .scalar(let text): "'\(text)'"
        case .list: "a list"
        case .map: "a mapping"
        }
    }
}

/// A key of a mapping with its value.
struct YamlEntry: Sendable, Equatable {
    var key: String
    var position: Position
    var value: YamlNode
}

/// What keeps a settings text from costing memory or stack: no honest file comes near.
enum YamlLimit {
    /// Bytes of the text.
    static let bytes = 1 << 20
    /// Mappings and lists inside one another.
    static let depth = 16
    /// Values in all.
    static let nodes = 20_000
}
