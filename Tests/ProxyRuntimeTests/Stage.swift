import Balancing
import Basics
import HTTPFraming
import LinuxSystem
import ProxyRuntime
import Synchronization
import Telemetry

/// A proxy and its servers, each on a thread, ended when the test ends.
final class Stage {
    let servers: [LittleServer]
    let proxy: ProxyServer
    /// What the proxy began with, and its page.
    let configuration: ProxyConfiguration
    let page: StatisticsConfiguration
    let journal = Journal(logger: nil)
    private let log: LogBox
    private let threads: ThreadBox
    private var late: [LittleServer] = []

    final class LogBox: Sendable {
        let text = Mutex<[UInt8]>([])
        let grown: EventCounter
        init() throws { grown = try EventCounter() }
    }

    /// Joined by the order of its fields: noncopyable threads cannot stand in an array.
    final class ThreadBox {
        var all: [OneThread] = []
        final class OneThread {
            let thread: SystemThread
            init(_ thread: consuming SystemThread) { self.thread = thread }
        }
    }

    init(
        servers count: Int = 2, echoesOnly: Bool = false, store: ProxyAdminStore? = nil,
        names: KnownNames? = nil,
        _ change: (inout ProxyConfiguration) -> Void = { _ in }
    ) throws {
        servers = try (1...count).map { try LittleServer("web\($0)", echoesOnly: echoesOnly) }
        guard let listen = SocketAddress(host: "127.0.0.1", port: 0) else { throw TestFailure("address") }
        var configuration = ProxyConfiguration(
            name: "web", listen: listen,
            servers: servers.map { .init(rules: .init(name: $0.name), address: $0.address) },
            key: [UInt8](repeating: 5, count: 16))
        configuration.check = .off
        change(&configuration)
        let box = try LogBox()
        let page = StatisticsConfiguration(
            listen: listen, user: "admin", password: "s3cret", refresh: 5,
            key: [UInt8](repeating: 9, count: 16))
        let proxy = try ProxyServer(
            [configuration], statistics: page, store: store, journal: journal,
            lookup: { names?.addresses(of: $0) ?? [] })
        let threads = ThreadBox()
        for server in servers {
            threads.all.append(.init(try SystemThread(name: server.name) { server.run() }))
        }
        threads.all.append(
            .init(
                try SystemThread(name: "proxy") {
                    try? proxy.run { lines in
                        box.text.withLock { $0 += lines }
                        box.grown.signal()
                    }
                }))
        (self.proxy, self.log, self.threads) = (proxy, box, threads)
        (self.configuration, self.page) = (configuration, page)
    }

    /// Starts one more server, which ends with the others.
    func start(_ server: LittleServer) throws {
        late.append(server)
        threads.all.append(.init(try SystemThread(name: server.name) { server.run() }))
    }

    deinit {
        proxy.stop()
        for server in servers + late { server.end() }
    }

    func client(patience: Interval = .seconds(10)) throws -> LittleClient {
        guard let address = proxy.address(of: "web") else { throw TestFailure("the proxy listens nowhere") }
        return try LittleClient(address, patience: patience)
    }

    /// A client of the statistics page, for one request.
    func reader() throws -> LittleClient {
        guard let address = proxy.statisticsAddress else { throw TestFailure("there is no page") }
        return try LittleClient(address)
    }

    /// Asks the page with user and password.
    func page(_ target: String, _ fields: String = "", method: String = "GET", body: String = "") throws
        -> Answer
    {
        try reader().get(target, "Authorization: \(Self.right)\r\n\(fields)", method: method, body: body)
    }

    /// admin:s3cret
    static let right = "Basic YWRtaW46czNjcmV0"

    /// The access log, as soon as it has that many lines.
    func lines(_ count: Int) throws -> [String] {
        let deadline = Instant.now() + .seconds(10)
        while true {
            let text = log.text.withLock { String(decoding: $0, as: UTF8.self) }
            let lines = text.split(separator: "\n").map(String.init)
            if lines.count >= count { return lines }
            var poll = PollSet()
            poll.add(log.grown.descriptor.raw, .readable)
            guard try poll.wait(until: deadline) > 0 else {
                throw TestFailure("\(lines.count) lines after 10 s: \(lines)")
            }
            log.grown.drain()
        }
    }

    /// Asks until the answer is as wanted; for what comes true by a check.
    func ask(_ path: String, until wanted: (Answer) -> Bool) throws {
        let deadline = Instant.now() + .seconds(10)
        while Instant.now() < deadline {
            if wanted(try client().get(path)) { return }
        }
        throw TestFailure("\(path) was never answered as wanted")
    }
}

/// What came back.
struct Answer {
    var status: Int
    var head: String
    var body: String
    /// The body ended as its framing says.
    var isComplete: Bool
    var trailers: String
}

/// A client of a few lines that waits with a deadline.
final class LittleClient {
    private let stream: SocketStream
    private var input: [UInt8] = []
    private var isAtEnd = false
    /// The connection ended with a reset.
    private(set) var wasReset = false
    private let deadline: Instant

    init(_ address: SocketAddress, patience: Interval = .seconds(10)) throws {
        deadline = Instant.now() + patience
        stream = try SocketStream.connecting(to: address)
        try wait(.writable)
        try stream.finishConnecting(to: address)
    }

    private func wait(_ events: PollEvents) throws {
        var poll = PollSet()
        poll.add(stream.descriptor.raw, events)
        guard try poll.wait(until: deadline) > 0 else { throw TestFailure("nothing came in 10 s") }
    }

    func send(_ text: String) throws { try send(Array(text.utf8)) }

    func send(_ bytes: [UInt8]) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            switch try stream.write(rest) {
            case .moved(let count): rest = rest.dropFirst(count)
            case .wouldBlock: try wait(.writable)
            case .ended: throw TestFailure("cannot send")
            }
        }
    }

    func endSending() { stream.endSending() }

    private func more() throws -> Bool {
        while !isAtEnd {
            do {
                switch try stream.read(appendingTo: &input, limit: 8192) {
                case .moved: return true
                case .wouldBlock: try wait(.readable)
                case .ended: isAtEnd = true
                }
            } catch let error as SystemError {
                guard error.operation == "receive from" else { throw error }
                isAtEnd = true
                wasReset = error.code == 104
            }
        }
        return false
    }

    /// Whether the connection ends without another byte.
    func isClosed() throws -> Bool { try input.isEmpty && !more() }

    /// The next bytes, that many.
    func bytes(_ count: Int) throws -> String {
        while input.count < count { guard try more() else { break } }
        defer { input.removeFirst(min(count, input.count)) }
        return String(decoding: input.prefix(count), as: UTF8.self)
    }

    func get(_ path: String, _ fields: String = "", method: String = "GET", body: String = "") throws
        -> Answer
    {
        let length = body.isEmpty ? "" : "Content-Length: \(body.utf8.count)\r\n"
        try send("\(method) \(path) HTTP/1.1\r\nHost: test\r\n\(fields)\(length)\r\n\(body)")
        return try answer(to: method)
    }

    /// The next response.
    func answer(to method: String = "GET") throws -> Answer {
        var parser = HeadParser(.response)
        head: while true {
            switch parser.push(input.span) {
            case .complete: break head
            case .refused(let fault): throw TestFailure("the answer is refused: \(fault)")
            case .incomplete:
                guard try more() else { throw TestFailure("no answer, the connection was closed") }
            }
        }
        let head = parser.head
        var reader = BodyParser(head.responseBody(to: method == "HEAD" ? .head : .get))
        var answer = Answer(
            status: head.status, head: String(decoding: input[..<head.length], as: UTF8.self), body: "",
            isComplete: true, trailers: "")
        var body: [UInt8] = []
        var cursor = head.length
        body: while true {
            switch reader.next(input.span, from: cursor) {
            case .data(let range):
                body += input[range]
                cursor = range.upperBound
            case .end(let place):
                cursor = place
                break body
            case .refused(let fault): throw TestFailure("the body is refused: \(fault)")
            case .incomplete:
                cursor = input.count
                guard try !more() else { continue }
                answer.isComplete = reader.endsWithConnection
                break body
            }
        }
        input.removeFirst(cursor)
        answer.body = String(decoding: body, as: UTF8.self)
        answer.trailers = String(decoding: reader.trailers, as: UTF8.self)
        return answer
    }
}
