import Basics
import Glibc
import LinuxSystem
import Synchronization
public import Telemetry

/// Serves the control socket on a thread of its own.
///
/// Answers "events" from the journal by itself; everything else goes to the handler. A client that does not take its
/// answers in is dropped, so that nobody can fill the daemon's memory.
public final class ControlServer: Sendable {
    /// Clients at a time; the next one waits in the kernel's queue.
    static let clientMaximum = 32
    /// Bytes that wait to be taken by one client.
    static let outputMaximum = 2 * ControlReply.lineMaximum
    /// Requests of one client that are not answered yet.
    static let pendingMaximum = 16
    /// Between two tries to let a client in.
    static let retry = Interval.milliseconds(200)

    /// What other threads hand to the server's.
    private struct Mailbox {
        var replies: [(client: UInt64, line: String)] = []
        var isStopping = false
    }

    private struct Client {
        let stream: Box
        var input: [UInt8] = []
        var output: [UInt8] = []
        var pending = 0
        /// The last event that a following client was sent; nil when it does not follow.
        var followed: UInt64?
    }

    /// A dictionary cannot hold what is not copyable.
    private final class Box: Sendable {
        let stream: SocketStream
        init(_ stream: consuming SocketStream) { self.stream = stream }
    }

    /// The state of the server's thread.
    private struct Loop {
        var clients: [UInt64: Client] = [:]
        var nextClient: UInt64 = 1
        var poll = PollSet()
        /// When the next client is let in: now, unless the last try has failed.
        var acceptsFrom = Instant(nanoseconds: 0)
        /// Why it failed, told once.
        var trouble: SystemError?
    }

    private let listener: SocketListener
    private let journal: Journal
    private let handler: any ControlHandler
    private let wake: EventCounter
    private let mailbox = Mutex(Mailbox())

    /// Opens the socket; its directory is made when it is missing. A file left by a dead process is replaced.
    public init(path: String, journal: Journal, handler: any ControlHandler) throws(ControlError) {
        do throws(SystemError) {
            if let slash = path.lastIndex(of: "/"), slash != path.startIndex {
                try FileTree.makeDirectory(String(path[..<slash]), mode: 0o755)
            }
            listener = try SocketListener(unixPath: path)
            wake = try EventCounter()
        } catch {
            switch error.code {
            case EADDRINUSE: throw .alreadyRunning(path: path)
            case EACCES, EPERM, EROFS: throw .notPermitted(path: path)
            default: throw .system(error)
            }
        }
        self.journal = journal
        self.handler = handler
    }

    /// Serves until `stop`: the body of the thread.
    public func run() {
        var loop = Loop()
        let observer = journal.observe { [weak self] in self?.wake.signal() }
        defer { journal.stopObserving(observer) }
        while true {
            wake.drain()
            let (replies, isStopping) = mailbox.withLock { box in
                defer { box.replies.removeAll() }
                return (box.replies, box.isStopping)
            }
            for reply in replies { answer(reply.client, reply.line, &loop) }
            sendEvents(&loop)
            for id in loop.clients.keys.sorted() { flush(id, &loop) }
            if isStopping { return }
            do throws(SystemError) { try waitAndServe(&loop) } catch { pause(&loop, error) }
        }
    }

    /// Ends `run` after the answers that are there have been sent, as far as their clients take them.
    public func stop() {
        mailbox.withLock { $0.isStopping = true }
        wake.signal()
    }

    /// Out of descriptors or memory: that passes, and who knocks waits in the kernel's queue meanwhile. The thread goes
    /// on: without it no verb could end what eats them.
    private func pause(_ loop: inout Loop, _ error: SystemError) {
        loop.acceptsFrom = .now() + Self.retry
        // Without poll there is nothing to wait with, and no spinning either.
        if error.operation == "poll" { usleep(UInt32(Self.retry.nanoseconds / 1000)) }
        guard loop.trouble != error else { return }
        loop.trouble = error
        journal.record("control-socket-failed", level: .error, ["reason": error, "effect": "tried again"])
    }

    private func post(_ client: UInt64, _ reply: ControlReply) {
        mailbox.withLock { $0.replies.append((client, reply.line)) }
        wake.signal()
    }

    // MARK: The server's thread

    private func waitAndServe(_ loop: inout Loop) throws(SystemError) {
        loop.poll.removeAll()
        loop.poll.add(wake.descriptor.raw, .readable)
        let isResting = Instant.now() < loop.acceptsFrom
        let accepts = loop.clients.count < Self.clientMaximum && !isResting
        loop.poll.add(listener.descriptor.raw, accepts ? .readable : [])
        let order = loop.clients.keys.sorted()
        for id in order {
            guard let client = loop.clients[id] else { continue }
            var interest: PollEvents = client.output.isEmpty ? [] : .writable
            if client.pending < Self.pendingMaximum { interest.insert(.readable) }
            loop.poll.add(client.stream.stream.descriptor.raw, interest)
        }
        try loop.poll.wait(until: isResting ? loop.acceptsFrom : .never)
        for (place, id) in order.enumerated() {
            let ready = loop.poll.ready(at: place + 2)
            if ready.contains(.readable) || ready.contains(.failed) { receive(id, &loop) }
        }
        if accepts, !loop.poll.ready(at: 1).isEmpty, let stream = try listener.accept() {
            loop.trouble = nil
            loop.clients[loop.nextClient] = Client(stream: Box(stream))
            loop.nextClient += 1
        }
    }

    private func receive(_ id: UInt64, _ loop: inout Loop) {
        guard var client = loop.clients.removeValue(forKey: id) else { return }
        do throws(SystemError) {
            let transfer = try client.stream.stream.read(appendingTo: &client.input, limit: 65536)
            if transfer == .ended { return }
        } catch {
            // The client is gone; so is what it asked.
            return
        }
        var lines: [[UInt8]] = []
        while let end = client.input.firstIndex(of: 0x0A) {
            lines.append(Array(client.input[..<end]))
            client.input.removeSubrange(...end)
        }
        guard client.input.count <= ControlRequest.lineMaximum else { return }
        loop.clients[id] = client
        for line in lines { begin(line, id, &loop) }
    }

    private func begin(_ line: [UInt8], _ id: UInt64, _ loop: inout Loop) {
        loop.clients[id]?.pending += 1
        guard let request = ControlRequest(line: line) else {
            return answer(
                id, ControlReply.refused("this is not a request of this version of tandem").line, &loop)
        }
        guard request.verb == "events" else {
            return handler.handle(request) { [weak self] reply in self?.post(id, reply) }
        }
        let events = journal.events()
        let body = JSONValue.array(events.map(\.json))
        answer(id, ControlReply.done(body: body).line, &loop)
        if request.arguments.contains("follow") { loop.clients[id]?.followed = events.last?.sequence ?? 0 }
    }

    private func answer(_ id: UInt64, _ line: String, _ loop: inout Loop) {
        loop.clients[id]?.pending -= 1
        loop.clients[id]?.output += Array((line + "\n").utf8)
    }

    private func sendEvents(_ loop: inout Loop) {
        for (id, client) in loop.clients {
            guard let followed = client.followed else { continue }
            let events = journal.events(after: followed)
            guard let last = events.last else { continue }
            let reply = ControlReply.done(body: .array(events.map(\.json)))
            loop.clients[id]?.output += Array((reply.line + "\n").utf8)
            loop.clients[id]?.followed = last.sequence
        }
    }

    private func flush(_ id: UInt64, _ loop: inout Loop) {
        guard var client = loop.clients.removeValue(forKey: id) else { return }
        while !client.output.isEmpty {
            do throws(SystemError) {
                guard case .moved(let count) = try client.stream.stream.write(client.output[...]) else {
                    break
                }
                client.output.removeFirst(count)
            } catch {
                return
            }
        }
        if client.output.count <= Self.outputMaximum { loop.clients[id] = client }
    }
}

extension JournalEvent {
    /// The event as `tandem events --json` prints it.
    public var json: JSONValue {
        [
            "sequence": .count(sequence), "time": .string("\(time)"), "level": .string(level.rawValue),
            "name": .string(name),
            "fields": .object(fields.map { JSONValue.Field($0.key, .string($0.value)) }),
            "text": .string(text),
        ]
    }
}
