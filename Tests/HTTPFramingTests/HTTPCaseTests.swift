import Basics
import HTTPFraming
import Testing

@testable import Lab

@Suite("requests and responses: bytes in, expected outcome")
struct HTTPCaseTests {
    @Test("there are at least 150 cases")
    func enough() { #expect(ProxyCase.all.count >= 150) }

    @Test("a case ends as the sentence says, whole and byte by byte", arguments: ProxyCase.all)
    func outcome(_ entry: ProxyCase) {
        for pieces in [[entry.bytes.count], [1], [3, 1, 2]] {
            let outcome = Outcome.parse(
                entry.bytes, isRequest: entry.isRequest, method: entry.method, pieces: pieces)
            #expect("\(outcome)" == entry.expected, "in pieces of \(pieces)")
        }
    }

    @Test("what goes on is what the case says", arguments: ProxyCase.all.filter { $0.sends != nil })
    func sends(_ entry: ProxyCase) throws {
        var parser = HeadParser(entry.isRequest ? .request : .response)
        #expect(parser.push(entry.bytes.span) == .complete)
        let head = parser.head
        var out: [UInt8] = []
        if entry.isRequest {
            let rewrite = RequestRewrite(
                clientAddress: Array("192.0.2.7".utf8), cookieName: Array("TANDEM".utf8),
                standInHost: Array("origin".utf8))
            rewrite.write(head, entry.bytes.span, into: &out)
        } else {
            let method = entry.method == "HEAD" ? HTTPMethod.head : .get
            let body = head.responseBody(to: method)
            let framing = ResponseRewrite.framing(of: head, body: body, to: method, clientMinorVersion: 1)
            ResponseRewrite(framing: framing, closes: false).write(head, entry.bytes.span, into: &out)
        }
        #expect(ProxyCase.escape(out) == entry.sends.map { ProxyCase.escape($0) })
        // What we send, a reader as strict as ours takes, and makes the same of it.
        let again = Outcome.parse(
            out, isRequest: entry.isRequest, method: entry.method, pieces: [out.count])
        #expect(again.head != nil)
    }

    @Test("a head is refused at its limits and not before, in pieces of any size", arguments: [1, 7, 1000])
    func limits(_ piece: Int) {
        let limits = HTTPLimits(startLine: 20, head: 60, fields: 3)
        func outcome(_ text: String) -> String {
            let bytes = Array(text.utf8)
            return "\(Outcome.parse(bytes, isRequest: true, method: "GET", pieces: [piece], limits: limits))"
        }
        let host = "Host: a\r\n"
        func target(_ count: Int) -> String { "/" + String(repeating: "a", count: count - 1) }
        #expect(outcome("GET \(target(7)) HTTP/1.1\r\n\(host)\r\n") == "accept keep none")
        #expect(outcome("GET \(target(8)) HTTP/1.1\r\n\(host)\r\n") == "refuse start-line-too-long")
        #expect(outcome(String(repeating: "A", count: 22)) == "refuse start-line-too-long")
        #expect(outcome("GET / HTTP/1.1\r\n\(host)X:\r\nX:\r\n\r\n") == "accept keep none")
        #expect(outcome("GET / HTTP/1.1\r\n\(host)X:\r\nX:\r\nX:\r\n\r\n") == "refuse head-too-large")
        let value = String(repeating: "v", count: 28)
        #expect(outcome("GET / HTTP/1.1\r\n\(host)X:\(value)\r\n\r\n") == "accept keep none")
        #expect(outcome("GET / HTTP/1.1\r\n\(host)X:\(value)v\r\n\r\n") == "accept keep none")
        #expect(outcome("GET / HTTP/1.1\r\n\(host)X:\(value)vv\r\n\r\n") == "refuse head-too-large")
    }

    @Test("a slow reader that was written apart agrees on each case", arguments: ProxyCase.all)
    func reference(_ entry: ProxyCase) {
        let slow = SlowReader.read(
            entry.bytes, isRequest: entry.isRequest, method: entry.method, limits: HTTPLimits())
        #expect("\(slow)" == entry.expected)
    }

    @Test("a slow reader agrees on what a seed makes of the cases", arguments: 1...8)
    func difference(_ seed: Int) {
        var generator = SeededGenerator(seed: UInt64(seed), label: "http cases")
        let cases = ProxyCase.all
        for round in 0..<4000 {
            let trial = Trial(from: cases, &generator)
            guard let difference = trial.difference else { continue }
            Issue.record("seed \(seed) round \(round): \(difference)")
            return
        }
    }
}
