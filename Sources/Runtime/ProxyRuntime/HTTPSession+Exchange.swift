import Balancing
import Basics
import HTTPFraming

// The request's body goes out while the response comes in; neither is held whole.
extension HTTPSession {
    /// One round in both directions; true when something moved.
    func pump() -> Bool {
        guard let origin else { return false }
        client.fill()
        origin.fill()
        // A client that has closed its sending side may still want its answer; one that is gone does not.
        if client.hasFailed { return finish(ending: exchange.hasResponse ? "CD" : "CH") }
        var moved = pumpRequest(to: origin)
        guard phase == .exchange else { return true }
        if origin.flush() { moved = true }
        if pumpResponse(from: origin) { moved = true }
        if client.flush() { moved = true }
        if moved, phase == .exchange { planDeadline() }
        return moved
    }

    /// Who is waited for: the client while it owes a body or does not take the response, else the server.
    func planDeadline() {
        client.deadline = loop.now + (waitsForClient ? timeouts.client : timeouts.server)
        origin?.deadline = .never
    }

    private var waitsForClient: Bool {
        client.pending > 0 || !exchange.requestEnded && !exchange.hasResponse && (origin?.pending ?? 0) == 0
    }

    func exchangeExpired() {
        if waitsForClient {
            if exchange.responseBegun { _ = finish(ending: "cD") } else { _ = answer(408, ending: "cD") }
        } else if exchange.hasResponse {
            _ = finish(ending: "sD")
        } else {
            if let server { frontend.observed(server, succeeded: false) }
            _ = answer(504, ending: "sH")
        }
    }

    private func pumpRequest(to origin: ProxySocket) -> Bool {
        guard !exchange.requestEnded else { return false }
        var cursor = 0
        var moved = false
        while origin.pending < ProxySocket.outputMaximum, !exchange.requestEnded {
            let step = client.withInput { exchange.requestBody.next($0, from: cursor) }
            switch step {
            case .data(let range):
                exchange.bodyBegun = true
                moved = true
                let isChunked = exchange.isRequestChunked
                client.withInput { origin.output.append($0, range, chunked: isChunked) }
                cursor = range.upperBound
            case .end(let place):
                cursor = place
                exchange.requestEnded = true
                if exchange.isRequestChunked {
                    origin.output.appendLastChunk(trailers: exchange.requestBody.trailers)
                }
                moved = true
            case .incomplete:
                cursor = client.input.count
                client.consume(cursor)
                // RFC 9112 8: a request whose body ends early is refused, and its server not left to guess.
                if client.isAtEnd { _ = finish(ending: "CD") }
                return moved
            case .refused(let fault): return answer(fault.status, ending: "PR")
            }
        }
        client.consume(cursor)
        return moved
    }

    private func pumpResponse(from origin: ProxySocket) -> Bool {
        guard exchange.hasResponse || readResponseHead(from: origin) else { return phase != .exchange }
        guard phase == .exchange else { return true }
        var cursor = 0
        var moved = false
        let isChunked = exchange.responseFraming == .chunked
        while client.pending < ProxySocket.outputMaximum {
            let step = origin.withInput { exchange.responseBody.next($0, from: cursor) }
            switch step {
            case .data(let range):
                moved = true
                exchange.bytes += UInt64(range.count)
                origin.withInput { client.output.append($0, range, chunked: isChunked) }
                cursor = range.upperBound
            case .end(let place):
                origin.consume(place)
                if isChunked { client.output.appendLastChunk(trailers: exchange.responseBody.trailers) }
                responseEnded()
                return true
            case .incomplete:
                origin.consume(origin.input.count)
                guard origin.isAtEnd || origin.hasFailed else { return moved }
                guard exchange.responseBody.endsWithConnection, !origin.hasFailed else {
                    client.flush()
                    if let server { frontend.observed(server, succeeded: false) }
                    return finish(ending: "SD")
                }
                exchange.originKeepsAlive = false
                if isChunked { client.output.appendLastChunk(trailers: []) }
                responseEnded()
                return true
            case .refused:
                client.flush()
                return finish(ending: "PD")
            }
        }
        origin.consume(cursor)
        return moved
    }

    /// True once the final response's head was taken.
    private func readResponseHead(from origin: ProxySocket) -> Bool {
        while true {
            switch origin.withInput({ responseParser.push($0) }) {
            case .incomplete:
                if origin.isAtEnd || origin.hasFailed { originLost() }
                return false
            case .refused:
                if let server { frontend.observed(server, succeeded: false) }
                _ = answer(502, ending: "PH")
                return false
            case .complete:
                let head = responseParser.head
                if head.status == 101 { return switchProtocols(head, from: origin) }
                guard head.status < 200 else {
                    takeResponse(head, from: origin)
                    return true
                }
                takeInterim(head, from: origin)
            }
        }
    }

    /// RFC 9110 15.2: interim responses go on, except to clients that do not know them.
    private func takeInterim(_ head: MessageHead, from origin: ProxySocket) {
        if exchange.clientMinorVersion >= 1 {
            exchange.responseBegun = true
            let rewrite = ResponseRewrite(framing: .none, closes: false)
            origin.withInput { rewrite.write(head, $0, into: &client.output) }
        }
        origin.consume(head.length)
        responseParser.reset()
    }

    private func takeResponse(_ head: MessageHead, from origin: ProxySocket) {
        let body = head.responseBody(to: exchange.method)
        let framing = ResponseRewrite.framing(
            of: head, body: body, to: exchange.method, clientMinorVersion: exchange.clientMinorVersion)
        // A body of the request that the server did not wait for is still on its way: nobody can tell where the next
        // request would begin.
        if !exchange.requestEnded || framing == .untilClose { exchange.clientKeepsAlive = false }
        exchange.originKeepsAlive = head.keepsAlive && body != .untilClose
        var rewrite = ResponseRewrite(
            framing: framing, closes: !exchange.clientKeepsAlive,
            saysKeepAlive: exchange.clientKeepsAlive && exchange.clientAsksKeepAlive)
        if !frontend.cookieName.isEmpty, let server, exchange.sticky != server {
            rewrite.setCookie = frontend.setCookie(server)
            exchange.cookieWasSet = true
        }
        let before = client.pending
        origin.withInput { rewrite.write(head, $0, into: &client.output) }
        exchange.bytes = UInt64(client.pending - before)
        if let server { frontend.observed(server, succeeded: true) }
        exchange.responseBegun = true
        exchange.hasResponse = true
        exchange.responseStart = loop.now
        exchange.status = head.status
        exchange.responseFraming = framing
        exchange.responseBody = BodyParser(body, limits: frontend.configuration.limits)
        origin.consume(head.length)
    }

    private func responseEnded() {
        guard let origin else { return }
        let canKeep =
            exchange.originKeepsAlive && exchange.requestEnded && origin.input.isEmpty && origin.pending == 0
            && !origin.isAtEnd && !origin.hasFailed
        let keepsClient = exchange.clientKeepsAlive && exchange.requestEnded
        writeLine()
        requestParser.reset()
        client.deadline = loop.now + timeouts.idle
        phase = keepsClient ? .head : .lingering
        if !keepsClient { client.deadline = loop.now + timeouts.client }
        releaseOrigin(keep: canKeep)
    }

    /// The server closed before it answered.
    private func originLost() {
        guard let server else { return }
        let mayRepeat =
            exchange.method.isIdempotent && !exchange.bodyBegun && !exchange.responseBegun
            && (responseParser.hasBegun == false) && exchange.retries < 1
        guard mayRepeat else {
            frontend.observed(server, succeeded: false)
            _ = exchange.responseBegun ? finish(ending: "SH") : answer(502, ending: "SH")
            return
        }
        exchange.retries += 1
        if let origin { loop.close(origin) }
        origin = nil
        connect(to: server, fresh: true)
    }
}

extension [UInt8] {
    /// Appends data of a body, as a chunk of its own where the body is chunked.
    mutating func append(_ span: Span<UInt8>, _ range: Range<Int>, chunked: Bool) {
        guard chunked else { return append(span, range) }
        append(hexadecimal: UInt64(range.count))
        append(text: "\r\n")
        append(span, range)
        append(text: "\r\n")
    }

    mutating func appendLastChunk(trailers: [UInt8]) {
        append(text: "0\r\n")
        append(contentsOf: trailers)
        append(text: "\r\n")
    }
}
