/// A JSON value (RFC 8259) whose objects keep the order of their fields.
public indirect enum JSONValue: Sendable, Equatable {
    /// A name and its value in an object.
    public struct Field: Sendable, Equatable {
        public var name: String
        public var value: JSONValue

        public init(_ name: String, _ value: JSONValue) {
            self.name = name
            self.value = value
        }
    }

    case null
    case boolean(Bool)
    /// A number without fraction and exponent that fits.
    case integer(Int64)
    /// Any other number; never infinite, never NaN.
    case number(Double)
    case string(String)
    case array([JSONValue])
    /// Each name once.
    case object([Field])

    /// The value of an object's field; null where there is none.
    public subscript(_ name: String) -> JSONValue {
        guard case .object(let fields) = self else { return .null }
        return fields.first { $0.name == name }?.value ?? .null
    }

    public var string: String? { if case .string(let value) = self { value } else { nil } }
    public var integer: Int64? { if case .integer(let value) = self { value } else { nil } }
    public var boolean: Bool? { if case .boolean(let value) = self { value } else { nil } }
    /// The elements of an array; none for another value.
    public var elements: [JSONValue] { if case .array(let values) = self { values } else { [] } }

    /// The number, whether it is written with a fraction or not.
    public var double: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .number(let value): value
        default: nil
        }
    }

    /// A count; the few that do not fit 63 bits become the largest that does.
    public static func count(_ value: some BinaryInteger) -> JSONValue { .integer(Int64(clamping: value)) }

    /// The string, or null.
    public static func optional(_ value: String?) -> JSONValue { value.map { .string($0) } ?? .null }
}

extension JSONValue: ExpressibleByDictionaryLiteral, ExpressibleByStringLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByArrayLiteral
{
    public init(dictionaryLiteral fields: (String, JSONValue)...) {
        self = .object(fields.map { Field($0.0, $0.1) })
    }
    public init(stringLiteral value: String) { self = .string(value) }
    public init(booleanLiteral value: Bool) { self = .boolean(value) }
    public init(arrayLiteral values: JSONValue...) { self = .array(values) }
}

extension JSONValue {
    /// The text on one line, without spaces; with `isIndented` on many, for people.
    public func encoded(isIndented: Bool = false) -> String {
        var text = ""
        encode(into: &text, indent: isIndented ? 0 : nil)
        return text
    }

    private func encode(into text: inout String, indent: Int?) {
        switch self {
        case .null: text += "null"
        case .boolean(let value): text += value ? "true" : "false"
        case .integer(let value): text += String(value)
        case .number(let value): text += value.isFinite ? "\(value)" : "null"
        case .string(let value): Self.encode(value, into: &text)
        case .array(let values):
            Self.encode(values, ("[", "]"), into: &text, indent: indent) { value, text, indent in
                value.encode(into: &text, indent: indent)
            }
        case .object(let fields):
            Self.encode(fields, ("{", "}"), into: &text, indent: indent) { field, text, indent in
                Self.encode(field.name, into: &text)
                text += indent == nil ? ":" : ": "
                field.value.encode(into: &text, indent: indent)
            }
        }
    }

    private static func encode<Element>(
        _ elements: [Element], _ signs: (String, String), into text: inout String, indent: Int?,
        _ body: (Element, inout String, Int?) -> Void
    ) {
        text += signs.0
        let inner = indent.map { $0 + 2 }
        for (index, element) in elements.enumerated() {
            if index > 0 { text += "," }
            if let inner { text += "\n" + String(repeating: " ", count: inner) }
            body(element, &text, inner)
        }
        if let indent, !elements.isEmpty { text += "\n" + String(repeating: " ", count: indent) }
        text += signs.1
    }

    private static func encode(_ value: String, into text: inout String) {
        text += "\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case _ where scalar.value < 0x20 || scalar.value == 0x7F:
                let digits = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
    }
}
