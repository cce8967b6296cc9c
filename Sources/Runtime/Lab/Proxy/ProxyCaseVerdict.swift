/// What a case says must happen at a proxy, and what happened, in the same few words.
struct ProxyCaseVerdict {
    let expected: String
    let actual: String
    /// Whether it is the same; of a peer, whether it comes to the same.
    let agrees: Bool

    private static let statuses = [
        "start-line-too-long": 414, "head-too-large": 431, "unknown-transfer-coding": 501,
        "connect-method": 501, "bad-version": 505,
    ]

    /// `strictly` is how ours is judged: the bytes of heads, the status of refusals.
    init(_ entry: ProxyCase, _ record: ProxyCaseRecord, strictly: Bool) {
        if !entry.client.isEmpty {
            expected = Self.join(entry.client, reaches: entry.reaches)
            let seen = Self.answers(record).enumerated().map { index, answer in
                Self.text(answer, withBody: entry.client.count <= index || entry.client[index].contains("\""))
            }
            let reached = Self.requests(record).whole.count
            actual = Self.join(seen.isEmpty ? ["none"] : seen, reaches: entry.reaches.map { _ in reached })
            agrees = expected == actual
        } else if entry.isRequest {
            expected = Self.expected(request: entry)
            let seen = Self.seen(request: entry, record, expected, strictly)
            actual = seen
            agrees = seen == expected || !strictly && Self.comesToTheSame(expected, seen)
        } else {
            expected = Self.expected(response: entry)
            let seen = Self.seen(response: entry, record, strictly)
            actual = seen
            agrees = seen == expected
        }
    }

    private static func join(_ answers: [String], reaches: Int?) -> String {
        answers.joined(separator: ", ") + (reaches.map { "; reaches \($0)" } ?? "")
    }

    /// A refusal is a refusal, whatever its status; a connection may be closed sooner than it must.
    private static func comesToTheSame(_ expected: String, _ actual: String) -> Bool {
        if expected.hasPrefix("refused"), actual.hasPrefix("refused") { return true }
        if expected.hasPrefix("not whole"), actual.hasPrefix("not whole") { return true }
        return expected == "forwarded, keep" && actual == "forwarded, close"
    }

    private static func status(_ fault: String) -> Int { statuses[fault] ?? 400 }

    // What passed.

    /// The requests that reached the origin: the whole ones, and whether others began.
    static func requests(_ record: ProxyCaseRecord) -> (whole: [(LabMessage, head: [UInt8])], torn: Bool) {
        var whole: [(LabMessage, head: [UInt8])] = []
        var torn = false
        for bytes in record.origin {
            var rest = bytes[...]
            while let message = LabMessage(rest), message.isWhole {
                if message.target != "/again" {
                    whole.append((message, Array(rest.prefix(message.headLength))))
                }
                rest = rest.dropFirst(message.length)
                // After an upgrade it is nobody's message.
                if message.value("upgrade") != nil { rest = [] }
            }
            if !rest.isEmpty { torn = true }
        }
        return (whole, torn)
    }

    /// The answers that the client got, interim ones too; the last may be cut.
    static func answers(_ record: ProxyCaseRecord) -> [(message: LabMessage, head: [UInt8], rest: [UInt8])] {
        var answers: [(LabMessage, head: [UInt8], rest: [UInt8])] = []
        var rest = record.client[...]
        var methods = record.methods[...]
        while let message = LabMessage(
            rest, answerTo: methods.first ?? "GET", ended: record.clientEnd == "ended")
        {
            let head = Array(rest.prefix(message.headLength))
            rest = rest.dropFirst(message.length)
            answers.append((message, head, Array(rest)))
            guard message.isWhole, message.status != 101 else { break }
            if message.status >= 200 { methods = methods.dropFirst() }
        }
        return answers
    }

    private static func text(
        _ answer: (message: LabMessage, head: [UInt8], rest: [UInt8]), withBody: Bool
    ) -> String {
        let message = answer.message
        if message.status < 200 { return "\(message.status)" }
        let state = message.isWhole ? "whole" : "cut"
        // The text of an error is everybody's own.
        guard message.status < 400, withBody else { return "\(message.status) \(state)" }
        return "\(message.status) \(state) \"\(ProxyCase.escape(message.body))\""
    }

    // Requests.

    private static func expected(request entry: ProxyCase) -> String {
        let words = entry.expected.split(separator: " ").map(String.init)
        if words.first == "refuse" { return "refused \(status(words.last ?? ""))" }
        if words.first == "incomplete" { return "refused 400" }
        guard words.first == "accept", words.count > 2 else { return "unreadable: \(entry.expected)" }
        if words.last == "unfinished" { return "not whole, 400" }
        if words.dropLast().last == "refuse" { return "not whole, \(status(words.last ?? ""))" }
        return "forwarded, \(words[1])"
    }

    private static func seen(
        request entry: ProxyCase, _ record: ProxyCaseRecord, _ expected: String, _ strictly: Bool
    ) -> String {
        let (whole, torn) = requests(record)
        let answers = answers(record).filter { $0.message.status >= 200 }
        let status =
            answers.first.map { "\($0.message.status)" }
            ?? (record.clientEnd == "open" ? "no answer" : "closed")
        guard let (message, head) = whole.first else {
            // Nobody is told of a body that was bad before it was sent on.
            return torn || expected.hasPrefix("not whole") ? "not whole, \(status)" : "refused \(status)"
        }
        var text = "forwarded"
        if whole.count > 1 { text += " as \(whole.count) requests" }
        if answers.isEmpty { return text + ", \(status)" }
        if answers.first?.message.status != 200 { text += " and answered \(status)" }
        let keeps = record.methods.count > 1 ? answers.count > 1 : record.clientEnd == "open"
        text += keeps || entry.text(after: "rest") != nil && expected.hasSuffix("keep") ? ", keep" : ", close"
        let wanted = entry.text(after: "length") ?? entry.text(after: "chunked") ?? []
        if message.body != wanted { text += ", body \"\(ProxyCase.escape(message.body))\"" }
        if strictly, message.trailers != entry.text(after: "trailers") ?? [] {
            text += ", trailers \"\(ProxyCase.escape(message.trailers))\""
        }
        guard let sends = entry.sends else { return text }
        return text + ProxyHeadDifference.text(wanted: sends, seen: head, ofRequest: true, strictly: strictly)
    }

    // Responses.

    private static func expected(response entry: ProxyCase) -> String {
        let words = entry.expected.split(separator: " ").map(String.init)
        if words.first == "refuse" { return "502 whole" }
        guard let message = LabMessage(entry.bytes[...], answerTo: entry.method) else { return "unreadable" }
        if message.status == 101 { return "101" }
        if message.status < 200 { return "\(message.status), 200 whole" }
        let isCut = words.last == "unfinished" || words.contains("refuse")
        return "\(message.status) \(isCut ? "cut" : "whole")"
    }

    private static func seen(response entry: ProxyCase, _ record: ProxyCaseRecord, _ strictly: Bool) -> String
    {
        let answers = answers(record)
        guard let (message, head, rest) = answers.first else {
            return record.clientEnd == "open" ? "no answer" : "closed"
        }
        var text = answers.map { answer in
            let status = answer.message.status
            return status < 200 ? "\(status)" : "\(status) \(answer.message.isWhole ? "whole" : "cut")"
        }.joined(separator: ", ")
        guard !entry.expected.hasPrefix("refuse") else { return text }
        let wanted = entry.text(after: "length") ?? entry.text(after: "chunked") ?? entry.text(after: "close")
        if message.status == 101 {
            if rest != entry.text(after: "rest") ?? [] { text += ", then \"\(ProxyCase.escape(rest))\"" }
        } else if message.status < 400, message.body != wanted ?? [] {
            text += ", body \"\(ProxyCase.escape(message.body))\""
        }
        guard let sends = entry.sends else { return text }
        return text
            + ProxyHeadDifference.text(wanted: sends, seen: head, ofRequest: false, strictly: strictly)
    }
}

/// What differs between the head that a case says is sent on and the one that was.
enum ProxyHeadDifference {
    /// What each proxy says in its own way, and may.
    private static let own: Set<String> = [
        "x-forwarded-for", "x-forwarded-proto", "connection", "keep-alive", "date", "server", "via",
        "set-cookie", "cache-control",
    ]

    static func text(wanted: [UInt8], seen: [UInt8], ofRequest: Bool, strictly: Bool) -> String {
        if strictly {
            // The cases know another client.
            let client = ProxyCase.escape(wanted).replacing("192.0.2.7", with: "127.0.0.1")
            var lines = ProxyCase.escape(seen)
            // What every response gets, and no case can know: Date where there is none, and the cookie.
            for name in ofRequest ? [] : ["Date: ", "Set-Cookie: TANDEM=", "Cache-Control: private"] {
                guard let start = lines.firstRange(of: name),
                    let end = lines[start.lowerBound...].firstRange(of: "\\r\\n")
                else { continue }
                lines.removeSubrange(start.lowerBound..<end.upperBound)
            }
            return lines == client ? "" : ", head \"\(lines)\""
        }
        let (left, right) = (lines(wanted, ofRequest), lines(seen, ofRequest))
        let adds = right.subtracting(left).sorted()
        let lacks = left.subtracting(right).sorted()
        var text = ""
        if !adds.isEmpty { text += ", adds `\(adds.joined(separator: "`, `"))`" }
        if !lacks.isEmpty { text += ", lacks `\(lacks.joined(separator: "`, `"))`" }
        return text
    }

    private static func lines(_ head: [UInt8], _ ofRequest: Bool) -> Set<String> {
        guard let message = LabMessage(head[...]) else { return [] }
        var lines: Set<String> = [ofRequest ? message.startLine : "\(message.status)"]
        for (name, value) in message.fields where !own.contains(name) {
            // A stand-in for a Host that nobody sent; and bodies are framed as each likes, but 204 not at all.
            if name == "host", value == "origin" || value == "localhost" || value.isEmpty { continue }
            if !ofRequest, message.status != 204, message.status >= 200,
                ["content-length", "transfer-encoding"].contains(name)
            {
                continue
            }
            lines.insert("\(name): \(name == "content-length" ? "\(Int(value) ?? -1)" : value)")
        }
        return lines
    }
}
