import Balancing
import Basics
import HTTPFraming
public import LinuxSystem
import ProxyReport

/// Where the statistics page listens, who may see it, and how often it loads itself anew.
public struct StatisticsConfiguration: Sendable {
    public var listen: SocketAddress
    public var user: String
    /// Not empty.
    public var password: String
    /// Seconds; nil for never.
    public var refresh: Int?
    /// 16 random bytes or more, of this process alone.
    public var key: [UInt8]

    public init(listen: SocketAddress, user: String, password: String, refresh: Int?, key: [UInt8]) {
        self.listen = listen
        self.user = user
        self.password = password
        self.refresh = refresh
        self.key = key
    }
}

/// The listener of the statistics page, and what its sessions share.
final class StatisticsDesk: ProxyAcceptor {
    /// Connections at once; more are closed unanswered.
    private static let sessionMaximum = 64

    let rules: StatisticsRules
    let refresh: Int?
    let machine: String
    unowned let loop: ProxyLoop
    let listener: ProxyListener
    let key: [UInt8]
    var sessionCount = 0

    init(_ configuration: StatisticsConfiguration, _ listener: ProxyListener, loop: ProxyLoop) {
        rules = StatisticsRules(
            user: configuration.user, password: configuration.password, key: .init(key: configuration.key))
        refresh = configuration.refresh
        machine = MachineName.read()
        key = configuration.key
        self.listener = listener
        self.loop = loop
    }

    /// Takes every connection that waits.
    func accept() {
        while true {
            do throws(SystemError) {
                guard let stream = try listener.listener.accept() else { return }
                guard sessionCount < Self.sessionMaximum else { continue }
                StatisticsSession(ProxySocket(stream, peer: nil, scratch: loop.scratch), desk: self).start()
            } catch {
                return
            }
        }
    }
}

/// One connection to the statistics page: one request, one answer, the end. What is answered is `StatisticsRules`' word.
final class StatisticsSession: ProxySocketOwner {
    /// For a whole request, and for the answer to be taken.
    private static let patience = Interval.seconds(10)
    /// For the client to end the connection after the last byte.
    private static let lingerTime = Interval.seconds(2)

    private enum Phase { case head, body, ending, over }

    private let client: ProxySocket
    private let desk: StatisticsDesk
    private var phase = Phase.head
    private var parser = HeadParser(.request)
    private var request = StatisticsRules.Request(method: "", target: "")
    private var reader = BodyParser(.none)

    private var loop: ProxyLoop { desk.loop }

    init(_ client: ProxySocket, desk: StatisticsDesk) {
        self.client = client
        self.desk = desk
    }

    func start() {
        guard loop.adopt(client, owner: self) else { return }
        desk.sessionCount += 1
        client.deadline = loop.now + Self.patience
    }

    func expired(_ socket: ProxySocket) { close() }

    private func close() {
        guard phase != .over else { return }
        phase = .over
        desk.sessionCount -= 1
        loop.close(client)
    }

    func ready(_ socket: ProxySocket) {
        client.fill()
        if phase == .head { readHead() }
        if phase == .body { readBody() }
        if phase == .ending { linger() }
        if client.hasFailed || client.isAtEnd && phase != .ending { close() }
    }

    private func readHead() {
        switch client.withInput({ parser.push($0) }) {
        case .incomplete: break
        case .refused(let fault): answer(fault.status, text: "\(fault.rawValue)\n")
        case .complete:
            let head = parser.head
            request = client.withInput { Self.request(head, $0) }
            reader = BodyParser(head.requestBody)
            client.consume(head.length)
            phase = .body
            if head.expectsContinue { client.output += Array("HTTP/1.1 100 Continue\r\n\r\n".utf8) }
            client.flush()
        }
    }

    private static func request(_ head: MessageHead, _ bytes: Span<UInt8>) -> StatisticsRules.Request {
        func text(_ range: Range<Int>) -> String { String(decoding: bytes.copy(range), as: UTF8.self) }
        let isPath = head.targetForm == .origin || head.targetForm == .absolute
        var request = StatisticsRules.Request(
            method: text(head.methodText), target: isPath ? text(head.target) : "*",
            host: head.host.map(text))
        for field in head.fields where field.id == .other {
            // Twice the same: the last counts for nobody, neither says who is right.
            switch text(field.name).lowercased() {
            case "authorization":
                request.authorization = request.authorization == nil ? text(field.value) : ""
            case "origin": request.origin = request.origin == nil ? text(field.value) : ""
            case "sec-fetch-site": request.fetchSite = request.fetchSite == nil ? text(field.value) : ""
            default: break
            }
        }
        return request
    }

    private func readBody() {
        var cursor = 0
        defer { if phase == .body { client.consume(cursor) } }
        while request.body.count <= StatisticsRules.bodyMaximum {
            switch client.withInput({ reader.next($0, from: cursor) }) {
            case .data(let range):
                request.body += client.input[range]
                cursor = range.upperBound
            case .incomplete:
                cursor = client.input.count
                return
            case .refused(let fault): return answer(fault.status, text: "\(fault.rawValue)\n")
            case .end: return decide()
            }
        }
        answer(413, text: "an order is shorter\n")
    }

    private func decide() {
        switch desk.rules.decide(request) {
        case .unauthorized:
            answer(
                401, text: "user and password, please\n",
                fields: "WWW-Authenticate: Basic realm=\"Tandem proxy\", charset=\"UTF-8\"\r\n")
        case .page(let note, let refreshes):
            let page = StatisticsPage(
                loop.snapshot(), token: desk.rules.token, note: note,
                refresh: refreshes ? desk.refresh : nil, machine: desk.machine)
            answer(
                200, type: "text/html; charset=utf-8", text: page.html,
                fields:
                    "Content-Security-Policy: \(StatisticsPage.contentPolicy)\r\nX-Frame-Options: DENY\r\n")
        case .csv: answer(200, type: "text/plain; charset=utf-8", text: loop.snapshot().table.csv)
        case .json: answer(200, type: "application/json", text: loop.snapshot().table.json)
        case .order(let order):
            let isDone = loop.setAdmin(order.state, proxy: order.proxy, server: order.server)
            // Whoever loads the page anew must not give the order again.
            answer(303, text: "", fields: "Location: /;st=\(isDone ? "DONE" : "UNKNOWN")\r\n")
        case .forbidden(let why): answer(403, text: "\(why)\n")
        case .badRequest(let why): answer(400, text: "\(why)\n")
        case .notFound: answer(404, text: "there are /, /;csv and /json\n")
        case .methodNotAllowed: answer(405, text: "", fields: "Allow: GET, HEAD, POST\r\n")
        }
    }

    private func answer(
        _ status: Int, type: String = "text/plain; charset=utf-8", text: String, fields: String = ""
    ) {
        let body = Array(text.utf8)
        let head =
            "HTTP/1.1 \(status) \(Self.reason(status))\r\nContent-Type: \(type)\r\nContent-Length: \(body.count)\r\n"
            + "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: same-origin\r\n"
            + "\(fields)Connection: close\r\nDate: "
        client.output += Array(head.utf8) + loop.httpDate() + Array("\r\n\r\n".utf8)
        if request.method != "HEAD" { client.output += body }
        phase = .ending
        client.deadline = loop.now + Self.patience
    }

    /// As RFC 9112 9.6 has it: our side is ended, and what still comes is read, or a reset would take the answer away.
    private func linger() {
        client.flush()
        client.consume(client.input.count)
        if client.pending == 0 {
            client.endSending()
            client.deadline = min(client.deadline, loop.now + Self.lingerTime)
        }
        client.fill()
        client.consume(client.input.count)
        if client.isAtEnd, client.pending == 0 { close() }
    }

    private static func reason(_ status: Int) -> String {
        switch status {
        case 303: "See Other"
        case 401: "Unauthorized"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 413: "Content Too Large"
        default: HTTPSession.reason(status)
        }
    }
}
