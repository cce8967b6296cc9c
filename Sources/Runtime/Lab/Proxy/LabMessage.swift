/// A message of HTTP/1.1 as a patient reader takes it: it judges nothing, and shares no code with the proxy's parsers.
struct LabMessage {
    /// The first line without its end.
    let startLine: String
    /// Names in small letters.
    let fields: [(name: String, value: String)]
    /// The data of the body, as far as it came, chunks taken apart.
    private(set) var body: [UInt8] = []
    /// The lines after the last chunk, each with its end.
    private(set) var trailers: [UInt8] = []
    /// Whether all of it came.
    private(set) var isWhole = false
    /// The bytes that it took; those after belong to the next.
    private(set) var length: Int
    /// The bytes of the head, its empty line included.
    let headLength: Int

    /// Of a response, else 0.
    var status: Int {
        let words = startLine.split(separator: " ")
        return words.count > 1 && startLine.hasPrefix("HTTP/") ? Int(words[1]) ?? 0 : 0
    }
    /// Of a request: its second word.
    var target: String { startLine.split(separator: " ").dropFirst().first.map(String.init) ?? "" }

    func value(_ name: String) -> String? { fields.first { $0.name == name }?.value }

    /// What the bytes begin with; nil while the head is not whole. `method` is that of a response's request, `ended` that
    /// no more will come.
    init?(_ bytes: ArraySlice<UInt8>, answerTo method: String? = nil, ended: Bool = false) {
        guard let end = Self.find([13, 10, 13, 10], in: bytes) else { return nil }
        let head = String(decoding: bytes[bytes.startIndex..<end], as: UTF8.self)
        let lines = head.unicodeScalars.split(separator: "\r\n".unicodeScalars).map(String.init)
        startLine = lines.first ?? ""
        fields = lines.dropFirst().map { line in
            let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            let value = parts.count > 1 ? Self.trim(parts[1]) : ""
            return (parts[0].lowercased(), value)
        }
        headLength = end + 4 - bytes.startIndex
        length = headLength
        readBody(bytes.dropFirst(headLength), method, ended)
    }

    private mutating func readBody(_ rest: ArraySlice<UInt8>, _ method: String?, _ ended: Bool) {
        let status = status
        if let method, method == "HEAD" || status < 200 || status == 204 || status == 304 {
            isWhole = true
        } else if value("transfer-encoding")?.lowercased().contains("chunked") == true {
            readChunks(rest)
        } else if let count = value("content-length").flatMap({ Int($0) }) {
            body = Array(rest.prefix(count))
            isWhole = rest.count >= count
            length += body.count
        } else if method == nil {
            isWhole = true
        } else {
            body = Array(rest)
            isWhole = ended
            length += body.count
        }
    }

    private mutating func readChunks(_ bytes: ArraySlice<UInt8>) {
        var rest = bytes
        while let end = Self.find([13, 10], in: rest) {
            let line = String(decoding: rest[rest.startIndex..<end], as: UTF8.self)
            guard let size = Int(line.prefix { $0.isHexDigit }, radix: 16) else { return }
            rest = rest[(end + 2)...]
            if size == 0 {
                while let end = Self.find([13, 10], in: rest) {
                    let line = rest[rest.startIndex..<end]
                    rest = rest[(end + 2)...]
                    if line.isEmpty {
                        isWhole = true
                        length += bytes.count - rest.count
                        return
                    }
                    trailers += line + [13, 10]
                }
                return
            }
            body += rest.prefix(size)
            guard rest.count >= size + 2 else { return }
            rest = rest.dropFirst(size + 2)
        }
    }

    static func find(_ text: [UInt8], in bytes: ArraySlice<UInt8>) -> Int? {
        guard bytes.count >= text.count else { return nil }
        var place = bytes.startIndex
        let last = bytes.endIndex - text.count
        while place <= last {
            if bytes[place] == text[0], bytes[place..<place + text.count].elementsEqual(text) { return place }
            place += 1
        }
        return nil
    }

    private static func trim(_ text: Substring) -> String {
        let blank: (Character) -> Bool = { $0 == " " || $0 == "\t" }
        return String(String(text.drop(while: blank)).reversed().drop(while: blank).reversed())
    }
}
