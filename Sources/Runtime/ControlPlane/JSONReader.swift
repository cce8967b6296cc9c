/// Why a text is not the JSON that is taken.
public enum JSONError: Error, Sendable, Equatable {
    /// Longer than the limit, in bytes.
    case tooLong(limit: Int)
    /// Arrays and objects inside one another deeper than `JSONValue.depthMaximum`.
    case tooDeep
    /// Not JSON from this byte on.
    case malformed(at: Int)
}

extension JSONValue {
    /// Arrays and objects inside one another at most.
    public static let depthMaximum = 32

    /// The value of a whole text of at most `limit` bytes. Never traps, whatever the bytes.
    public static func decode(_ bytes: [UInt8], limit: Int = 1 << 20) throws(JSONError) -> JSONValue {
        guard bytes.count <= limit else { throw .tooLong(limit: limit) }
        var reader = JSONReader(bytes: bytes)
        let value = try reader.readValue(depth: 0)
        reader.skipSpace()
        guard reader.position == bytes.count else { throw .malformed(at: reader.position) }
        return value
    }
}

/// Reads one JSON text from its first byte to its last.
struct JSONReader {
    let bytes: [UInt8]
    private(set) var position = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

    mutating func skipSpace() {
        while let byte = next, [0x20, 0x09, 0x0A, 0x0D].contains(byte) { position += 1 }
    }

    mutating func readValue(depth: Int) throws(JSONError) -> JSONValue {
        guard depth < JSONValue.depthMaximum else { throw .tooDeep }
        skipSpace()
        switch next {
        case UInt8(ascii: "{"): return try readObject(depth: depth)
        case UInt8(ascii: "["): return try readArray(depth: depth)
        case UInt8(ascii: "\""): return .string(try readString())
        case UInt8(ascii: "t"): return try readWord("true", .boolean(true))
        case UInt8(ascii: "f"): return try readWord("false", .boolean(false))
        case UInt8(ascii: "n"): return try readWord("null", .null)
        default: return try readNumber()
        }
    }

    private mutating func take(_ sign: Unicode.Scalar) throws(JSONError) {
        guard next == UInt8(ascii: sign) else { throw .malformed(at: position) }
        position += 1
    }

    private mutating func readWord(_ word: String, _ value: JSONValue) throws(JSONError) -> JSONValue {
        guard bytes[position...].starts(with: word.utf8) else { throw .malformed(at: position) }
        position += word.utf8.count
        return value
    }

    private mutating func readArray(depth: Int) throws(JSONError) -> JSONValue {
        var values: [JSONValue] = []
        try take("[")
        skipSpace()
        if next == UInt8(ascii: "]") {
            position += 1
            return .array(values)
        }
        while true {
            values.append(try readValue(depth: depth + 1))
            skipSpace()
            if next == UInt8(ascii: "]") { break }
            try take(",")
        }
        position += 1
        return .array(values)
    }

    private mutating func readObject(depth: Int) throws(JSONError) -> JSONValue {
        var fields: [JSONValue.Field] = []
        var names: Set<String> = []
        try take("{")
        skipSpace()
        if next == UInt8(ascii: "}") {
            position += 1
            return .object(fields)
        }
        while true {
            skipSpace()
            let start = position
            let name = try readString()
            guard names.insert(name).inserted else { throw .malformed(at: start) }
            skipSpace()
            try take(":")
            fields.append(JSONValue.Field(name, try readValue(depth: depth + 1)))
            skipSpace()
            if next == UInt8(ascii: "}") { break }
            try take(",")
        }
        position += 1
        return .object(fields)
    }

    private mutating func readNumber() throws(JSONError) -> JSONValue {
        let start = position
        while let byte = next, "+-.eE0123456789".utf8.contains(byte) { position += 1 }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        // What Swift reads and JSON does not: a leading plus, a leading zero, a bare point.
        let digits = text.first == "-" ? text.dropFirst() : text[...]
        let isZeroLed = digits.count > 1 && digits.first == "0" && digits.dropFirst().first?.isNumber == true
        guard let first = digits.first, first.isASCII, first.isNumber, !isZeroLed, text.last != "." else {
            throw .malformed(at: start)
        }
        if let integer = Int64(text) { return .integer(integer) }
        guard let number = Double(text), number.isFinite else { throw .malformed(at: start) }
        return .number(number)
    }

    private mutating func readString() throws(JSONError) -> String {
        let start = position
        try take("\"")
        var text: [UInt8] = []
        while let byte = next {
            position += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let string = String(validating: text, as: UTF8.self) else {
                    throw .malformed(at: start)
                }
                return string
            case UInt8(ascii: "\\"): text += try readEscape()
            case ..<0x20: throw .malformed(at: position - 1)
            default: text.append(byte)
            }
        }
        throw .malformed(at: position)
    }

    private mutating func readEscape() throws(JSONError) -> [UInt8] {
        guard let sign = next else { throw .malformed(at: position) }
        position += 1
        switch sign {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [sign]
        case UInt8(ascii: "b"): return [0x08]
        case UInt8(ascii: "f"): return [0x0C]
        case UInt8(ascii: "n"): return [0x0A]
        case UInt8(ascii: "r"): return [0x0D]
        case UInt8(ascii: "t"): return [0x09]
        case UInt8(ascii: "u"): return try readUnicodeEscape()
        default: throw .malformed(at: position - 1)
        }
    }

    private mutating func readUnicodeEscape() throws(JSONError) -> [UInt8] {
        let start = position
        var code = try readHexadecimal()
        if 0xD800...0xDBFF ~= code, next == UInt8(ascii: "\\") {
            position += 1
            try take("u")
            let low = try readHexadecimal()
            guard 0xDC00...0xDFFF ~= low else { throw .malformed(at: start) }
            code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
        }
        guard let scalar = Unicode.Scalar(code) else { throw .malformed(at: start) }
        return Array(String(Character(scalar)).utf8)
    }

    private mutating func readHexadecimal() throws(JSONError) -> UInt32 {
        guard bytes.count - position >= 4 else { throw .malformed(at: position) }
        var value: UInt32 = 0
        for byte in bytes[position..<position + 4] {
            guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                throw .malformed(at: position)
            }
            value = value << 4 | UInt32(digit)
        }
        position += 4
        return value
    }
}
