import Glibc

/// One case of `cases.txt`.
struct HTTPCase: Sendable, CustomStringConvertible {
    var name: String
    var isRequest: Bool
    var method: String
    var bytes: [UInt8]
    var expected: String
    var sends: [UInt8]?

    var description: String { name }

    /// All cases of the file beside this one.
    static let all: [HTTPCase] = {
        let path = "\(#filePath)".split(separator: "/").dropLast().map { "/" + $0 }.joined() + "/cases.txt"
        var text: [UInt8] = []
        guard let file = fopen(path, "r") else { return [] }
        while case let byte = fgetc(file), byte >= 0 { text.append(UInt8(byte)) }
        fclose(file)
        var cases: [HTTPCase] = []
        for line in String(decoding: text, as: UTF8.self).split(separator: "\n") {
            let parts = line.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2 else { continue }
            let rest = String(parts[1])
            switch parts[0] {
            case "#":
                cases.append(
                    HTTPCase(name: rest, isRequest: true, method: "GET", bytes: [], expected: "", sends: nil))
            case "request" where !cases.isEmpty: cases[cases.count - 1].bytes = unescape(rest)
            case "response-to" where !cases.isEmpty:
                let words = rest.split(separator: " ", maxSplits: 1)
                cases[cases.count - 1].isRequest = false
                cases[cases.count - 1].method = String(words[0])
                cases[cases.count - 1].bytes = unescape(String(words[1]))
            case "expect" where !cases.isEmpty: cases[cases.count - 1].expected = rest
            case "sends" where !cases.isEmpty: cases[cases.count - 1].sends = unescape(rest)
            default: continue
            }
        }
        return cases
    }()

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
