import Balancing
import Basics
import HTTPFraming
import Telemetry

/// One request and its response, as far as they have come.
struct HTTPExchange {
    let begun: Instant
    let begunAt: WallTime
    var headEnd: Instant?
    var queueEnd: Instant?
    var connectEnd: Instant?
    var responseStart: Instant?

    var method = HTTPMethod.other
    var requestLine = "<BADREQ>"
    var clientMinorVersion = 1
    var clientKeepsAlive = false
    var clientAsksKeepAlive = false
    var asksUpgrade = false
    /// The head as the server shall read it.
    var head: [UInt8] = []
    var requestBody = BodyParser(.none)
    var isRequestChunked = false
    /// Bytes of the body have left: the request cannot be sent again.
    var bodyBegun = false
    var requestEnded = false

    var cookie = BackendPool.CookieVerdict.none
    var sticky: Int?
    var cookieWasSet = false

    var serverName: String?
    var retries = 0

    /// A part of a response, a 1xx included, has gone to the client.
    var responseBegun = false
    /// The final response's head has come.
    var hasResponse = false
    var responseBody = BodyParser(.none)
    var responseFraming = ResponseRewrite.Framing.none
    var originKeepsAlive = false
    var status = -1
    var bytes: UInt64 = 0
    var ending = "--"

    init(at now: Instant) {
        begun = now
        begunAt = WallTime.now()
    }

    mutating func take(_ head: MessageHead, _ bytes: Span<UInt8>, at now: Instant) {
        headEnd = now
        method = head.method
        clientMinorVersion = head.minorVersion
        clientKeepsAlive = head.keepsAlive
        clientAsksKeepAlive = head.minorVersion == 0 && head.saysKeepAlive
        asksUpgrade = head.asksUpgrade
        let target =
            head.targetForm == .asterisk ? [0x2A] : bytes.copy(head.target)
        requestLine =
            AccessLine.clean(bytes.copy(head.methodText)) + " " + AccessLine.clean(target)
            + " HTTP/1.\(head.minorVersion)"
    }
}
