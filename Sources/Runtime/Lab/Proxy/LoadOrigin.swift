import Basics
import Glibc
import Synchronization

/// One server behind the proxy under load, on a thread of its own: it answers what the path asks for, counts what it was
/// asked, and can be made ill in the ways in which servers are.
final class LoadOrigin: Sendable {
    /// What it is made to do.
    enum Health: String, Sendable, CaseIterable {
        case well
        /// It does not listen, and its connections were reset.
        case crashed
        /// It answers, and its health check says 503.
        case ailing
        /// It accepts and never says a word.
        case mute
    }

    let name: String
    let port: Int
    /// Whether it sends back what it gets, and speaks no HTTP.
    let echoes: Bool
    private let wanted = Mutex(Health.well)
    private let counted = Atomic<UInt64>(0)
    private let balanced = Atomic<UInt64>(0)
    private let isStopped = Atomic<Bool>(false)
    private let presence = Mutex(Presence())

    /// When its turns were, and which of them were long.
    private struct Presence: Sendable {
        var lastTurn = LabClock.now()
        var lastLength = Interval.seconds(0)
        var absences: [(length: Interval, end: Instant)] = []
    }
    /// A turn waits for 50 ms at most: of two that take longer than this, the processor was away for most.
    private static let absenceMinimum = Interval.milliseconds(300)

    init(name: String, port: Int, echoes: Bool) {
        (self.name, self.port, self.echoes) = (name, port, echoes)
    }

    /// The longest that two turns, one after the other, took within the last `span`; they may have begun before. An
    /// answer takes two: one to accept the connection, one to read what is asked.
    func absence(within span: Interval) -> Interval {
        let now = LabClock.now()
        return presence.withLock { presence in
            presence.absences.filter { now.since($0.end) <= span }.map(\.length)
                .reduce(now.since(presence.lastTurn), max)
        }
    }

    /// Its thread begins a turn.
    func takeTurn() {
        let now = LabClock.now()
        presence.withLock { presence in
            let length = now.since(presence.lastTurn)
            let both = Interval(nanoseconds: length.nanoseconds + presence.lastLength.nanoseconds)
            (presence.lastTurn, presence.lastLength) = (now, length)
            guard both >= Self.absenceMinimum else { return }
            presence.absences = presence.absences.suffix(63) + [(both, now)]
        }
    }

    var health: Health {
        get { wanted.withLock { $0 } }
        set { wanted.withLock { $0 = newValue } }
    }
    /// Requests so far, or connections where it echoes; health checks do not count.
    var count: UInt64 { counted.load(ordering: .relaxed) }

    /// Those of them that no cookie brought.
    var balancedCount: UInt64 { balanced.load(ordering: .relaxed) }

    func stop() { isStopped.store(true, ordering: .relaxed) }

    /// Serves until `stop`.
    func run() {
        var listener: LabSocket?
        var guests: [LoadGuest] = []
        while !isStopped.load(ordering: .relaxed) {
            takeTurn()
            let health = health
            if health == .crashed {
                listener = nil
                for guest in guests { guest.socket.resetOnClose() }
                guests = []
                LabClock.nap(.milliseconds(10))
                continue
            }
            if listener == nil {
                do throws(LabError) {
                    listener = try LabSocket.listen(on: port)
                } catch {
                    LabClock.nap(.milliseconds(50))
                    continue
                }
            }
            guard let open = listener else { continue }
            let sockets = [(open, false)] + guests.map { ($0.socket, !$0.output.isEmpty && !$0.drips) }
            LabSocket.wait(sockets, .milliseconds(20))
            while let socket = open.accept() {
                guests.append(LoadGuest(socket))
                if echoes { counted.add(1, ordering: .relaxed) }
            }
            for index in guests.indices { serve(&guests[index], health) }
            guests.removeAll { $0.isOver }
        }
        for guest in guests { guest.socket.resetOnClose() }
    }

    private func serve(_ guest: inout LoadGuest, _ health: Health) {
        reading: while guest.input.count < 1 << 20 {
            switch guest.socket.read() {
            case .bytes(let bytes): guest.input += bytes
            case .nothing: break reading
            case .ended:
                guest.hasEnded = true
                break reading
            case .failed:
                guest.isOver = true
                return
            }
        }
        // Of one that is mute, whoever gives up is let go.
        if health == .mute, guest.hasEnded { guest.isOver = true }
        if echoes || guest.isTunnel {
            guest.output += guest.input
            guest.input = []
        } else {
            answerAll(&guest, health)
        }
        if health != .mute { guest.write() }
        if guest.output.isEmpty, guest.hasEnded || guest.closesAfter { guest.isOver = true }
    }

    private func answerAll(_ guest: inout LoadGuest, _ health: Health) {
        while !guest.closesAfter, !guest.isTunnel, let message = LabMessage(guest.input[...]), message.isWhole
        {
            guest.input.removeFirst(message.length)
            if message.target == "/health" {
                if health == .mute { continue }
                let status = health == .ailing ? "503 Ailing" : "200 OK"
                guest.output += Array("HTTP/1.1 \(status)\r\nContent-Length: 0\r\n\r\n".utf8)
                continue
            }
            counted.add(1, ordering: .relaxed)
            if !message.target.hasPrefix("/stay/") { balanced.add(1, ordering: .relaxed) }
            if health != .mute { answer(message, &guest) }
        }
    }

    /// `/KIND/ID/COUNT`: what is sent, for whom, and how many bytes.
    private func answer(_ message: LabMessage, _ guest: inout LoadGuest) {
        let words = message.target.split(separator: "/")
        guard words.count == 3, let id = UInt64(words[1]), let count = Int(words[2]) else {
            guest.output += Array("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".utf8)
            return
        }
        let head = "HTTP/1.1 200 OK\r\nX-Origin: \(name)\r\n"
        if words[0] == "upgrade", message.value("upgrade") != nil {
            guest.output += Array(
                ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    + "X-Origin: \(name)\r\n\r\n").utf8)
            guest.isTunnel = true
            guest.output += guest.input
            guest.input = []
            return
        }
        // A body that came short would be believed by the framing alone.
        let isIntact = !message.startLine.hasPrefix("POST") || LoadBody.holds(message.body, id)
        let body = LoadBody.make(id, count: isIntact ? count : 0)
        if !isIntact {
            guest.output += Array("HTTP/1.1 422 Torn\r\nContent-Length: 0\r\n\r\n".utf8)
            return
        }
        switch words[0] {
        case "chunked",
            "drip" where words[0] != "drip" || id % 2 == 1:
            guest.output += Array((head + "Transfer-Encoding: chunked\r\n\r\n").utf8)
            for start in stride(from: 0, to: body.count, by: 3000) {
                let piece = body[start..<min(body.count, start + 3000)]
                guest.output += Array((String(piece.count, radix: 16) + "\r\n").utf8) + piece + [13, 10]
            }
            guest.output += Array("0\r\n\r\n".utf8)
            guest.drips = words[0] == "drip"
        case "close":
            guest.output += Array((head + "Connection: close\r\n\r\n").utf8) + body
            guest.closesAfter = true
        default:
            guest.output += Array((head + "Content-Length: \(body.count)\r\n\r\n").utf8) + body
            guest.drips = words[0] == "drip"
        }
    }
}

/// One connection to an origin.
struct LoadGuest {
    let socket: LabSocket
    var input: [UInt8] = []
    var output: [UInt8] = []
    var hasEnded = false
    var closesAfter = false
    var isTunnel = false
    /// It is answered a little at a time.
    var drips = false
    var isOver = false

    init(_ socket: LabSocket) { self.socket = socket }

    /// Writes what the connection takes, or a little of it.
    mutating func write() {
        guard !output.isEmpty else { return }
        guard let count = socket.write(drips ? output.prefix(1000) : output[...]) else {
            isOver = true
            return
        }
        output.removeFirst(count)
        if output.isEmpty { drips = false }
    }
}
