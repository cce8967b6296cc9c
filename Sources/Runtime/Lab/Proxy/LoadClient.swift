import Basics
import Synchronization

/// What one client does, again and again.
enum LoadClientKind: String, Sendable, CaseIterable {
    /// GETs on one connection as long as it stands.
    case keepAlive = "keep-alive"
    /// A connection for each GET.
    case new
    /// POST with a length.
    case post
    /// POST in chunks, and the answer in chunks.
    case chunked
    /// An answer that ends with the server's connection.
    case untilClose = "until close"
    /// A server that answers a little at a time.
    case drip
    /// A client that asks a little at a time, and now and then never ends its head.
    case slow
    /// Keeps its cookie, and must stay where it is.
    case sticky
    /// Goes away in the middle.
    case aborting
    /// One request, a long silence on the same connection, the next one.
    case idle
    /// Upgrades, then speaks for a while.
    case webSocket = "websocket"
    /// TCP mode: everything comes back.
    case tcp
}

/// One client on a thread of its own.
final class LoadClient: Sendable {
    /// Where the three proxies of the settings listen.
    struct Ports: Sendable {
        let web: Int
        let sticky: Int
        let tcp: Int
    }

    let kind: LoadClientKind
    private let ports: Ports
    private let score: LoadScore
    private let evidence: LoadEvidence
    private let isStopped = Atomic<Bool>(false)
    /// Between two requests.
    private let pace: Interval
    /// How often an upgraded or passed-through connection says something.
    private let turns: UInt64

    init(
        _ kind: LoadClientKind, ports: Ports, score: LoadScore, evidence: LoadEvidence, pace: Interval,
        turns: UInt64 = 40
    ) {
        (self.kind, self.ports, self.score, self.evidence) = (kind, ports, score, evidence)
        (self.pace, self.turns) = (pace, turns)
    }

    func stop() { isStopped.store(true, ordering: .relaxed) }
    private var goesOn: Bool { !isStopped.load(ordering: .relaxed) }

    /// What the client remembers from request to request.
    private struct Memory {
        var connection: LoadConnection?
        var turn: UInt64 = 0
        var cookie = ""
        var origin = ""
        var lastAnswer = LabClock.now()
    }

    /// Asks until `stop`.
    func run() {
        var memory = Memory()
        while goesOn {
            let begun = LabClock.now()
            let id = score.number()
            memory.turn = id
            var outcome: LoadScore.Outcome
            do throws(LabError) {
                outcome = try ask(id, &memory)
            } catch {
                outcome = .wrong("\(error)")
            }
            if outcome.isFailure, score.isCalm(since: begun), !evidence.starved().isEmpty {
                outcome = .starved("\(outcome) while no server changed")
            }
            score.add(outcome, of: kind.rawValue, since: begun, note: "(request \(id))") {
                evidence.text(ofClient: memory.connection?.socket.port)
            }
            if outcome != .answered { memory.connection = nil }
            LabClock.nap(kind == .idle ? .milliseconds(800 + id % 5 * 400) : pace)
        }
    }

    private func ask(_ id: UInt64, _ memory: inout Memory) throws(LabError) -> LoadScore.Outcome {
        // A connection that was kept and is gone was cut, though nobody asked on it.
        if memory.connection?.isOver == true { return .cut }
        let size = Int(id % 7) * 700 + (id % 40 == 0 ? 150_000 : 0)
        switch kind {
        case .keepAlive, .idle: return try get("length", id, size, &memory, keeps: true)
        case .new: return try get("length", id, size, &memory, keeps: false)
        case .untilClose: return try get("close", id, size, &memory, keeps: true)
        case .drip: return try get("drip", id, 12_000, &memory, keeps: true)
        case .sticky: return try stay(id, &memory)
        case .post, .chunked: return try post(id, size, &memory)
        case .slow: return try askSlowly(id, &memory)
        case .aborting: return try leave(id)
        case .webSocket: return try upgrade(id)
        case .tcp: return try echo(id)
        }
    }

    private func connection(_ memory: inout Memory, to port: Int) throws(LabError) -> LoadConnection {
        if let open = memory.connection { return open }
        let made = try LoadConnection(port: port)
        memory.connection = made
        return made
    }

    private func get(
        _ path: String, _ id: UInt64, _ size: Int, _ memory: inout Memory, keeps: Bool
    ) throws(LabError) -> LoadScore.Outcome {
        if !keeps { memory.connection = nil }
        let connection = try connection(&memory, to: ports.web)
        let option = keeps ? "" : "Connection: close\r\n"
        guard connection.send("GET /\(path)/\(id)/\(size) HTTP/1.1\r\nHost: load\r\n\(option)\r\n") else {
            return .cut
        }
        return judge(connection.answer(to: "GET"), id, &memory)
    }

    /// 200 and the body that was asked for; anything else is said for what it is.
    private func judge(_ answer: LoadConnection.Answer, _ id: UInt64, _ memory: inout Memory)
        -> LoadScore.Outcome
    {
        switch answer {
        case .cut: return .cut
        case .late: return .hung
        case .whole(let message):
            if message.value("connection")?.lowercased() == "close" { memory.connection = nil }
            switch message.status {
            case 200:
                return LoadBody.holds(message.body, id)
                    ? .answered
                    : .wrong("a whole answer of \(message.body.count) bytes that is not whole, or another's")
            case 502, 503, 504: return .refused(message.status)
            default: return .wrong("status \(message.status)")
            }
        }
    }

    private func post(_ id: UInt64, _ size: Int, _ memory: inout Memory) throws(LabError)
        -> LoadScore.Outcome
    {
        let connection = try connection(&memory, to: ports.web)
        let body = LoadBody.make(id, count: size)
        var bytes: [UInt8]
        if kind == .post {
            let head =
                "POST /length/\(id)/\(size) HTTP/1.1\r\nHost: load\r\nContent-Length: \(body.count)\r\n\r\n"
            bytes = Array(head.utf8) + body
        } else {
            let head =
                "POST /chunked/\(id)/\(size) HTTP/1.1\r\nHost: load\r\nTransfer-Encoding: chunked\r\n\r\n"
            bytes = Array(head.utf8)
            for start in stride(from: 0, to: body.count, by: 4000) {
                let piece = body[start..<min(body.count, start + 4000)]
                bytes += Array((String(piece.count, radix: 16) + "\r\n").utf8) + piece + [13, 10]
            }
            bytes += Array("0\r\n\r\n".utf8)
        }
        // Where the server dies the proxy may answer before all is sent, and close: the answer still counts.
        _ = connection.send(bytes)
        return judge(connection.answer(to: "POST"), id, &memory)
    }

    private func stay(_ id: UInt64, _ memory: inout Memory) throws(LabError) -> LoadScore.Outcome {
        // Now and then on a new connection: the cookie alone must hold the place.
        if id % 5 == 0 { memory.connection = nil }
        let connection = try connection(&memory, to: ports.sticky)
        let cookie = memory.cookie.isEmpty ? "" : "Cookie: a=1; \(memory.cookie)\r\n"
        guard connection.send("GET /stay/\(id)/500 HTTP/1.1\r\nHost: load\r\n\(cookie)\r\n") else {
            return .cut
        }
        let answer = connection.answer(to: "GET")
        let outcome = judge(answer, id, &memory)
        guard case .whole(let message) = answer, outcome == .answered else { return outcome }
        let origin = message.value("x-origin") ?? ""
        let set = message.value("set-cookie")?.split(separator: ";").first.map(String.init)
        defer {
            memory.origin = origin
            memory.cookie = set ?? memory.cookie
            memory.lastAnswer = LabClock.now()
        }
        guard !memory.origin.isEmpty, origin != memory.origin else { return .answered }
        if set == nil { return .wrong("moved from \(memory.origin) to \(origin) without a new cookie") }
        guard score.isCalm(since: memory.lastAnswer) else { return .answered }
        let what = "moved from \(memory.origin) to \(origin) while no server changed"
        return evidence.starved().contains(memory.origin) ? .starved(what) : .wrong(what)
    }

    private func askSlowly(_ id: UInt64, _ memory: inout Memory) throws(LabError) -> LoadScore.Outcome {
        let connection = try LoadConnection(port: ports.web)
        let isEndless = id % 10 == 0
        let head = Array(
            "GET /length/\(id)/20000 HTTP/1.1\r\nHost: load\r\nX-Slow: \(id)\(isEndless ? "" : "\r\n\r\n")"
                .utf8)
        for start in stride(from: 0, to: head.count, by: 8) {
            guard goesOn else { return .left }
            guard connection.send(Array(head[start..<min(head.count, start + 8)])) else { return .cut }
            LabClock.nap(.milliseconds(30))
        }
        let answer = connection.answer(to: "GET", slowly: true)
        guard isEndless else { return judge(answer, id, &memory) }
        guard case .whole(let message) = answer, message.status == 408 else {
            return .wrong("a head without an end was not answered 408")
        }
        return .answered
    }

    private func leave(_ id: UInt64) throws(LabError) -> LoadScore.Outcome {
        let connection = try LoadConnection(port: ports.web)
        let text =
            switch id % 4 {
            case 0: "GET /length/\(id)/100000 HTTP/1.1\r\nHost: load\r\n\r\n"
            case 1: "GET /drip/\(id)/100000 HTTP/1.1\r\nHo"
            case 2: "POST /length/\(id)/10 HTTP/1.1\r\nHost: load\r\nContent-Length: 5000\r\n\r\nhalf"
            default: "GET /drip/\(id)/100000 HTTP/1.1\r\nHost: load\r\n\r\n"
            }
        _ = connection.send(text)
        LabClock.nap(.milliseconds(id % 3 * 20))
        if id % 8 < 4 { connection.socket.resetOnClose() }
        return .left
    }

    private func upgrade(_ id: UInt64) throws(LabError) -> LoadScore.Outcome {
        let connection = try LoadConnection(port: ports.web)
        let head =
            "GET /upgrade/\(id)/0 HTTP/1.1\r\nHost: load\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        guard connection.send(head) else { return .cut }
        switch connection.answer(to: "GET") {
        case .cut: return .cut
        case .late: return .hung
        case .whole(let message):
            guard message.status == 101 else {
                return [502, 503, 504].contains(message.status)
                    ? .refused(message.status) : .wrong("status \(message.status) to an upgrade")
            }
        }
        return speak(connection, id, turns: turns, pause: .milliseconds(60))
    }

    private func echo(_ id: UInt64) throws(LabError) -> LoadScore.Outcome {
        speak(try LoadConnection(port: ports.tcp), id, turns: turns, pause: .milliseconds(40))
    }

    /// Says something and hears it again, over and over; then ends, and sees the other side end.
    private func speak(_ connection: LoadConnection, _ id: UInt64, turns: UInt64, pause: Interval)
        -> LoadScore.Outcome
    {
        for turn in 0..<turns where goesOn {
            let words = LoadBody.make(id + turn, count: Int((id + turn) % 9) * 900)
            guard connection.send(words) else { return .cut }
            switch connection.expect(words) {
            case .some(true): break
            case .some(false): return connection.isOver ? .cut : .wrong("something else came back")
            case .none: return .hung
            }
            LabClock.nap(pause)
        }
        return .answered
    }
}
