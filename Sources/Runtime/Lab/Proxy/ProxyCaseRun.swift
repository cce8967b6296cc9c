import Basics

/// What passed on both sides of a proxy while one case ran.
struct ProxyCaseRecord {
    /// The bytes of each connection to the origin, in the order in which they were made.
    var origin: [[UInt8]] = []
    /// What the client got.
    var client: [UInt8] = []
    /// How the client's connection stands.
    var clientEnd = "open"
    /// The methods of the requests that the client has sent.
    var methods: [String] = []
}

/// Runs one case through one proxy: a client that sends bytes, and an origin that records bytes and answers by script.
final class ProxyCaseRun {
    /// Without a byte on any side for so long, the client ends its sending; later it gives up.
    private static let quiet = Interval.milliseconds(250)
    private static let patience = Interval.milliseconds(2500)
    static let standardAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    private static let finalAnswer = Array("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".utf8)

    private struct Guest {
        let socket: LabSocket
        /// Where its bytes are in the record.
        let place: Int
        /// Bytes of requests that were answered.
        var used = 0
        var hasEnded = false
        var isTunnel = false
        var isReset = false
    }

    private let entry: ProxyCase
    private let listener: LabSocket
    private var record = ProxyCaseRecord()
    private var guests: [Guest] = []
    private var client: LabSocket
    private var output: [UInt8] = []
    private var more: [[UInt8]]
    private var answers: [ProxyCase.Answer]
    private var hasEndedSending = false
    /// Whole answers that the client has got, and where the next begins.
    private var answered = 0
    private var answeredBytes = 0

    init(_ entry: ProxyCase, proxy port: Int, origin listener: LabSocket) throws(LabError) {
        self.entry = entry
        self.listener = listener
        client = try LabSocket.connect(to: port)
        more = entry.more
        answers = entry.answers
        if entry.isRequest {
            send(entry.bytes)
        } else {
            let upgrade =
                LabMessage(entry.bytes[...], answerTo: "GET")?.status == 101
                ? "Connection: upgrade\r\nUpgrade: example/1\r\n" : ""
            send(Array("\(entry.method) / HTTP/1.1\r\nHost: a\r\n\(upgrade)\r\n".utf8))
            if answers.isEmpty { answers = Self.script(entry) }
        }
    }

    /// A response that the case has; after an interim one comes a final one, and then the end.
    private static func script(_ entry: ProxyCase) -> [ProxyCase.Answer] {
        guard let head = LabMessage(entry.bytes[...], answerTo: entry.method), head.status < 200,
            head.status != 101, head.status > 0
        else { return [ProxyCase.Answer(bytes: entry.bytes, ending: .ends)] }
        let rest = entry.bytes.count - head.headLength
        return [ProxyCase.Answer(bytes: entry.bytes + finalAnswer.dropFirst(rest), ending: .ends)]
    }

    private func send(_ bytes: [UInt8]) {
        output += bytes
        record.methods.append(String(decoding: bytes.prefix { $0 != 0x20 }, as: UTF8.self))
    }

    /// Goes on until the client has what it can get and the origin saw the end of it.
    func run() -> ProxyCaseRecord {
        let begun = LabClock.now()
        var lastMove = begun
        while LabClock.now().since(begun) < Self.patience {
            LabSocket.wait(
                [(client, !output.isEmpty), (listener, false)]
                    + guests.filter { !$0.hasEnded }.map { ($0.socket, false) },
                .milliseconds(20))
            if step() { lastMove = LabClock.now() }
            let still = LabClock.now().since(lastMove)
            if record.clientEnd != "open" || isSatisfied {
                // The proxy may still be ending its other side.
                if still > .milliseconds(guests.allSatisfy(\.hasEnded) ? 10 : 60) { break }
            } else if still > (waitsForEnd ? .milliseconds(20) : Self.quiet), !hasEndedSending {
                hasEndedSending = true
                client.endSending()
                lastMove = LabClock.now()
            }
        }
        for guest in guests { guest.socket.resetOnClose() }
        client.resetOnClose()
        return record
    }

    /// A case whose message is not whole has nothing to wait for.
    private var waitsForEnd: Bool {
        entry.isRequest && (entry.expected == "incomplete" || entry.expected.hasSuffix("unfinished"))
    }

    /// As many answers as were asked for, and nothing more to ask.
    private var isSatisfied: Bool {
        more.isEmpty && output.isEmpty && answered >= max(record.methods.count, entry.client.count)
    }

    private func step() -> Bool {
        var moved = false
        while let socket = listener.accept() {
            guests.append(Guest(socket: socket, place: record.origin.count))
            record.origin.append([])
            moved = true
        }
        if !output.isEmpty, record.clientEnd == "open" {
            if let count = client.write(output[...]) {
                output.removeFirst(count)
                if count > 0 { moved = true }
            } else {
                output = []
            }
        }
        for index in guests.indices where !guests[index].hasEnded {
            if serve(&guests[index]) { moved = true }
        }
        guests.removeAll { $0.isReset }
        return readClient() || moved
    }

    private func serve(_ guest: inout Guest) -> Bool {
        var moved = false
        switch guest.socket.read() {
        case .bytes(let bytes):
            record.origin[guest.place] += bytes
            moved = true
        case .nothing: break
        case .ended, .failed:
            guest.hasEnded = true
            return true
        }
        guard !guest.isTunnel else { return moved }
        while let message = LabMessage(record.origin[guest.place].dropFirst(guest.used)), message.isWhole {
            guest.used += message.length
            let answer =
                answers.isEmpty
                ? ProxyCase.Answer(bytes: Array(Self.standardAnswer.utf8)) : answers.removeFirst()
            _ = guest.socket.write(answer.bytes[...])
            guest.isTunnel = answer.ending != .stays
            switch answer.ending {
            case .stays: break
            case .ends: guest.socket.endSending()
            case .resets:
                LabClock.nap(.milliseconds(30))
                guest.socket.resetOnClose()
                (guest.isReset, guest.hasEnded) = (true, true)
            }
            moved = true
            if guest.isTunnel { break }
        }
        return moved
    }

    private func readClient() -> Bool {
        guard record.clientEnd == "open" else { return false }
        switch client.read() {
        case .bytes(let bytes): record.client += bytes
        case .nothing: return false
        case .ended: record.clientEnd = "ended"
        case .failed: record.clientEnd = "reset"
        }
        while let message = nextAnswer(), message.isWhole {
            answeredBytes += message.length
            guard message.status >= 200 else { continue }
            answered += 1
            guard record.clientEnd == "open" else { continue }
            if !more.isEmpty {
                send(more.removeFirst())
            } else if asksAgain {
                // Whether the connection goes on is told by asking again.
                send(Array("GET /again HTTP/1.1\r\nHost: a\r\n\r\n".utf8))
            }
        }
        return true
    }

    private var asksAgain: Bool {
        entry.isRequest && entry.client.isEmpty && record.methods.count == 1
            && entry.expected.hasPrefix("accept keep") && entry.text(after: "rest") == nil
    }

    private func nextAnswer() -> LabMessage? {
        let method = answered < record.methods.count ? record.methods[answered] : "GET"
        return LabMessage(
            record.client.dropFirst(answeredBytes), answerTo: method, ended: record.clientEnd == "ended")
    }
}
