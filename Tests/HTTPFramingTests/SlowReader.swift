import HTTPFraming

/// Reads a message as the RFC's grammar is written: whole lines, copies, no state. Slow, and shares no code with the
/// parsers of Core, so that a mistake has to be made twice to stay unseen.
struct SlowReader {
    struct Refusal: Error { var fault: HTTPFault }

    static let crlf: [UInt8] = [13, 10]
    let limits: HTTPLimits

    static func read(_ bytes: [UInt8], isRequest: Bool, method: String, limits: HTTPLimits) -> Outcome {
        var outcome = Outcome()
        let reader = SlowReader(limits: limits)
        do throws(Refusal) {
            guard let (lines, length) = try reader.lines(bytes, isRequest) else { return outcome }
            let version = try reader.startLine(lines[0], isRequest)
            var fields: [(String, String)] = []
            for line in lines.dropFirst() {
                if fields.count == limits.fields { throw Refusal(fault: .headTooLarge) }
                try fields.append(reader.field(line, isRequest, fields))
            }
            let status = isRequest ? 0 : Int(lines[0].split(separator: " ")[1]) ?? 0
            let (keeps, body) = try reader.meaning(fields, version, isRequest, status, method)
            outcome.head = Outcome.Head(keepsAlive: keeps, body: body.0)
            reader.body(Array(bytes[length...]), body, &outcome)
        } catch {
            outcome.fault = error.fault.rawValue
        }
        return outcome
    }

    /// The lines of the head without their ends, the first not empty. Each line is judged before the next is looked at.
    private func lines(_ bytes: [UInt8], _ isRequest: Bool) throws(Refusal) -> ([String], Int)? {
        var lines: [String] = []
        var (start, empty) = (0, 0)
        var fields: [(String, String)] = []
        while true {
            var end = start
            while end < bytes.count, bytes[end] != 10, !(end > start && bytes[end - 1] == 13) { end += 1 }
            try limit(bytes, start: start, end: end, isFirst: lines.isEmpty)
            guard end < bytes.count else { return nil }
            if bytes[end] != 10 { throw Refusal(fault: .bareCarriageReturn) }
            guard end > start, bytes[end - 1] == 13 else { throw Refusal(fault: .bareLineFeed) }
            let line = String(String.UnicodeScalarView(bytes[start..<end - 1].map { UnicodeScalar($0) }))
            start = end + 1
            if line.isEmpty {
                if !lines.isEmpty { return (lines, start) }
                empty += 1
                if !isRequest || empty > 4 { throw Refusal(fault: .emptyLines) }
                continue
            }
            // Only to fail in the order of the lines.
            if lines.isEmpty {
                if line.unicodeScalars.count > limits.startLine { throw Refusal(fault: .startLineTooLong) }
                _ = try startLine(line, isRequest)
            } else {
                if fields.count == limits.fields { throw Refusal(fault: .headTooLarge) }
                fields.append(try field(line, isRequest, fields))
            }
            lines.append(line)
        }
    }

    /// The limits fail at the byte that exceeds them; so does a first byte that begins no message.
    private func limit(_ bytes: [UInt8], start: Int, end: Int, isFirst: Bool) throws(Refusal) {
        for place in start..<end {
            if isFirst, place == start, bytes[place] != 13, !Self.isToken(bytes[place]) {
                throw Refusal(fault: .badStartLine)
            }
            if isFirst, place - start > limits.startLine { throw Refusal(fault: .startLineTooLong) }
            if place + 1 >= limits.head { throw Refusal(fault: .headTooLarge) }
        }
    }

    static func isToken(_ byte: UInt8) -> Bool {
        "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".utf8.contains(byte)
    }

    static func isToken(_ text: some StringProtocol) -> Bool {
        !text.isEmpty && text.unicodeScalars.allSatisfy { $0.value < 128 && isToken(UInt8($0.value)) }
    }

    static func isText(_ text: some StringProtocol) -> Bool {
        text.unicodeScalars.allSatisfy { $0 == "\t" || $0.value >= 32 && $0.value != 127 }
    }

    /// Splits at each separator, as scalars: characters would join some of them.
    static func split(_ text: String, _ separator: UnicodeScalar) -> [String] {
        text.unicodeScalars.split(separator: separator, omittingEmptySubsequences: false).map { String($0) }
    }

    static func trim(_ text: String) -> String {
        let blank = { (scalar: UnicodeScalar) in scalar == " " || scalar == "\t" }
        let head = text.unicodeScalars.drop(while: blank)
        return String(String.UnicodeScalarView(head.reversed().drop(while: blank).reversed()))
    }

    /// The minor version.
    private func startLine(_ line: String, _ isRequest: Bool) throws(Refusal) -> Int {
        let bad = Refusal(fault: .badStartLine)
        let words = Self.split(line, " ")
        guard isRequest else {
            guard words.count >= 2, line.unicodeScalars.count >= 12 else { throw bad }
            let minor = try version(words[0])
            let digits = words[1].unicodeScalars
            guard digits.count == 3, digits.allSatisfy({ ("0"..."9").contains($0) }), digits.first != "0"
            else { throw bad }
            guard Self.isText(words.dropFirst(2).joined(separator: " ")) else { throw bad }
            return minor
        }
        guard Self.isToken(words[0]), words.count >= 3 else { throw bad }
        // The rest after the second space must be a version; another space in it makes it none.
        let minor = try version(words.dropFirst(2).joined(separator: " "))
        let target = words[1]
        guard !target.isEmpty,
            target.unicodeScalars.allSatisfy({ $0.value > 32 && $0.value < 127 && $0 != "#" })
        else { throw Refusal(fault: .badTarget) }
        if words[0] == "CONNECT" { throw Refusal(fault: .connectMethod) }
        if target.hasPrefix("/") || target == "*" && words[0] == "OPTIONS" { return minor }
        for scheme in ["http://", "https://"] where target.lowercased().hasPrefix(scheme) {
            let authority = target.dropFirst(scheme.count).prefix { $0 != "/" && $0 != "?" }
            guard !authority.isEmpty, Self.isHost(String(authority)) else { break }
            return minor
        }
        throw Refusal(fault: .badTarget)
    }

    private func version(_ word: String) throws(Refusal) -> Int {
        let scalars = Array(word.unicodeScalars)
        let digits = Array("0123456789".unicodeScalars)
        guard scalars.count == 8, word.hasPrefix("HTTP/"), scalars[6] == ".",
            let major = digits.firstIndex(of: scalars[5]), let minor = digits.firstIndex(of: scalars[7])
        else { throw Refusal(fault: .badStartLine) }
        guard major == 1 else { throw Refusal(fault: .badVersion) }
        return min(minor, 1)
    }

    static func isHost(_ text: String) -> Bool {
        if text.isEmpty { return true }
        var host = text
        if let colon = text.lastIndex(of: ":"), !text[colon...].contains("]") {
            let port = text[text.index(after: colon)...]
            guard port.utf8.count <= 5, port.utf8.allSatisfy({ (48...57).contains($0) }) else { return false }
            host = String(text[..<colon])
        }
        if host.hasPrefix("[") {
            guard host.hasSuffix("]"), host.utf8.count > 2 else { return false }
            return host.dropFirst().dropLast().utf8.allSatisfy {
                "0123456789abcdefABCDEF:.".utf8.contains($0)
            }
        }
        let marks = "-._~%!$&'()*+,;=".utf8
        return !host.isEmpty
            && host.utf8.allSatisfy { byte in
                marks.contains(byte) || byte < 128 && Character(UnicodeScalar(byte)).isLetter
                    || (48...57).contains(byte)
            }
    }

    private func field(
        _ line: String, _ isRequest: Bool, _ earlier: [(String, String)]
    ) throws(Refusal) -> (String, String) {
        if line.hasPrefix(" ") || line.hasPrefix("\t") { throw Refusal(fault: .foldedLine) }
        let parts = Self.split(line, ":")
        var name = parts[0]
        if !isRequest { name = Self.trim(name) }
        guard parts.count > 1, Self.isToken(name) else { throw Refusal(fault: .badFieldName) }
        let value = Self.trim(parts.dropFirst().joined(separator: ":"))
        guard Self.isText(parts.dropFirst().joined(separator: ":")) else {
            throw Refusal(fault: .badFieldValue)
        }
        name = name.lowercased()
        let isSecond = earlier.contains { $0.0 == name }
        if name == "host", isRequest, isSecond { throw Refusal(fault: .badHost) }
        if name == "content-length" {
            let isNumber =
                !value.isEmpty && value.utf8.count < 20 && value.utf8.allSatisfy { (48...57).contains($0) }
            guard isNumber, !isSecond, let number = UInt64(value), number < 1 << 62 else {
                throw Refusal(fault: .badContentLength)
            }
        }
        if name == "connection" {
            for option in Self.split(value, ",").map(Self.trim) where !option.isEmpty {
                guard Self.isToken(option) else { throw Refusal(fault: .badFieldValue) }
            }
        }
        return (name, value)
    }

    private func meaning(
        _ fields: [(String, String)], _ minor: Int, _ isRequest: Bool, _ status: Int, _ method: String
    ) throws(Refusal) -> (Bool, (String, Int)) {
        func list(_ name: String) -> [String] {
            fields.filter { $0.0 == name }.flatMap { Self.split($0.1, ",") }.map(Self.trim).filter {
                !$0.isEmpty
            }
            .map { $0.lowercased() }
        }
        if isRequest {
            if let host = fields.first(where: { $0.0 == "host" })?.1 {
                guard Self.isHost(host) else { throw Refusal(fault: .badHost) }
            } else if minor == 1 {
                throw Refusal(fault: .badHost)
            }
        }
        let codings = list("transfer-encoding")
        let length = fields.first { $0.0 == "content-length" }.flatMap { Int($0.1) }
        let isCoded = fields.contains { $0.0 == "transfer-encoding" }
        if isCoded {
            guard minor == 1, codings.last == "chunked", codings.filter({ $0 == "chunked" }).count == 1 else {
                throw Refusal(fault: .badTransferEncoding)
            }
            guard codings.count == 1 else { throw Refusal(fault: .unknownTransferCoding) }
        }
        let options = list("connection")
        let keeps =
            !options.contains("close") && !(isCoded && length != nil)
            && (minor == 1 || options.contains("keep-alive"))
        if !isRequest, method == "HEAD" || status < 200 || status == 204 || status == 304 {
            return (keeps, ("none", 0))
        }
        if isCoded { return (keeps, ("chunked", 0)) }
        if let length { return (keeps, length == 0 ? ("none", 0) : ("length", length)) }
        return (keeps, isRequest ? ("none", 0) : ("until-close", 0))
    }
}

extension SlowReader {
    private func body(_ bytes: [UInt8], _ body: (String, Int), _ outcome: inout Outcome) {
        switch body.0 {
        case "none":
            outcome.isFinished = true
            outcome.rest = bytes
        case "length":
            outcome.data = Array(bytes.prefix(body.1))
            outcome.isFinished = bytes.count >= body.1
            outcome.rest = Array(bytes.dropFirst(body.1))
        case "chunked": chunks(bytes, &outcome)
        default: outcome.data = bytes
        }
    }

    private func chunks(_ bytes: [UInt8], _ outcome: inout Outcome) {
        var rest = bytes[...]
        while true {
            var digits: [UInt8] = []
            while let byte = rest.first, Character(UnicodeScalar(byte)).isHexDigit, byte < 128 {
                digits.append(byte)
                rest = rest.dropFirst()
                if digits.count > 15 { return outcome.fault = HTTPFault.badChunk.rawValue }
            }
            guard let mark = rest.first else { return }
            guard !digits.isEmpty, mark == 13 || mark == 59 else {
                return outcome.fault = HTTPFault.badChunk.rawValue
            }
            var line = digits.count
            if mark == 59 {
                while let byte = rest.first, byte != 13 {
                    line += 1
                    // The semicolon itself was read with the size, where there is no limit.
                    if line > limits.chunkLine { return outcome.fault = HTTPFault.headTooLarge.rawValue }
                    guard byte == 9 || byte >= 32 && byte != 127 else {
                        return outcome.fault = HTTPFault.badChunk.rawValue
                    }
                    rest = rest.dropFirst()
                }
                if !rest.isEmpty, line + 1 > limits.chunkLine {
                    return outcome.fault = HTTPFault.headTooLarge.rawValue
                }
            }
            guard takeEnd(&rest, &outcome) else { return }
            let size = Int(String(decoding: digits, as: UTF8.self), radix: 16) ?? 0
            if size == 0 { return trailers(rest, &outcome) }
            outcome.data += rest.prefix(size)
            guard rest.count > size else { return }
            rest = rest.dropFirst(size)
            guard takeEnd(&rest, &outcome) else { return }
        }
    }

    /// Takes CRLF; false when it is not whole yet, or wrong.
    private func takeEnd(_ rest: inout ArraySlice<UInt8>, _ outcome: inout Outcome) -> Bool {
        for byte in Self.crlf {
            guard let next = rest.popFirst() else { return false }
            guard next == byte else {
                outcome.fault = HTTPFault.badChunk.rawValue
                return false
            }
        }
        return true
    }

    private func trailers(_ bytes: ArraySlice<UInt8>, _ outcome: inout Outcome) {
        let bad = HTTPFault.badTrailer.rawValue
        var rest = bytes
        var total = 0
        while true {
            var line: [UInt8] = []
            while let byte = rest.first, byte != 13 {
                total += 1
                if total > limits.head { return outcome.fault = HTTPFault.headTooLarge.rawValue }
                guard byte == 9 || byte >= 32 && byte != 127 else { return outcome.fault = bad }
                line.append(byte)
                rest = rest.dropFirst()
            }
            guard rest.popFirst() != nil else { return }
            total += 1
            if total > limits.head { return outcome.fault = HTTPFault.headTooLarge.rawValue }
            guard let feed = rest.popFirst() else { return }
            guard feed == 10 else { return outcome.fault = bad }
            if line.isEmpty {
                outcome.isFinished = true
                outcome.rest = Array(rest)
                return
            }
            guard let colon = line.firstIndex(of: 58), line[..<colon].allSatisfy(Self.isToken), colon > 0
            else {
                return outcome.fault = bad
            }
            let name = String(decoding: line[..<colon], as: UTF8.self).lowercased()
            let ends = [
                "host", "connection", "content-length", "transfer-encoding", "upgrade", "expect",
                "keep-alive",
                "proxy-connection", "te", "trailer", "cookie", "set-cookie", "cache-control",
                "x-forwarded-proto",
                "max-forwards",
            ]
            if !ends.contains(name) { outcome.trailers += line + Self.crlf }
        }
    }
}
