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
        if client.hasFailed { return perform(.clientLost) }
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
        let party: ExchangeRules.Party = waitsForClient ? .client : .server
        if party == .server, !exchange.hasResponse, let server { frontend.observed(server, succeeded: false) }
        _ = perform(.expired(waitingFor: party))
    }

    private func pumpRequest(to origin: ProxySocket) -> Bool {
        guard !exchange.requestEnded else { return false }
        var cursor = 0
        var moved = false
        while origin.pending < ProxySocket.outputMaximum, !exchange.requestEnded {
            let step = client.withInput { exchange.requestBody.next($0, from: cursor) }
            switch step {
            case .data(let range):
                _ = exchange.rules.handle(.bodySent)
                moved = true
                let isChunked = exchange.isRequestChunked
                client.withInput { origin.output.append($0, range, chunked: isChunked) }
                cursor = range.upperBound
            case .end(let place):
                cursor = place
                exchange.requestEnded = true
                _ = exchange.rules.handle(.requestEnded)
                if exchange.isRequestChunked {
                    origin.output.appendLastChunk(trailers: exchange.requestBody.trailers)
                }
                moved = true
            case .incomplete:
                cursor = client.input.count
                exchange.bytesIn += UInt64(cursor)
                client.consume(cursor)
                // RFC 9112 8: a request whose body ends early is refused, and its server not left to guess.
                if client.isAtEnd { _ = perform(.clientLost) }
                return moved
            case .refused(let fault): return perform(.requestRefused(fault))
            }
        }
        exchange.bytesIn += UInt64(cursor)
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
                    if let server { frontend.observed(server, succeeded: false) }
                    return perform(.serverLost(headBegun: true))
                }
                if isChunked { client.output.appendLastChunk(trailers: []) }
                responseEnded()
                return true
            case .refused: return perform(.responseRefused)
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
                _ = perform(.responseRefused)
                return false
            case .complete:
                let head = responseParser.head
                let action = exchange.rules.take(response: head)
                switch action {
                case .forward(let body, let framing, let closes, let saysKeepAlive):
                    let rewrite = ResponseRewrite(
                        framing: framing, closes: closes, saysKeepAlive: saysKeepAlive)
                    takeResponse(head, body, rewrite, from: origin)
                    return true
                case .forwardInterim:
                    let rewrite = ResponseRewrite(framing: .none, closes: false)
                    origin.withInput { rewrite.write(head, $0, into: &client.output) }
                case .dropInterim: break
                case .switchProtocols:
                    switchProtocols(head, from: origin)
                    return true
                default:
                    _ = perform(action)
                    return false
                }
                origin.consume(head.length)
                responseParser.reset()
            }
        }
    }

    private func takeResponse(
        _ head: MessageHead, _ body: BodyLength, _ plan: ResponseRewrite, from origin: ProxySocket
    ) {
        var rewrite = plan
        if !head.hasDate { rewrite.date = loop.httpDate() }
        if !frontend.cookieName.isEmpty, let server, exchange.sticky != server {
            rewrite.setCookie = frontend.setCookie(server)
            exchange.cookieWasSet = true
        }
        let before = client.pending
        origin.withInput { rewrite.write(head, $0, into: &client.output) }
        exchange.bytes = UInt64(client.pending - before)
        if let server { frontend.observed(server, succeeded: true) }
        exchange.hasResponse = true
        exchange.responseStart = loop.now
        exchange.status = head.status
        exchange.responseFraming = plan.framing
        exchange.responseBody = BodyParser(
            body, limits: frontend.configuration.limits, endingNames: endingNames(of: head, from: origin))
        origin.consume(head.length)
    }

    private func responseEnded() {
        guard let origin else { return }
        let isClean =
            origin.input.isEmpty && origin.pending == 0 && !origin.isAtEnd && !origin.hasFailed
        guard
            case .finished(let keepsClient, let keepsServer) = exchange.rules.handle(
                .responseEnded(serverIsClean: isClean))
        else { return }
        conclude()
        requestParser.reset()
        client.deadline = loop.now + (keepsClient ? timeouts.idle : timeouts.client)
        phase = keepsClient ? .head : .lingering
        releaseOrigin(keep: keepsServer)
    }

    /// The server closed before it answered.
    private func originLost() {
        guard let server else { return }
        let action = exchange.rules.handle(.serverLost(headBegun: responseParser.hasBegun))
        if action != .sendAgain { frontend.observed(server, succeeded: false) }
        _ = perform(action)
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
