import HTTPFraming
import Testing

@Suite("what becomes of a request")
struct ExchangeRulesTests {
    private func head(_ text: String, _ kind: MessageHead.Kind) -> MessageHead {
        var parser = HeadParser(kind)
        #expect(parser.push(Array(text.utf8).span) == .complete)
        return parser.head
    }

    /// Rules with a request taken, placed and connected.
    private func rules(_ request: String, fields: String = "", whole: Bool = true) -> ExchangeRules {
        var rules = ExchangeRules()
        #expect(rules.take(request: head("\(request)\r\nHost: a\r\n\(fields)\r\n", .request)) == .goOn)
        for event in [ExchangeRules.Event.placed, .connected] { #expect(rules.handle(event) == .goOn) }
        if whole { #expect(rules.handle(.requestEnded) == .goOn) }
        return rules
    }

    private func response(_ fields: String, _ rules: inout ExchangeRules) -> ExchangeRules.Action {
        rules.take(response: head("HTTP/1.1 \(fields)\r\n\r\n", .response))
    }

    @Test(
        "is sent once more where that does no harm", arguments: ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
    func repeated(_ method: String) {
        var rules = rules("\(method) / HTTP/1.1")
        #expect(!rules.needsFreshConnection)
        #expect(rules.handle(.serverLost(headBegun: false)) == .sendAgain)
        #expect(rules.handle(.serverLost(headBegun: false)) == .answer(status: 502, ending: "SH"))
    }

    @Test("is never sent again when it may have had an effect, or an answer has begun")
    func notRepeated() {
        var post = rules("POST / HTTP/1.1")
        #expect(post.needsFreshConnection)
        #expect(post.handle(.serverLost(headBegun: false)) == .answer(status: 502, ending: "SH"))
        var sent = rules("PUT / HTTP/1.1", whole: false)
        #expect(sent.handle(.bodySent) == .goOn)
        #expect(sent.handle(.serverLost(headBegun: false)) == .answer(status: 502, ending: "SH"))
        var begun = rules("GET / HTTP/1.1")
        #expect(begun.handle(.serverLost(headBegun: true)) == .answer(status: 502, ending: "SH"))
        var interim = rules("GET / HTTP/1.1")
        #expect(response("103 Early Hints", &interim) == .forwardInterim)
        #expect(interim.handle(.serverLost(headBegun: false)) == .cut(ending: "SH", resets: false))
    }

    @Test("goes to another server once, with any method, when no connection stood")
    func redispatched() {
        var rules = ExchangeRules()
        _ = rules.take(request: head("POST / HTTP/1.1\r\nHost: a\r\n\r\n", .request))
        _ = rules.handle(.placed)
        #expect(rules.handle(.connectFailed(expired: false)) == .moveOn)
        _ = rules.handle(.placed)
        #expect(rules.handle(.connectFailed(expired: true)) == .answer(status: 503, ending: "sC"))
        #expect(rules.retries == 1)
    }

    @Test(
        "survives a server that dies: the kept connection is lost, the fresh one refused, another server answers"
    )
    func serverDies() {
        var rules = rules("GET / HTTP/1.1")
        #expect(rules.handle(.serverLost(headBegun: false)) == .sendAgain)
        #expect(rules.handle(.connectFailed(expired: false)) == .moveOn)
        #expect(rules.retries == 2)
        for event in [ExchangeRules.Event.placed, .connected] { #expect(rules.handle(event) == .goOn) }
        #expect(rules.handle(.serverLost(headBegun: false)) == .answer(status: 502, ending: "SH"))
    }

    @Test("a response that ends early is cut, with a reset where a plain end would look like the whole")
    func cut() {
        var modern = rules("GET / HTTP/1.1")
        _ = response("200 OK\r\nTransfer-Encoding: chunked", &modern)
        #expect(modern.handle(.serverLost(headBegun: false)) == .cut(ending: "SD", resets: false))
        for ending in ["SD", "sD", "PD"] {
            var old = rules("GET / HTTP/1.0")
            #expect(
                response("200 OK\r\nTransfer-Encoding: chunked", &old)
                    == .forward(body: .chunked, .untilClose, closes: true, saysKeepAlive: false))
            let event: ExchangeRules.Event =
                switch ending {
                case "SD": .serverLost(headBegun: false)
                case "sD": .expired(waitingFor: .server)
                default: .responseRefused
                }
            #expect(old.handle(event) == .cut(ending: ending, resets: true))
        }
    }

    @Test("the connections are kept when both sides have ended their message on them")
    func kept() {
        func end(_ request: String, _ answer: String, clean: Bool = true, whole: Bool = true)
            -> ExchangeRules.Action
        {
            var rules = rules(request, fields: "", whole: whole)
            _ = response(answer, &rules)
            return rules.handle(.responseEnded(serverIsClean: clean))
        }
        let length = "200 OK\r\nContent-Length: 1"
        #expect(end("GET / HTTP/1.1", length) == .finished(keepsClient: true, keepsServer: true))
        #expect(end("GET / HTTP/1.0", length) == .finished(keepsClient: false, keepsServer: true))
        #expect(
            end("GET / HTTP/1.1", length, clean: false) == .finished(keepsClient: true, keepsServer: false))
        #expect(
            end("GET / HTTP/1.1", length, whole: false) == .finished(keepsClient: false, keepsServer: false))
        #expect(
            end("GET / HTTP/1.1", length + "\r\nConnection: close")
                == .finished(keepsClient: true, keepsServer: false))
        #expect(end("GET / HTTP/1.1", "200 OK") == .finished(keepsClient: true, keepsServer: false))
    }

    @Test(
        "a client of HTTP/1.0 that asks for it is told that its connection is kept, and gets no interim response"
    )
    func oldClient() {
        var rules = rules("GET / HTTP/1.0", fields: "Connection: keep-alive\r\n")
        #expect(response("100 Continue", &rules) == .dropInterim)
        #expect(
            response("200 OK\r\nContent-Length: 1", &rules)
                == .forward(body: .length(1), .length(1), closes: false, saysKeepAlive: true))
    }

    @Test("protocols are switched only for who asked, and after its request")
    func upgrade() {
        let asks = "Connection: upgrade\r\nUpgrade: x\r\n"
        let switched = "101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x"
        var asked = rules("GET / HTTP/1.1", fields: asks)
        #expect(response(switched, &asked) == .switchProtocols)
        var early = rules("GET / HTTP/1.1", fields: asks, whole: false)
        #expect(response(switched, &early) == .answer(status: 502, ending: "PH"))
        var silent = rules("GET / HTTP/1.1")
        #expect(response(switched, &silent) == .answer(status: 502, ending: "PH"))
    }

    @Test("each end before a response has its answer and its two letters")
    func endings() {
        func answer(_ event: ExchangeRules.Event) -> ExchangeRules.Action {
            var rules = ExchangeRules()
            return rules.handle(event)
        }
        #expect(answer(.requestRefused(.startLineTooLong)) == .answer(status: 414, ending: "PR"))
        #expect(answer(.clientLost) == .answer(status: 400, ending: "CR"))
        #expect(answer(.headExpired) == .answer(status: 408, ending: "cR"))
        #expect(answer(.queueFull) == .answer(status: 503, ending: "SQ"))
        #expect(answer(.queueExpired) == .answer(status: 503, ending: "sQ"))
        #expect(answer(.noServer) == .answer(status: 503, ending: "SC"))
        var slow = rules("GET / HTTP/1.1")
        #expect(slow.handle(.expired(waitingFor: .server)) == .answer(status: 504, ending: "sH"))
        var upload = rules("PUT / HTTP/1.1", whole: false)
        #expect(upload.handle(.expired(waitingFor: .client)) == .answer(status: 408, ending: "cD"))
        #expect(upload.handle(.clientLost) == .answer(status: 400, ending: "CD"))
        var last = ExchangeRules()
        let request = head("TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n", .request)
        #expect(last.take(request: request) == .answer(status: 501, ending: "LR"))
    }
}
