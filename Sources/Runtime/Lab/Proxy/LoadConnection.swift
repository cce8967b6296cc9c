import Basics

/// One connection of a client under load: it waits for what it is owed, for a time.
final class LoadConnection {
    /// How an answer came.
    enum Answer {
        case whole(LabMessage)
        /// The connection ended before the answer's end.
        case cut
        /// Neither came in time.
        case late
    }

    /// How long anything may take before it counts as hung: longer than every timeout of the proxy's together.
    private let patience: Interval

    let socket: LabSocket
    private var input: [UInt8] = []
    private var hasEnded = false
    private var hasFailed = false

    init(port: Int, patience: Interval = .seconds(30)) throws(LabError) {
        socket = try LabSocket.connect(to: port)
        self.patience = patience
    }

    /// Sends all of it; false when the connection broke or does not take it in time.
    func send(_ bytes: [UInt8]) -> Bool {
        var sent = 0
        let deadline = LabClock.now() + patience
        while sent < bytes.count, LabClock.now() < deadline {
            guard let count = socket.write(bytes[sent...]) else { return false }
            sent += count
            if count == 0 { LabSocket.wait([(socket, true)], .milliseconds(200)) }
        }
        return sent == bytes.count
    }

    /// Sends the text.
    func send(_ text: String) -> Bool { send(Array(text.utf8)) }

    /// The next final answer to a request of that method; interim ones are passed over, 101 is final.
    func answer(to method: String, slowly: Bool = false) -> Answer {
        let deadline = LabClock.now() + patience
        while true {
            while let message = LabMessage(input[...], answerTo: method, ended: hasEnded), message.isWhole {
                input.removeFirst(message.length)
                if message.status == 101 || message.status >= 200 { return .whole(message) }
            }
            if hasEnded || hasFailed { return .cut }
            guard LabClock.now() < deadline else { return .late }
            if slowly { LabClock.nap(.milliseconds(5)) }
            receive(.milliseconds(500))
        }
    }

    /// Whether exactly these bytes came next; nil when the time is over.
    func expect(_ bytes: [UInt8]) -> Bool? {
        let deadline = LabClock.now() + patience
        while input.count < bytes.count {
            if hasEnded || hasFailed { return false }
            guard LabClock.now() < deadline else { return nil }
            receive(.milliseconds(500))
        }
        defer { input.removeFirst(bytes.count) }
        return Array(input.prefix(bytes.count)) == bytes
    }

    /// Whether the other side has ended it by now.
    var isOver: Bool {
        receive(.milliseconds(0))
        return hasEnded || hasFailed
    }

    private func receive(_ limit: Interval) {
        guard !hasEnded, !hasFailed else { return }
        LabSocket.wait([(socket, false)], limit)
        switch socket.read() {
        case .bytes(let bytes): input += bytes
        case .nothing: break
        case .ended: hasEnded = true
        case .failed: hasFailed = true
        }
    }
}
