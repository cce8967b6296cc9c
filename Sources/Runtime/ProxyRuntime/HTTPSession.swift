import Balancing
import Basics
import HTTPFraming
import LinuxSystem
import ProxyReport
import Telemetry

/// One client's connection in HTTP mode: request after request, each placed for itself.
///
///     phase        what is awaited                           ends with
///     head         the next request's head                   a place, or an answer of ours
///     waiting      a place at a server                       the place, or 503
///     connecting   the connection to the server              it stands, another server, or 503
///     exchange     the request's body out, the response in   both whole, or the connection closed
///     tunnel       bytes both ways after 101                 both ends
///     lingering    the client to have read our last bytes    its end, or two seconds
///     over         nothing
///
/// It moves bytes; what is done about what happens to them is `ExchangeRules`' word. The head of a request is kept until
/// its response begins, because it may be sent once more.
final class HTTPSession: ProxySocketOwner, ProxyWaiter {
    enum Phase { case head, waiting, connecting, exchange, tunnel, lingering, over }

    /// How long a client may take to read an answer after which its connection is closed.
    static let lingerTime = Interval.seconds(2)

    let client: ProxySocket
    let frontend: ProxyFrontend
    var origin: ProxySocket?
    var server: Int?
    /// The server of this or the last exchange.
    private var lastServer: Int?
    var phase = Phase.head
    var exchange: HTTPExchange
    var requestParser: HeadParser
    var responseParser: HeadParser
    private var rewrite: RequestRewrite
    /// The settings that `rewrite` and the parsers are made of.
    private var version: Int
    /// The client's address and port, for the log.
    let clientText: [UInt8]
    private var waiter: UInt64 = 0
    private var isAdvancing = false

    let loop: ProxyLoop
    var timeouts: ProxyConfiguration.Timeouts { frontend.configuration.timeouts }

    init(_ client: ProxySocket, frontend: ProxyFrontend) {
        self.client = client
        self.frontend = frontend
        loop = frontend.loop
        let limits = frontend.configuration.limits
        requestParser = HeadParser(.request, limits: limits)
        responseParser = HeadParser(.response, limits: limits)
        exchange = HTTPExchange(at: frontend.loop.now)
        clientText = AccessLine.text(of: client.peer)
        version = frontend.version
        rewrite = Self.rewrite(client, frontend)
    }

    private static func rewrite(_ client: ProxySocket, _ frontend: ProxyFrontend) -> RequestRewrite {
        RequestRewrite(
            clientAddress: Array((client.peer?.host ?? "").utf8), cookieName: frontend.cookieName,
            standInHost: frontend.nameText)
    }

    /// A request is read by the settings of the moment in which it begins.
    private func adoptSettings() {
        guard version != frontend.version else { return }
        version = frontend.version
        rewrite = Self.rewrite(client, frontend)
        let limits = frontend.configuration.limits
        requestParser = HeadParser(.request, limits: limits)
        responseParser = HeadParser(.response, limits: limits)
    }

    func hold(_ socket: ProxySocket) -> ProxyHold? {
        let isBusy = phase != .head && phase != .lingering && phase != .over
        let busyWith = isBusy ? [server, exchange.sticky, exchange.lastServer] : []
        let returns = !isBusy && !frontend.cookieName.isEmpty
        return ProxyHold(
            frontend: frontend, places: Set((busyWith + [lastServer]).compactMap(\.self)),
            client: socket === client ? client.peer : nil, inService: server,
            returning: returns ? lastServer : nil)
    }

    func refused() {
        waiter = 0
        note(.noServer(frontend.pool.shortage()), nil)
        _ = perform(.noServer)
        advance()
    }

    func start() {
        guard loop.adopt(client, owner: self) else { return }
        loop.clientCount += 1
        frontend.clientCount += 1
        frontend.traffic.connected(count: frontend.clientCount, at: loop.now)
        // Who connects and says nothing has as long as who has begun.
        client.deadline = loop.now + timeouts.head
    }

    func ready(_ socket: ProxySocket) { advance() }

    /// Between two requests a connection holds next to nothing.
    func rest(_ socket: ProxySocket) {
        socket.trim()
        guard phase == .head, !requestParser.hasBegun else { return }
        let limits = frontend.configuration.limits
        requestParser = HeadParser(.request, limits: limits)
        responseParser = HeadParser(.response, limits: limits)
        exchange = HTTPExchange(at: loop.now)
    }

    /// Goes as far as the bytes that are there allow.
    func advance() {
        // A place that becomes free, or a connection that fails at once, comes back here from within.
        guard !isAdvancing else { return }
        isAdvancing = true
        defer { isAdvancing = false }
        var moved = true
        while moved {
            moved =
                switch phase {
                case .head: readRequest()
                case .waiting: watchClient()
                case .connecting: finishConnecting()
                case .exchange: pump()
                case .tunnel: pumpTunnel()
                case .lingering: linger()
                case .over: false
                }
        }
    }

    // The request's head.

    private func readRequest() -> Bool {
        // What an earlier response left goes out first: pipelined answers keep their order.
        client.flush()
        // Whoever asks without listening waits until it listens.
        guard client.pending < ProxySocket.outputMaximum else { return false }
        client.fill()
        if client.hasFailed { return close() }
        let hadBegun = requestParser.hasBegun
        if !hadBegun { adoptSettings() }
        switch client.withInput({ requestParser.push($0) }) {
        case .incomplete:
            if requestParser.hasBegun, !hadBegun {
                exchange.restart(at: loop.now)
                client.deadline = loop.now + timeouts.head
            }
            guard client.isAtEnd else { return false }
            guard requestParser.hasBegun else {
                guard client.pending > 0 else { return close() }
                phase = .lingering
                return true
            }
            return perform(.clientLost)
        case .refused(let fault):
            if !hadBegun { exchange.restart(at: loop.now) }
            return perform(.requestRefused(fault))
        case .complete:
            if !hadBegun { exchange.restart(at: loop.now) }
            return takeRequest()
        }
    }

    private func takeRequest() -> Bool {
        let head = requestParser.head
        let now = loop.now
        exchange.headEnd = now
        if frontend.log.isOn { client.withInput { exchange.takeLine(head, $0) } }
        exchange.bytesIn = UInt64(head.length)
        frontend.traffic.requestCame(at: now)
        let action = exchange.rules.take(request: head)
        if action != .goOn { return perform(action) }
        if frontend.isRetired { exchange.rules.endClient() }
        client.withInput { rewrite.write(head, $0, into: &exchange.head) }
        exchange.requestBody = BodyParser(
            head.requestBody, limits: frontend.configuration.limits,
            endingNames: endingNames(of: head, from: client))
        exchange.isRequestChunked = head.requestBody == .chunked
        readCookie(head)
        client.consume(head.length)
        place(avoiding: nil)
        return true
    }

    private func readCookie(_ head: MessageHead) {
        guard !frontend.cookieName.isEmpty else { return }
        let name = frontend.cookieName
        let value = client.withInput { CookieText.value(of: name, in: head, $0) }
        let number = value.map { StickyCookie.parse(client.input[$0]) }
        switch number {
        case .none: exchange.cookie = .none
        case .some(.none): exchange.cookie = .invalid
        case .some(.some(let number)):
            let (verdict, server) = frontend.pool.verdict(onCookie: number)
            exchange.cookie = verdict
            exchange.sticky = verdict == .valid ? server : nil
        }
    }

    // The place and the connection.

    func place(avoiding: Int?) {
        waiter = loop.waiterNumber()
        let source = frontend.source(of: client.peer)
        let sticky = exchange.sticky == avoiding ? nil : exchange.sticky
        phase = .waiting
        switch frontend.pool.place(waiter, sticky: sticky, source: source, avoiding: avoiding) {
        case .placed(let server, let reason):
            note(.placed(server: frontend.servers[server].text, reason), avoiding)
            frontend.traffic.placed(on: server, isSticky: reason == .sticky, at: loop.now)
            go(to: server)
        case .waits:
            note(.waits, avoiding)
            loop.waiters[waiter] = self
            client.deadline = loop.now + timeouts.connect
        case .queueFull:
            note(.queueFull, avoiding)
            _ = perform(.queueFull)
        case .noServer:
            note(.noServer(frontend.pool.shortage()), avoiding)
            _ = perform(.noServer)
        }
    }

    /// Keeps the choice for `explain`.
    func note(_ outcome: Choice.Outcome, _ failed: Int?) {
        frontend.note(
            outcome, client: clientText, cookie: frontend.cookieName.isEmpty ? nil : exchange.cookie,
            failed: failed)
    }

    func placed(on server: Int) {
        note(.placed(server: frontend.servers[server].text, .queued), nil)
        frontend.traffic.placed(on: server, isSticky: server == exchange.sticky, at: loop.now)
        go(to: server)
    }

    private func go(to server: Int) {
        waiter = 0
        self.server = server
        lastServer = server
        exchange.queueEnd = loop.now
        exchange.lastServer = server
        _ = perform(.placed)
        connect(to: server, fresh: exchange.rules.needsFreshConnection)
        advance()
    }

    func connect(to server: Int, fresh: Bool) {
        client.deadline = .never
        responseParser.reset()
        if !fresh, let idle = frontend.takeIdle(server, owner: self) {
            frontend.traffic.connecting(to: server, isKept: true)
            origin = idle
            return begin()
        }
        frontend.traffic.connecting(to: server, isKept: false)
        origin = frontend.connect(to: server, owner: self, patience: timeouts.connect)
        phase = .connecting
        if origin == nil { connectFailed(expired: false) }
    }

    private func finishConnecting() -> Bool {
        client.fill()
        if client.hasFailed { return perform(.clientLost) }
        guard let connected = origin?.isConnected() else { return false }
        guard connected else {
            connectFailed(expired: false)
            return true
        }
        begin()
        return true
    }

    private func begin() {
        exchange.connectEnd = loop.now
        _ = perform(.connected)
        origin?.output += exchange.head
        phase = .exchange
        planDeadline()
    }

    private func connectFailed(expired: Bool) {
        guard let failed = server else { return }
        releaseOrigin(keep: false)
        frontend.traffic.connectFailed(failed)
        frontend.observed(failed, succeeded: false)
        let action = exchange.rules.handle(.connectFailed(expired: expired))
        guard action == .moveOn else {
            _ = perform(action)
            return
        }
        frontend.traffic.redispatched(from: failed)
        if exchange.sticky == failed { exchange.cookie = .down }
        place(avoiding: failed)
    }

    /// Names of fields that end here although they are trailers: most messages have none.
    func endingNames(of head: MessageHead, from socket: ProxySocket) -> [[UInt8]] {
        head.connectionNames.isEmpty ? [] : socket.withInput { head.connectionNames(in: $0) }
    }

    /// Gives the server's place back, and its connection for the next request or to be closed.
    func releaseOrigin(keep: Bool) {
        guard let server else { return }
        self.server = nil
        if let origin {
            if keep { frontend.park(origin, server) } else { loop.close(origin) }
        }
        origin = nil
        frontend.release(server)
    }

    private func watchClient() -> Bool {
        client.fill()
        return client.hasFailed ? perform(.clientLost) : false
    }

    func expired(_ socket: ProxySocket) {
        switch phase {
        case .head:
            if requestParser.hasBegun { _ = perform(.headExpired) } else { _ = close() }
        case .waiting: _ = perform(.queueExpired)
        case .connecting: connectFailed(expired: true)
        case .exchange: exchangeExpired()
        case .tunnel: _ = finish(ending: "cD")
        case .lingering, .over: _ = close()
        }
        advance()
    }

    // The end.

    /// Ends the exchange without another word to the client: what it has may not look complete (RFC 9112 8).
    func finish(ending: String) -> Bool {
        exchange.ending = ending
        conclude()
        releaseOrigin(keep: false)
        return close()
    }

    func close() -> Bool {
        guard phase != .over else { return false }
        phase = .over
        if waiter != 0, loop.waiters.removeValue(forKey: waiter) != nil { _ = frontend.pool.cancel(waiter) }
        releaseOrigin(keep: false)
        loop.close(client)
        loop.clientCount -= 1
        frontend.clientCount -= 1
        return false
    }

    /// Gives up a place that is waited for.
    func stopWaiting() {
        guard waiter != 0 else { return }
        if loop.waiters.removeValue(forKey: waiter) != nil { _ = frontend.pool.cancel(waiter) }
        waiter = 0
    }
}
