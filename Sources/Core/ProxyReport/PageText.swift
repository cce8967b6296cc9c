/// Text as HTML holds it, and numbers as people read them.
public enum PageText {
    /// The text with the five signs replaced that end a text or an attribute.
    public static func escaped(_ text: String) -> String {
        var out = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": out += "&amp;"
            case "<": out += "&lt;"
            case ">": out += "&gt;"
            case "\"": out += "&quot;"
            case "'": out += "&#39;"
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out
    }

    /// "3d4h", "2h05m", "1m30s", "12s", as HAProxy's page has it.
    public static func duration(seconds: UInt64) -> String {
        func two(_ value: UInt64) -> String { value < 10 ? "0\(value)" : "\(value)" }
        if seconds >= 86400 { return "\(seconds / 86400)d\(seconds / 3600 % 24)h" }
        if seconds >= 3600 { return "\(seconds / 3600)h\(two(seconds / 60 % 60))m" }
        if seconds >= 60 { return "\(seconds / 60)m\(two(seconds % 60))s" }
        return "\(seconds)s"
    }

    /// "12 345 678": groups of three digits.
    public static func grouped(_ number: UInt64) -> String {
        let digits = Array("\(number)".utf8)
        var out = ""
        for (place, digit) in digits.enumerated() {
            if place > 0, (digits.count - place) % 3 == 0 { out += "\u{202F}" }
            out.unicodeScalars.append(Unicode.Scalar(digit))
        }
        return out
    }
}
