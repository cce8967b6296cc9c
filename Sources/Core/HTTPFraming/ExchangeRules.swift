/// What becomes of one request: whether it is sent, sent again, answered in the server's place or cut off, and whether
/// the two connections are used again.
///
/// It decides; it reads no bytes, holds no connection and knows no clock. Whoever runs the exchange tells it what has
/// happened and does what it answers. Rules, with the sentences of RFC 9110 and 9112:
///
/// - Sent again, once, on a fresh connection, only what may be repeated, with no byte of its body sent and no byte of an
///   answer come (9112 9.3.1).
/// - Given to another server, once, whatever its method, when no connection stood: nothing was sent. Also when that was the
///   fresh connection of the rule above: a server that dies takes kept connections and then refuses new ones.
/// - What has begun at the client is never answered anew, and never ended so that it looks whole (9112 8).
/// - A connection is used again only when both sides have ended their message on it (9112 9.3).
public struct ExchangeRules: Sendable {
    /// Who is waited for.
    public enum Party: Sendable { case client, server }

    /// What has happened.
    public enum Event: Sendable {
        /// The head or the body of the request is refused.
        case requestRefused(HTTPFault)
        /// The client's connection broke, or ended inside its head or body.
        case clientLost
        /// No head in time.
        case headExpired
        case queueFull
        case queueExpired
        case noServer
        /// The server was chosen and the connection to it is begun.
        case placed
        /// The connection could not be made, or not in time.
        case connectFailed(expired: Bool)
        /// The connection stands and the head is on its way.
        case connected
        /// Data of the request's body left.
        case bodySent
        case requestEnded
        /// The response's head or body is refused.
        case responseRefused
        /// The server's connection ended before the response's end: whether bytes of a head had come.
        case serverLost(headBegun: Bool)
        /// The response is whole; whether the server's connection is quiet and empty.
        case responseEnded(serverIsClean: Bool)
        /// Nothing moved for too long.
        case expired(waitingFor: Party)
    }

    /// What is done about it. An ending is what the log says: who ended it, and in which phase.
    public enum Action: Sendable, Equatable {
        case goOn
        /// An answer of ours, after which the client's connection is closed.
        case answer(status: Int, ending: String)
        /// Both connections are closed without another word; `resets` where a plain end would look like the whole.
        case cut(ending: String, resets: Bool)
        /// The same server, a fresh connection, the same bytes.
        case sendAgain
        /// Another server.
        case moveOn
        /// The response's head goes on.
        case forward(body: BodyLength, ResponseRewrite.Framing, closes: Bool, saysKeepAlive: Bool)
        /// An interim response goes on, and the next head is awaited.
        case forwardInterim
        /// An interim response that the client does not know.
        case dropInterim
        /// 101 goes on, and then bytes both ways.
        case switchProtocols
        /// All is done.
        case finished(keepsClient: Bool, keepsServer: Bool)
    }

    /// Where it stands: the second letter of an ending.
    private enum Phase { case request, queue, connect, head, data }

    private var phase = Phase.request
    private var method = HTTPMethod.other
    private var clientMinorVersion = 1
    private var clientKeepsAlive = false
    private var clientAsksKeepAlive = false
    private var asksUpgrade = false
    private var requestEnded = false
    private var bodySent = false
    /// A part of a response, a 1xx included, has gone to the client.
    private var responseBegun = false
    private var endsWithClose = false
    private var serverKeepsAlive = false
    private var wasSentAgain = false
    private var hasMoved = false
    /// How often it was sent or placed again: at most once each.
    public var retries: Int { (wasSentAgain ? 1 : 0) + (hasMoved ? 1 : 0) }

    public init() {}

    /// A whole request head; OPTIONS and TRACE that may go no further are answered here (9110 7.6.2).
    public mutating func take(request head: MessageHead) -> Action {
        method = head.method
        clientMinorVersion = head.minorVersion
        clientKeepsAlive = head.keepsAlive
        clientAsksKeepAlive = head.minorVersion == 0 && head.saysKeepAlive
        asksUpgrade = head.asksUpgrade
        phase = .queue
        guard head.maxForwards == 0, method == .options || method == .trace else { return .goOn }
        return .answer(status: method == .options ? 200 : 501, ending: "LR")
    }

    /// The client's connection ends with this exchange, whatever its head said.
    public mutating func endClient() { clientKeepsAlive = false }

    /// A request that may not be repeated gets a fresh connection: a kept one may be closed at this very moment.
    public var needsFreshConnection: Bool { !method.isIdempotent }
    /// Whether an answer of ours has a body.
    public var answerHasBody: Bool { method != .head }

    /// What is done about what has happened, in the order in which it happened.
    public mutating func handle(_ event: Event) -> Action {
        switch event {
        case .requestRefused(let fault): return responseBegun ? cut("PR") : answer(fault.status, "PR")
        case .clientLost: return clientLost()
        case .headExpired: return answer(408, "cR")
        case .queueFull: return answer(503, "SQ")
        case .queueExpired: return answer(503, "sQ")
        case .noServer: return answer(503, "SC")
        case .placed:
            phase = .connect
            return .goOn
        case .connectFailed(let expired):
            guard !hasMoved else { return answer(503, expired ? "sC" : "SC") }
            hasMoved = true
            phase = .queue
            return .moveOn
        case .connected:
            phase = .head
            return .goOn
        case .bodySent:
            bodySent = true
            return .goOn
        case .requestEnded:
            requestEnded = true
            return .goOn
        case .responseRefused: return phase == .data ? cut("PD") : answer(502, "PH")
        case .serverLost(let headBegun): return serverLost(headBegun)
        case .responseEnded(let serverIsClean):
            return .finished(
                keepsClient: clientKeepsAlive && requestEnded,
                keepsServer: serverKeepsAlive && requestEnded && serverIsClean)
        case .expired(let party): return expired(party)
        }
    }

    /// A response's head, a 1xx included.
    public mutating func take(response head: MessageHead) -> Action {
        if head.status == 101 {
            // 9110 7.8: nobody switches who was not asked, nor before the request is whole.
            guard asksUpgrade, requestEnded else { return answer(502, "PH") }
            responseBegun = true
            phase = .data
            return .switchProtocols
        }
        guard head.status >= 200 else {
            // 9110 15.2: interim responses go on, except to clients that do not know them.
            guard clientMinorVersion >= 1 else { return .dropInterim }
            responseBegun = true
            return .forwardInterim
        }
        let body = head.responseBody(to: method)
        let framing = ResponseRewrite.framing(
            of: head, body: body, to: method, clientMinorVersion: clientMinorVersion)
        // A body of the request that the server did not wait for is still on its way: nobody can tell where the next
        // request would begin.
        if !requestEnded || framing == .untilClose { clientKeepsAlive = false }
        serverKeepsAlive = head.keepsAlive && body != .untilClose
        endsWithClose = framing == .untilClose
        responseBegun = true
        phase = .data
        return .forward(
            body: body, framing, closes: !clientKeepsAlive,
            saysKeepAlive: clientKeepsAlive && clientAsksKeepAlive)
    }

    private func clientLost() -> Action {
        switch phase {
        case .request: answer(400, "CR")
        case .queue: cut("CQ")
        case .connect: cut("CC")
        // 9112 8: whoever ended its body early, and still listens, is told so.
        case .head: requestEnded ? cut("CH") : answer(400, "CD")
        case .data: cut("CD")
        }
    }

    private mutating func serverLost(_ headBegun: Bool) -> Action {
        if phase == .data { return cut("SD") }
        guard method.isIdempotent, !bodySent, !responseBegun, !headBegun, !wasSentAgain else {
            return answer(502, "SH")
        }
        wasSentAgain = true
        return .sendAgain
    }

    private func expired(_ party: Party) -> Action {
        switch (party, phase) {
        case (.client, _): answer(408, "cD")
        case (.server, .data): cut("sD")
        case (.server, _): answer(504, "sH")
        }
    }

    /// What has begun at the client cannot be answered anew.
    private func answer(_ status: Int, _ ending: String) -> Action {
        responseBegun ? cut(ending) : .answer(status: status, ending: ending)
    }

    /// A client whose response ends with the connection, HTTP/1.0, knows a cut from an end by the reset alone.
    private func cut(_ ending: String) -> Action { .cut(ending: ending, resets: endsWithClose) }
}
