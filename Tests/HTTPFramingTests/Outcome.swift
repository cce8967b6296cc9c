import HTTPFraming

@testable import Lab

/// What a reader made of some bytes, in the words of `cases.txt`.
struct Outcome: Equatable, CustomStringConvertible {
    /// Nil: the head is not complete, or refused with `fault`.
    var head: Head?
    var data: [UInt8] = []
    var trailers: [UInt8] = []
    var rest: [UInt8] = []
    var isFinished = false
    var fault: String?

    struct Head: Equatable {
        var keepsAlive: Bool
        var body: String
    }

    var description: String {
        guard let head else { return fault.map { "refuse \($0)" } ?? "incomplete" }
        var text = "accept \(head.keepsAlive ? "keep" : "close") \(head.body)"
        if head.body != "none" { text += " \"\(ProxyCase.escape(data))\"" }
        if !trailers.isEmpty { text += " trailers \"\(ProxyCase.escape(trailers))\"" }
        if let fault { return text + " refuse \(fault)" }
        if !isFinished, head.body != "until-close" { text += " unfinished" }
        if !rest.isEmpty { text += " rest \"\(ProxyCase.escape(rest))\"" }
        return text
    }

    /// What the parsers of Core make of it, pushed in pieces of the given sizes, over and over.
    static func parse(
        _ bytes: [UInt8], isRequest: Bool, method: String, pieces: [Int], limits: HTTPLimits = HTTPLimits()
    ) -> Outcome {
        var parser = HeadParser(isRequest ? .request : .response, limits: limits)
        var received: [UInt8] = []
        var sent = 0
        var turn = 0
        func receive() -> Bool {
            guard sent < bytes.count else { return false }
            let count = min(max(1, pieces[turn % pieces.count]), bytes.count - sent)
            sent += count
            // A copy without room to spare: whoever reads past its end is seen by the address sanitizer.
            received = Array(bytes[..<sent])
            turn += 1
            return true
        }
        var outcome = Outcome()
        head: while true {
            switch parser.push(received.span) {
            case .incomplete: guard receive() else { return outcome }
            case .refused(let fault):
                outcome.fault = fault.rawValue
                return outcome
            case .complete: break head
            }
        }
        let head = parser.head
        let body = isRequest ? head.requestBody : head.responseBody(to: method == "HEAD" ? .head : .get)
        outcome.head = Head(keepsAlive: head.keepsAlive, body: name(of: body))
        var reader = BodyParser(body, limits: limits)
        var cursor = head.length
        body: while true {
            switch reader.next(received.span, from: cursor) {
            case .data(let range):
                outcome.data += received[range]
                cursor = range.upperBound
            case .incomplete:
                cursor = received.count
                guard receive() else { break body }
            case .end(let place):
                outcome.isFinished = true
                outcome.rest = Array(received[place...] + bytes[sent...])
                break body
            case .refused(let fault):
                outcome.fault = fault.rawValue
                break body
            }
        }
        outcome.trailers = reader.trailers
        return outcome
    }

    static func name(of body: BodyLength) -> String {
        switch body {
        case .none: "none"
        case .length: "length"
        case .chunked: "chunked"
        case .untilClose: "until-close"
        }
    }
}
