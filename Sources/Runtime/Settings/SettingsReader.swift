import Basics

/// Walks the tree and collects every problem instead of stopping at the first.
///
/// A reading method that meets a problem notes it and returns the default or nil; the settings are handed out only
/// when no problem was noted, so that a stand-in value never leaves this module.
struct SettingsReader {
    /// One mapping with the keys that it may have.
    struct Section {
        /// `groups.files`; empty at the top.
        let path: String
        let position: Position
        let entries: [String: YamlNode]

        func path(of key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }
    }

    private(set) var problems: [SettingsError.Problem] = []
    /// Where each value was written, by its path: what contradictions point at.
    private var places: [String: Position] = [:]

    mutating func note(_ position: Position, _ message: String) {
        problems.append(
            SettingsError.Problem(line: position.line, column: position.column, message: message))
    }

    /// Where the value with that path was written; the start of the file when it was not.
    func place(_ path: String) -> Position { places[path] ?? Position(line: 1, column: 1) }

    /// Whether a value with that path was written.
    func isWritten(_ path: String) -> Bool { places[path] != nil }
}

// Mappings.
extension SettingsReader {
    /// The mapping `node`; keys that are not in `keys` are noted with the nearest that is.
    mutating func section(_ node: YamlNode, path: String, keys: [String]) -> Section? {
        guard let section = openSection(node, path: path) else { return nil }
        guard case .map(let entries) = node.value else { return nil }
        for entry in entries where !keys.contains(entry.key) {
            let place = path.isEmpty ? "" : " in '\(path)'"
            let hint = NearestWord.hint(for: entry.key, in: keys)
            note(entry.position, "unknown key '\(entry.key)'\(place)\(hint)")
        }
        return section
    }

    /// The mapping `node` with keys of the writer's choice.
    mutating func openSection(_ node: YamlNode, path: String) -> Section? {
        guard case .map(let entries) = node.value else {
            let name = path.isEmpty ? "the settings" : "'\(path)'"
            note(node.position, "\(name) must be a mapping of keys to values, found \(node.kind)")
            return nil
        }
        var values: [String: YamlNode] = [:]
        for entry in entries {
            values[entry.key] = entry.value
            places[path.isEmpty ? entry.key : "\(path).\(entry.key)"] = entry.value.position
        }
        return Section(path: path, position: node.position, entries: values)
    }

    /// The value of `key`, noted when it is missing.
    mutating func required(_ key: String, in section: Section, expected: String) -> YamlNode? {
        if let node = section.entries[key] { return node }
        note(section.position, "'\(section.path(of: key))' is missing; expected \(expected)")
        return nil
    }
}

// Scalars. Each takes the node and the words that a message needs.
extension SettingsReader {
    mutating func text(_ node: YamlNode, _ path: String, expected: String) -> String? {
        if case .scalar(let text) = node.value, !text.isEmpty { return text }
        note(node.position, "'\(path)' must be \(expected), found \(node.kind)")
        return nil
    }

    /// One of an enum's words.
    mutating func word<Word: RawRepresentable<String> & CaseIterable>(
        _ key: String, in section: Section, otherwise standard: Word
    ) -> Word {
        guard let node = section.entries[key] else { return standard }
        let words = Word.allCases.map(\.rawValue)
        let path = section.path(of: key)
        let expected = "one of \(words.joined(separator: ", "))"
        guard let text = text(node, path, expected: expected) else { return standard }
        if let word = Word(rawValue: text) { return word }
        let nearest = NearestWord.of(text, in: words).map { "; did you mean '\($0)'?" } ?? ""
        note(node.position, "'\(path)' must be \(expected), found '\(text)'\(nearest)")
        return standard
    }

    mutating func boolean(_ key: String, in section: Section, otherwise standard: Bool) -> Bool {
        guard let node = section.entries[key] else { return standard }
        switch text(node, section.path(of: key), expected: "true or false") {
        case "true": return true
        case "false": return false
        case .none: return standard
        case .some(let text):
            let nearest = ["yes": "true", "on": "true", "no": "false", "off": "false"][text.lowercased()]
            let hint = (nearest ?? NearestWord.of(text, in: ["true", "false"])).map {
                "; did you mean '\($0)'?"
            }
            note(
                node.position,
                "'\(section.path(of: key))' must be true or false, found '\(text)'\(hint ?? "")")
            return standard
        }
    }

    mutating func number(
        _ key: String, in section: Section, range: ClosedRange<Int>, otherwise standard: Int
    ) -> Int {
        guard let node = section.entries[key] else { return standard }
        let expected = "a whole number from \(range.lowerBound) to \(range.upperBound)"
        guard let text = text(node, section.path(of: key), expected: expected) else { return standard }
        guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(text),
            range.contains(number)
        else {
            note(node.position, "'\(section.path(of: key))' must be \(expected), found '\(text)'")
            return standard
        }
        return number
    }

    mutating func duration(
        _ key: String, in section: Section, range: ClosedRange<Interval>, otherwise standard: Interval
    ) -> Interval {
        guard let node = section.entries[key] else { return standard }
        let path = section.path(of: key)
        let limits = "\(Quantity.text(range.lowerBound)) to \(Quantity.text(range.upperBound))"
        let expected =
            "a duration from \(limits) with its unit (ms, s, m), such as \(Quantity.text(standard))"
        guard let text = text(node, path, expected: expected) else { return standard }
        let units = Quantity.durationUnits
        guard let (number, word) = Quantity.parts(text), let unit = units.first(where: { $0.word == word }),
            case let (product, overflow) = number.multipliedReportingOverflow(by: unit.nanoseconds),
            !overflow,
            range.contains(Interval(nanoseconds: product))
        else {
            note(node.position, "'\(path)' must be \(expected), found '\(text)'")
            return standard
        }
        return Interval(nanoseconds: product)
    }

    /// A name that may stand in a path: letters, digits, `-` and `_`, at most 32; `.` too for host names.
    mutating func isName(_ name: String, what: String, dots: Bool = false, at position: Position) -> Bool {
        let longest = dots ? 63 : 32
        let valid = name.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x5F: true
            case 0x2E: dots
            default: false
            }
        }
        let first = name.utf8.first ?? 0x2D
        if valid, first != 0x2D, first != 0x2E, first != 0x5F, name.utf8.count <= longest { return true }
        note(
            position,
            "\(what) '\(name)' must begin with a letter or digit and have only letters, digits, '-'"
                + (dots ? ", '_' and '.'" : " and '_'") + ", at most \(longest)")
        return false
    }

    /// An absolute path in its plain form, without white space.
    mutating func path(_ node: YamlNode, _ path: String) -> String? {
        let expected = "an absolute path without spaces, '.', '..' or a '/' at its end"
        guard let text = text(node, path, expected: expected) else { return nil }
        let parts = text.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
        let plain = text.unicodeScalars.allSatisfy { $0.value > 0x20 && $0.value != 0x7F }
        guard text.first == "/", plain, text.utf8.count < 4000,
            parts.allSatisfy({ !$0.isEmpty && $0 != "." && $0 != ".." && $0.utf8.count < 250 })
        else {
            note(node.position, "'\(path)' must be \(expected), found '\(text)'")
            return nil
        }
        return text
    }

    mutating func path(_ key: String, in section: Section, otherwise standard: String) -> String {
        guard let node = section.entries[key] else { return standard }
        return path(node, section.path(of: key)) ?? standard
    }

    mutating func address(_ node: YamlNode, _ path: String) -> Settings.IPAddress? {
        let expected = "an IPv4 or IPv6 address, such as 192.168.56.11"
        guard let text = text(node, path, expected: expected) else { return nil }
        guard let address = Settings.IPAddress(text) else {
            let hint = text.contains("/") ? "; a prefix length does not belong here" : ""
            note(node.position, "'\(path)' must be \(expected), found '\(text)'\(hint)")
            return nil
        }
        guard !address.isUnspecified, !address.isMulticast else {
            note(node.position, "'\(path)' must be the address of one machine, found '\(text)'")
            return nil
        }
        return address
    }

    /// A list of words; one word alone is a list of one.
    mutating func words(_ node: YamlNode, _ path: String, expected: String) -> [(
        text: String, place: Position
    )] {
        let items: [YamlNode] = if case .list(let items) = node.value { items } else { [node] }
        var words: [(text: String, place: Position)] = []
        for item in items {
            guard let text = text(item, path, expected: expected) else { continue }
            if text.unicodeScalars.allSatisfy({ $0.value > 0x20 && $0.value != 0x7F && $0 != "," }) {
                words.append((text, item.position))
            } else {
                note(
                    item.position, "'\(path)' must be \(expected), found '\(text)'; write [a, b] for several")
            }
        }
        return words
    }
}
