import Basics
import HTTPFraming

@testable import Lab

/// One message that a generator made of the cases, given to the parsers of Core and to the slow reader.
struct Trial {
    private static let tightLimits = HTTPLimits(startLine: 24, head: 60, fields: 2)

    let entry: ProxyCase
    let bytes: [UInt8]
    let pieces: [Int]
    let limits: HTTPLimits

    init(from cases: [ProxyCase], _ generator: inout SeededGenerator) {
        entry = cases[generator.below(cases.count)]
        let other = cases[generator.below(cases.count)]
        bytes = Mutation.make(entry.bytes, other.bytes, &generator)
        pieces = (0..<4).map { _ in 1 + generator.below(generator.chance(in: 2) ? 4 : 200) }
        limits = generator.chance(in: 3) ? Self.tightLimits : HTTPLimits()
    }

    /// What the two make of it, where that is not the same; nil when they agree.
    var difference: String? {
        let fast = Outcome.parse(
            bytes, isRequest: entry.isRequest, method: entry.method, pieces: pieces, limits: limits)
        let slow = SlowReader.read(bytes, isRequest: entry.isRequest, method: entry.method, limits: limits)
        guard "\(fast)" != "\(slow)" else { return nil }
        return "pieces \(pieces): fast \(fast), slow \(slow): \(ProxyCase.escape(bytes))"
    }

    /// What is sent on of a message that is taken must be taken again, and mean the same; nil when it does.
    var fault: String? {
        var parser = HeadParser(entry.isRequest ? .request : .response, limits: limits)
        guard parser.push(bytes.span) == .complete else { return nil }
        let head = parser.head
        var out: [UInt8] = []
        let method: HTTPMethod = entry.method == "HEAD" ? .head : .get
        let body = entry.isRequest ? head.requestBody : head.responseBody(to: method)
        if entry.isRequest {
            let rewrite = RequestRewrite(
                clientAddress: Array("192.0.2.7".utf8), cookieName: Array("TANDEM".utf8),
                standInHost: Array("origin".utf8))
            rewrite.write(head, bytes.span, into: &out)
            _ = CookieText.value(of: Array("TANDEM".utf8), in: head, bytes.span)
        } else {
            let framing = ResponseRewrite.framing(of: head, body: body, to: method, clientMinorVersion: 1)
            var rewrite = ResponseRewrite(framing: framing, closes: false)
            rewrite.setCookie = Array("TANDEM=0".utf8)
            rewrite.write(head, bytes.span, into: &out)
        }
        // The body as it goes on: bytes of the buffer up to its very end.
        var reader = BodyParser(body, limits: limits, endingNames: head.connectionNames(in: bytes.span))
        var (cursor, data) = (head.length, [UInt8]())
        while case .data(let range) = reader.next(bytes.span, from: cursor) {
            data.append(bytes.span, range)
            cursor = range.upperBound
        }
        var again = HeadParser(entry.isRequest ? .request : .response, limits: HTTPLimits(fields: 200))
        guard again.push(out.span) == .complete, again.head.length == out.count else {
            return "what goes on is not one head: \(ProxyCase.escape(bytes)) becomes \(ProxyCase.escape(out))"
        }
        let second = entry.isRequest ? again.head.requestBody : again.head.responseBody(to: method)
        let isSame = second == body || !entry.isRequest && body == .untilClose && second == .chunked
        return isSame ? nil : "\(body) becomes \(second): \(ProxyCase.escape(bytes))"
    }
}
