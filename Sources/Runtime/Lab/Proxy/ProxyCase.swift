/// One case of the case file, for the parser alone and for a whole proxy: the file's head says what each line means.
struct ProxyCase: Sendable, CustomStringConvertible {
    /// What the origin does when a whole request has reached it.
    struct Answer: Sendable {
        /// What becomes of the connection after the bytes.
        enum Ending { case stays, ends, resets }

        var bytes: [UInt8]
        var ending = Ending.stays
    }

    var name: String
    var part: String
    /// "9112 6.3 (5)"
    var rule = ""
    /// What the RFC says there.
    var sentence = ""
    var isRequest = true
    var method = "GET"
    var bytes: [UInt8] = []
    var expected = ""
    var sends: [UInt8]?
    /// Empty: the standard answer, or the case's own bytes where it is a response.
    var answers: [Answer] = []
    /// More that the client sends, each after an answer.
    var more: [[UInt8]] = []
    /// What the client must get: `200 whole "hi"`, `200 cut`, `none`.
    var client: [String] = []
    /// How many whole requests reach the origin; nil where the case does not say.
    var reaches: Int?

    var description: String { name }

    /// The document and its section: what the summary counts by.
    var section: String {
        rule.split(separator: " ").prefix(2).joined(separator: " ")
    }

    /// Reads the file; a case without what it expects fails when it is run.
    static func read(_ text: String) -> [ProxyCase] {
        var cases: [ProxyCase] = []
        var part = ""
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
            let rest = words.count > 1 ? String(words[1]) : ""
            if words[0] == "##" { part = rest }
            if words[0] == "#" { cases.append(ProxyCase(name: rest, part: part)) }
            guard !cases.isEmpty else { continue }
            cases[cases.count - 1].take(String(words[0]), rest)
        }
        return cases
    }

    private mutating func take(_ word: String, _ rest: String) {
        switch word {
        case "rfc":
            let parts = rest.split(separator: ":", maxSplits: 1)
            rule = String(parts.first ?? "")
            sentence = parts.count > 1 ? String(parts[1].drop { $0 == " " }) : ""
        case "request": bytes = Self.unescape(rest)
        case "response-to":
            let words = rest.split(separator: " ", maxSplits: 1)
            isRequest = false
            method = String(words.first ?? "GET")
            bytes = Self.unescape(String(words.last ?? ""))
        case "expect": expected = rest
        case "sends": sends = Self.unescape(rest)
        case "origin": answers.append(Answer(bytes: Self.unescape(rest)))
        case "origin-ends": answers.append(Answer(bytes: Self.unescape(rest), ending: .ends))
        case "origin-resets": answers.append(Answer(bytes: Self.unescape(rest), ending: .resets))
        case "then": more.append(Self.unescape(rest))
        case "client": client.append(rest)
        case "reaches": reaches = Int(rest)
        default: break
        }
    }

    /// What stands between the quotes after the word, if it is there.
    func text(after word: String) -> [UInt8]? {
        let mark = word + " \""
        guard let start = expected.firstRange(of: mark) else { return nil }
        let rest = expected[start.upperBound...]
        // No text of the file has a quote of its own.
        return Self.unescape(String(rest.prefix { $0 != "\"" }))
    }

    static func unescape(_ text: String) -> [UInt8] {
        var bytes: [UInt8] = []
        var input = Array(text.utf8)[...]
        while let byte = input.popFirst() {
            guard byte == 0x5C, let next = input.popFirst() else {
                bytes.append(byte)
                continue
            }
            switch next {
            case 0x72: bytes.append(0x0D)
            case 0x6E: bytes.append(0x0A)
            case 0x74: bytes.append(0x09)
            case 0x78:
                bytes.append(UInt8(String(decoding: input.prefix(2), as: UTF8.self), radix: 16) ?? 0)
                input = input.dropFirst(2)
            default: bytes.append(next)
            }
        }
        return bytes
    }

    static func escape(_ bytes: some Sequence<UInt8>) -> String {
        var text = ""
        for byte in bytes {
            switch byte {
            case 0x0D: text += "\\r"
            case 0x0A: text += "\\n"
            case 0x09: text += "\\t"
            case 0x20...0x7E: text.unicodeScalars.append(UnicodeScalar(byte))
            default: text += "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }
        }
        return text
    }
}
