import Balancing
import Basics
import HTTPFraming

/// One request and its response, as far as they have come. A connection's next request takes the memory of the last.
struct HTTPExchange {
    private(set) var begun: Instant
    var headEnd: Instant?
    var queueEnd: Instant?
    var connectEnd: Instant?
    var responseStart: Instant?

    /// What is done about what happens.
    var rules = ExchangeRules()
    /// As the log has it; empty where there is none.
    var requestLine: [UInt8] = []
    /// The head as the server shall read it.
    var head: [UInt8] = []
    var requestBody = BodyParser(.none)
    var isRequestChunked = false
    var requestEnded = false

    var cookie = BackendPool.CookieVerdict.none
    var sticky: Int?
    var cookieWasSet = false

    /// The server that it was last given to.
    var lastServer: Int?

    /// The final response's head has come.
    var hasResponse = false
    var responseBody = BodyParser(.none)
    var responseFraming = ResponseRewrite.Framing.none
    var status = -1
    /// To the client.
    var bytes: UInt64 = 0
    /// From the client.
    var bytesIn: UInt64 = 0
    var ending = "--"

    init(at now: Instant) { begun = now }

    /// A new request begins.
    mutating func restart(at now: Instant) {
        var (line, head) = (requestLine, head)
        (requestLine, self.head) = ([], [])
        line.removeAll(keepingCapacity: true)
        head.removeAll(keepingCapacity: true)
        self = HTTPExchange(at: now)
        (requestLine, self.head) = (line, head)
    }

    /// Keeps the request line for the log.
    mutating func takeLine(_ head: MessageHead, _ bytes: Span<UInt8>) {
        AccessLine.append(cleaned: bytes, head.methodText, to: &requestLine)
        requestLine.append(0x20)
        if head.targetForm == .asterisk {
            requestLine.append(0x2A)
        } else {
            AccessLine.append(cleaned: bytes, head.target, to: &requestLine)
        }
        requestLine.append(word: head.minorVersion == 0 ? " HTTP/1.0" : " HTTP/1.1")
    }
}
