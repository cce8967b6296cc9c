import Balancing
import Basics
import HTTPFraming

// What the proxy itself says, how a connection ends, and the line in the log.
extension HTTPSession {
    /// Answers in the server's place and closes the connection; where a response has begun, only closes it.
    func answer(_ status: Int, ending: String) -> Bool {
        guard !exchange.responseBegun else { return finish(ending: ending) }
        stopWaiting()
        exchange.status = status
        exchange.ending = ending
        let text = Self.reason(status)
        let body = exchange.method == .head ? "" : "\(status) \(text)\n"
        let before = client.pending
        client.output += Array(
            ("HTTP/1.1 \(status) \(text)\r\nContent-Type: text/plain\r\nContent-Length: \(body.utf8.count)\r\n"
                + "Cache-Control: no-cache\r\nConnection: close\r\n\r\n\(body)").utf8)
        exchange.bytes = UInt64(client.pending - before)
        writeLine()
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

    func writeLine() {
        let now = loop.now
        func milliseconds(_ from: Instant?, _ to: Instant?) -> Int {
            guard let from, let to else { return -1 }
            return Int(to.since(from).wholeMilliseconds)
        }
        var line = AccessLine(
            client: client.peer, accepted: exchange.begunAt, proxy: frontend.configuration.name,
            server: exchange.serverName)
        line.times.request = milliseconds(exchange.begun, exchange.headEnd)
        line.times.queue = milliseconds(exchange.headEnd, exchange.queueEnd)
        line.times.connect = milliseconds(exchange.queueEnd, exchange.connectEnd)
        line.times.response = milliseconds(exchange.connectEnd, exchange.responseStart)
        line.times.total = milliseconds(exchange.begun, now)
        line.status = exchange.status
        line.bytes = exchange.bytes
        line.ending = exchange.ending
        if !frontend.cookieName.isEmpty {
            line.cookie = exchange.cookie.rawValue + (exchange.cookieWasSet ? "I" : "N")
        }
        line.retries = exchange.retries
        line.connections = (
            loop.clientCount, frontend.clientCount, frontend.pool.servers.reduce(0) { $0 + $1.active },
            server.map { frontend.pool.servers[$0].active } ?? 0
        )
        line.request = exchange.requestLine
        loop.log(line)
    }
}

// After 101 the bytes are nobody's business but the two ends'.
extension HTTPSession {
    /// True, with the phase changed, when the protocol was switched; one that nobody asked for is refused.
    func switchProtocols(_ head: MessageHead, from origin: ProxySocket) -> Bool {
        guard exchange.asksUpgrade, exchange.requestEnded else {
            _ = answer(502, ending: "PH")
            return false
        }
        let before = client.pending
        let rewrite = ResponseRewrite(framing: .none, closes: false)
        origin.withInput { rewrite.write(head, $0, into: &client.output) }
        exchange.bytes = UInt64(client.pending - before)
        origin.consume(head.length)
        exchange.responseBegun = true
        exchange.hasResponse = true
        exchange.responseStart = loop.now
        exchange.status = 101
        phase = .tunnel
        return true
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
            if sink === client { exchange.bytes += UInt64(source.input.count) }
            sink.output += source.input
            source.consume(source.input.count)
            moved = true
        }
        if sink.flush() { moved = true }
        if source.isAtEnd, source.input.isEmpty, sink.pending == 0 { sink.endSending() }
        return moved
    }
}
