/// A JSON text as a tree: what `tandem status --json` prints, read by field names.
public enum JSONValue: Hashable, Sendable {
    case null
    case bool(Bool)
    case number(Double)
    case text(String)
    case list([JSONValue])
    case object([String: JSONValue])

    /// A field of an object, an element of a list by its number; null when it is not there.
    public subscript(_ path: String) -> JSONValue {
        path.split(separator: ".").reduce(self) { value, part in
            switch value {
            case .object(let fields): fields[String(part)] ?? .null
            case .list(let items): Int(part).flatMap { items.indices.contains($0) ? items[$0] : nil } ?? .null
            default: .null
            }
        }
    }

    public var text: String? { if case .text(let value) = self { value } else { nil } }
    public var number: Double? { if case .number(let value) = self { value } else { nil } }
    public var list: [JSONValue] { if case .list(let value) = self { value } else { [] } }

    /// Reads one JSON value; nil when the text is not one.
    public init?(_ text: String) {
        var reader = JSONReader(bytes: Array(text.utf8))
        guard let value = reader.value(depth: 0) else { return nil }
        reader.skipSpace()
        guard reader.atEnd else { return nil }
        self = value
    }
}

private struct JSONReader {
    let bytes: [UInt8]
    var next = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    var atEnd: Bool { next == bytes.count }
    var peek: UInt8? { next < bytes.count ? bytes[next] : nil }

    mutating func skipSpace() {
        while let byte = peek, byte == 32 || byte == 10 || byte == 13 || byte == 9 { next += 1 }
    }

    mutating func take(_ literal: String) -> Bool {
        let wanted = Array(literal.utf8)
        guard bytes.count - next >= wanted.count, bytes[next..<next + wanted.count].elementsEqual(wanted)
        else {
            return false
        }
        next += wanted.count
        return true
    }

    mutating func value(depth: Int) -> JSONValue? {
        skipSpace()
        guard depth < 64, let byte = peek else { return nil }
        switch byte {
        case UInt8(ascii: "{"): return object(depth: depth)
        case UInt8(ascii: "["): return list(depth: depth)
        case UInt8(ascii: "\""): return string().map { .text($0) }
        case UInt8(ascii: "t"): return take("true") ? .bool(true) : nil
        case UInt8(ascii: "f"): return take("false") ? .bool(false) : nil
        case UInt8(ascii: "n"): return take("null") ? .null : nil
        default: return number()
        }
    }

    private mutating func number() -> JSONValue? {
        let begin = next
        while let byte = peek, "+-.eE0123456789".utf8.contains(byte) { next += 1 }
        return Double(String(decoding: bytes[begin..<next], as: UTF8.self)).map { .number($0) }
    }

    private mutating func object(depth: Int) -> JSONValue? {
        next += 1
        var fields: [String: JSONValue] = [:]
        skipSpace()
        if take("}") { return .object(fields) }
        while true {
            skipSpace()
            guard peek == UInt8(ascii: "\""), let name = string() else { return nil }
            skipSpace()
            guard take(":"), let value = value(depth: depth + 1) else { return nil }
            fields[name] = value
            skipSpace()
            if take("}") { return .object(fields) }
            guard take(",") else { return nil }
        }
    }

    private mutating func list(depth: Int) -> JSONValue? {
        next += 1
        var items: [JSONValue] = []
        skipSpace()
        if take("]") { return .list(items) }
        while true {
            guard let value = value(depth: depth + 1) else { return nil }
            items.append(value)
            skipSpace()
            if take("]") { return .list(items) }
            guard take(",") else { return nil }
        }
    }

    private mutating func string() -> String? {
        next += 1
        var text: [UInt8] = []
        while let byte = peek {
            next += 1
            if byte == UInt8(ascii: "\"") { return String(decoding: text, as: UTF8.self) }
            guard byte == UInt8(ascii: "\\") else {
                text.append(byte)
                continue
            }
            guard let escape = peek else { return nil }
            next += 1
            switch escape {
            case UInt8(ascii: "n"): text.append(10)
            case UInt8(ascii: "t"): text.append(9)
            case UInt8(ascii: "r"): text.append(13)
            case UInt8(ascii: "b"): text.append(8)
            case UInt8(ascii: "f"): text.append(12)
            case UInt8(ascii: "u"):
                guard bytes.count - next >= 4,
                    let code = UInt32(String(decoding: bytes[next..<next + 4], as: UTF8.self), radix: 16)
                else { return nil }
                next += 4
                // A half of a surrogate pair: names and numbers of ours have none.
                text.append(contentsOf: String(Unicode.Scalar(code).map { Character($0) } ?? "?").utf8)
            default: text.append(escape)
            }
        }
        return nil
    }
}
