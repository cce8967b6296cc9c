import Balancing
import Basics
import HTTPFraming
import ProxyReport

// What the proxy itself says, how a connection ends, and the line in the log.
extension HTTPSession {
    /// Tells the rules what has happened, and does what needs no bytes of the moment; true where the phase may have
    /// changed.
    func perform(_ event: ExchangeRules.Event) -> Bool { perform(exchange.rules.handle(event)) }

    func perform(_ action: ExchangeRules.Action) -> Bool {
        switch action {
        case .answer(let status, let ending): return answer(status, ending: ending)
        case .cut(let ending, let resets):
            client.flush()
            if resets { client.resetOnClose() }
            return finish(ending: ending)
        case .sendAgain:
            guard let server else { return false }
            if let origin { loop.close(origin) }
            origin = nil
            frontend.traffic.retried(server)
            note(.sentAgain(server: frontend.servers[server].text), nil)
            connect(to: server, fresh: true)
            return true
        case .goOn, .moveOn, .forward, .forwardInterim, .dropInterim, .switchProtocols, .finished: return true
        }
    }

    /// Answers in the server's place and closes the connection.
    private func answer(_ status: Int, ending: String) -> Bool {
        stopWaiting()
        exchange.status = status
        exchange.ending = ending
        let text = Self.reason(status)
        let body = !exchange.rules.answerHasBody ? "" : "\(status) \(text)\n"
        let before = client.pending
        client.output += Array("HTTP/1.1 \(status) \(text)\r\nDate: ".utf8)
        client.output += loop.httpDate()
        client.output += Array(
            ("\r\nContent-Type: text/plain\r\nContent-Length: \(body.utf8.count)\r\n"
                + "Cache-Control: no-cache\r\nConnection: close\r\n\r\n\(body)").utf8)
        exchange.bytes = UInt64(client.pending - before)
        conclude()
        releaseOrigin(keep: false)
        phase = .lingering
        client.deadline = loop.now + timeouts.client
        return true
    }

    static func reason(_ status: Int) -> String {
        switch status {
        case 200: "OK"
        case 400: "Bad Request"
        case 408: "Request Timeout"
        case 414: "URI Too Long"
        case 431: "Request Header Fields Too Large"
        case 501: "Not Implemented"
        case 502: "Bad Gateway"
        case 503: "Service Unavailable"
        case 504: "Gateway Timeout"
        case 505: "HTTP Version Not Supported"
        default: "Error"
        }
    }

    /// RFC 9112 9.6: after the last byte our side is ended, and what the client still sends is read until its end, or
    /// else a reset would take the answer from it.
    func linger() -> Bool {
        client.flush()
        if client.hasFailed { return close() }
        if client.pending == 0 {
            client.endSending()
            client.deadline = min(client.deadline, loop.now + Self.lingerTime)
        }
        let came = client.fill()
        client.consume(client.input.count)
        if client.isAtEnd, client.pending == 0 { return close() }
        return came
    }

    /// The request is over: it is counted, and its line goes to the log.
    func conclude() {
        let now = loop.now
        func milliseconds(_ from: Instant?, _ to: Instant?) -> Int {
            guard let from, let to else { return -1 }
            return Int(to.since(from).wholeMilliseconds)
        }
        var times = AccessLine.Times()
        times.queue = milliseconds(exchange.headEnd, exchange.queueEnd)
        times.connect = milliseconds(exchange.queueEnd, exchange.connectEnd)
        times.response = milliseconds(exchange.connectEnd, exchange.responseStart)
        times.total = milliseconds(exchange.begun, now)
        frontend.traffic.ended(
            TrafficRecord(
                server: exchange.lastServer, status: exchange.status, isFromServer: exchange.hasResponse,
                bytesIn: exchange.bytesIn, bytesOut: exchange.bytes,
                times: (times.queue, times.connect, times.response, times.total), ending: exchange.ending))
        guard frontend.log.isOn else { return }
        times.request = milliseconds(exchange.begun, exchange.headEnd)
        writeLine(times)
    }

    private func writeLine(_ times: AccessLine.Times) {
        var line = AccessLine(
            client: clientText, accepted: loop.wallTime(of: exchange.begun), proxy: frontend.nameText)
        if let last = exchange.lastServer { line.server = frontend.servers[last].text }
        line.times = times
        line.status = exchange.status
        line.bytes = exchange.bytes
        line.ending = exchange.ending
        if !frontend.cookieName.isEmpty {
            line.cookie = (exchange.cookie.letter, exchange.cookieWasSet ? 0x49 : 0x4E)
        }
        line.retries = exchange.rules.retries
        line.connections = (
            loop.clientCount, frontend.clientCount, frontend.pool.active,
            server.map { frontend.pool.servers[$0].active } ?? 0
        )
        line.request = exchange.headEnd == nil ? Array("<BADREQ>".utf8) : exchange.requestLine
        frontend.log.take(line)
    }
}

// After 101 the bytes are nobody's business but the two ends'.
extension HTTPSession {
    func switchProtocols(_ head: MessageHead, from origin: ProxySocket) {
        let before = client.pending
        let rewrite = ResponseRewrite(framing: .none, closes: false)
        origin.withInput { rewrite.write(head, $0, into: &client.output) }
        exchange.bytes = UInt64(client.pending - before)
        origin.consume(head.length)
        exchange.hasResponse = true
        exchange.responseStart = loop.now
        exchange.status = 101
        phase = .tunnel
    }

    func pumpTunnel() -> Bool {
        guard let origin else { return false }
        var moved = move(from: client, to: origin)
        if move(from: origin, to: client) { moved = true }
        if client.hasFailed { return finish(ending: "CD") }
        if origin.hasFailed { return finish(ending: "SD") }
        client.deadline = loop.now + timeouts.tunnel
        origin.deadline = .never
        if client.isAtEnd, origin.isAtEnd, client.pending + origin.pending == 0,
            client.input.isEmpty, origin.input.isEmpty
        {
            return finish(ending: "--")
        }
        return moved
    }

    private func move(from source: ProxySocket, to sink: ProxySocket) -> Bool {
        var moved = source.fill()
        if !source.input.isEmpty, sink.pending < ProxySocket.outputMaximum {
            if sink === client {
                exchange.bytes += UInt64(source.input.count)
            } else {
                exchange.bytesIn += UInt64(source.input.count)
            }
            sink.output += source.input
            source.consume(source.input.count)
            moved = true
        }
        if sink.flush() { moved = true }
        if source.isAtEnd, source.input.isEmpty, sink.pending == 0 { sink.endSending() }
        return moved
    }
}
