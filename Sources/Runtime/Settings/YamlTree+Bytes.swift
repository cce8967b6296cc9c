import CYaml

/// Turns libyaml's events into a tree with positions. Refused, because a settings file that is read by people
/// needs none of them: anchors and aliases, tags, several documents, keys that are not words, a key twice.
struct YamlReader {
    private let parser: UnsafeMutablePointer<yaml_parser_t>
    private let text: UnsafeBufferPointer<UInt8>
    private var nodeCount = 0

    /// The tree of `text`; a file without content is an empty mapping.
    static func tree(of text: [UInt8]) throws(YamlProblem) -> YamlNode {
        guard text.count <= YamlLimit.bytes else {
            throw YamlProblem(
                Position(line: 1, column: 1),
                "the file has \(text.count) bytes; settings have at most \(YamlLimit.bytes)")
        }
        let result: Result<YamlNode, YamlProblem> = text.withUnsafeBufferPointer { bytes in
            do throws(YamlProblem) { return .success(try read(bytes)) } catch { return .failure(error) }
        }
        return try result.get()
    }

    private static func read(_ bytes: UnsafeBufferPointer<UInt8>) throws(YamlProblem) -> YamlNode {
        // The parser keeps its own address as the read handler's argument, so it must not move.
        let parser = UnsafeMutablePointer<yaml_parser_t>.allocate(capacity: 1)
        defer { parser.deallocate() }
        guard yaml_parser_initialize(parser) != 0 else {
            throw YamlProblem(Position(line: 1, column: 1), "no memory to read the settings")
        }
        defer { yaml_parser_delete(parser) }
        yaml_parser_set_input_string(parser, bytes.baseAddress, bytes.count)
        yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
        var reader = YamlReader(parser: parser, text: bytes)
        return try reader.document()
    }

    private init(parser: UnsafeMutablePointer<yaml_parser_t>, text: UnsafeBufferPointer<UInt8>) {
        self.parser = parser
        self.text = text
    }

    private mutating func document() throws(YamlProblem) -> YamlNode {
        _ = try next()
        guard case .documentStart = try next().kind else {
            return YamlNode(position: Position(line: 1, column: 1), value: .map([]))
        }
        let root = try node(try next(), depth: 0)
        _ = try next()
        let after = try next()
        guard case .streamEnd = after.kind else {
            throw YamlProblem(after.position, "a second document begins here; settings are one document")
        }
        return root
    }

    private mutating func node(_ event: Event, depth: Int) throws(YamlProblem) -> YamlNode {
        nodeCount += 1
        guard nodeCount <= YamlLimit.nodes else {
            throw YamlProblem(event.position, "more than \(YamlLimit.nodes) values; settings have fewer")
        }
        guard depth <= YamlLimit.depth else {
            throw YamlProblem(event.position, "nested deeper than \(YamlLimit.depth) levels")
        }
        switch event.kind {
        case .scalar(let text):
            return YamlNode(position: event.position, value: .scalar(text))
        case .listStart:
            return YamlNode(position: event.position, value: .list(try list(depth: depth)))
        case .mapStart:
            return YamlNode(position: event.position, value: .map(try map(depth: depth)))
        case .listEnd, .mapEnd, .documentStart, .streamEnd, .other:
            throw YamlProblem(event.position, "expected a value here")
        }
    }

    private mutating func list(depth: Int) throws(YamlProblem) -> [YamlNode] {
        var items: [YamlNode] = []
        while true {
            let event = try next()
            if case .listEnd = event.kind { return items }
            items.append(try node(event, depth: depth + 1))
        }
    }

    private mutating func map(depth: Int) throws(YamlProblem) -> [YamlEntry] {
        var entries: [YamlEntry] = []
        var places: [String: Position] = [:]
        while true {
            let event = try next()
            if case .mapEnd = event.kind { return entries }
            guard case .scalar(let key) = event.kind else {
                throw YamlProblem(event.position, "a key is a single word")
            }
            if let first = places.updateValue(event.position, forKey: key) {
                throw YamlProblem(
                    event.position,
                    "the key '\(key)' is here twice, first in line \(first.line); keep one of them")
            }
            let value = try node(try next(), depth: depth + 1)
            entries.append(YamlEntry(key: key, position: event.position, value: value))
        }
    }
}

extension YamlReader {
    private struct Event {
        enum Kind {
            case scalar(String)
            case listStart
            case listEnd
            case mapStart
            case mapEnd
            case documentStart
            case streamEnd
            case other
        }

        var kind: Kind
        var position: Position
    }

    private func next() throws(YamlProblem) -> Event {
        var event = yaml_event_t()
        guard yaml_parser_parse(parser, &event) != 0 else { throw problem() }
        defer { yaml_event_delete(&event) }
        let position = Position(event.start_mark)
        let kind: Event.Kind
        switch event.type {
        case YAML_SCALAR_EVENT:
            let scalar = event.data.scalar
            try refuse(anchor: scalar.anchor, tag: scalar.tag, at: position)
            let bytes = UnsafeBufferPointer(start: scalar.value, count: scalar.length)
            guard !bytes.contains(0) else { throw YamlProblem(position, "a NUL byte in a value") }
            kind = .scalar(String(decoding: bytes, as: UTF8.self))
        case YAML_SEQUENCE_START_EVENT:
            try refuse(
                anchor: event.data.sequence_start.anchor, tag: event.data.sequence_start.tag, at: position)
            kind = .listStart
        case YAML_SEQUENCE_END_EVENT: kind = .listEnd
        case YAML_MAPPING_START_EVENT:
            try refuse(
                anchor: event.data.mapping_start.anchor, tag: event.data.mapping_start.tag, at: position)
            kind = .mapStart
        case YAML_MAPPING_END_EVENT: kind = .mapEnd
        case YAML_ALIAS_EVENT:
            throw YamlProblem(position, "an alias (*name) is not allowed in settings; write the value out")
        case YAML_DOCUMENT_START_EVENT: kind = .documentStart
        case YAML_STREAM_END_EVENT: kind = .streamEnd
        default: kind = .other
        }
        return Event(kind: kind, position: position)
    }

    private func refuse(
        anchor: UnsafeMutablePointer<yaml_char_t>?, tag: UnsafeMutablePointer<yaml_char_t>?,
        at position: Position
    ) throws(YamlProblem) {
        if anchor != nil {
            throw YamlProblem(position, "an anchor (&name) is not allowed in settings; write the value out")
        }
        if tag != nil {
            throw YamlProblem(position, "a tag (!name) is not allowed in settings; write the plain value")
        }
    }

    /// What libyaml says, in its own words, at the place it names.
    private func problem() -> YamlProblem {
        let words = parser.pointee.problem.map { String(cString: $0) } ?? "not YAML"
        let context = parser.pointee.context.map { String(cString: $0) + ": " } ?? ""
        if parser.pointee.error == YAML_READER_ERROR {
            // It reads ahead of the line that it parses, so its mark is of no use here; it names the byte.
            let before = text.prefix(Int(parser.pointee.problem_offset))
            let line = before.count { $0 == 0x0A } + 1
            let start = before.lastIndex(of: 0x0A).map { $0 + 1 } ?? 0
            let column = String(decoding: before[start...], as: UTF8.self).unicodeScalars.count + 1
            return YamlProblem(Position(line: line, column: column), "\(words); settings are UTF-8 text")
        }
        return YamlProblem(Position(parser.pointee.problem_mark), "not valid YAML: \(context)\(words)")
    }
}

extension Position {
    fileprivate init(_ mark: yaml_mark_t) {
        self.init(line: Int(mark.line) + 1, column: Int(mark.column) + 1)
    }
}

/// Why a text is not the YAML that settings are written in, and where.
struct YamlProblem: Error, Equatable {
    var position: Position
    var message: String

    init(_ position: Position, _ message: String) {
        self.position = position
        self.message = message
    }
}
