import Basics
import Glibc
import HTTPFraming
import LinuxSystem
import Synchronization

/// A web server of a few lines, on a thread of its own, with the mistakes that a test asks for by the path.
///
///     /name          its name                /close       closes without an answer
///     /chunked       its name in chunks      /short       promises more than it sends
///     /old           HTTP/1.0, until close   /echo        what it was sent, head and body
///     /ws            101, then echoes        /slow        answers when `release` is called
///     /bad           two lengths             /once        closes on the second request of a connection
final class LittleServer: Sendable {
    let name: String
    let address: SocketAddress
    /// Requests that came, checks not counted.
    let count = Mutex<Int>(0)
    /// Connections that were accepted.
    let connections = Mutex<Int>(0)
    /// Connections that the other side has ended.
    let ended = Mutex<Int>(0)
    private let listener: ListenerBox
    private let stop: EventCounter
    private let released: EventCounter

    final class ListenerBox: Sendable {
        let listener: SocketListener
        init(_ address: SocketAddress) throws { listener = try SocketListener(tcp: address) }
        func close() { _ = shutdown(listener.descriptor.raw, Int32(SHUT_RDWR)) }
    }

    private let echoesOnly: Bool

    init(_ name: String, at address: SocketAddress? = nil, echoesOnly: Bool = false) throws {
        self.name = name
        self.echoesOnly = echoesOnly
        guard let any = address ?? SocketAddress(host: "127.0.0.1", port: 0) else {
            throw TestFailure("address")
        }
        listener = try ListenerBox(any)
        guard let bound = listener.listener.localAddress else { throw TestFailure("no address") }
        self.address = bound
        stop = try EventCounter()
        released = try EventCounter()
    }

    func end() { stop.signal() }
    /// Stops listening without ever having served: the address then refuses connections.
    func close() { listener.close() }
    func release() { released.signal() }

    private final class Connection {
        let stream: SocketStream
        var input: [UInt8] = []
        var requests = 0
        var echoes = false
        var waits = false
        init(_ stream: consuming SocketStream) { self.stream = stream }
    }

    /// Serves until `end`.
    func run() {
        var open: [Connection] = []
        var credits = 0
        while true {
            var poll = PollSet()
            poll.add(stop.descriptor.raw, .readable)
            poll.add(released.descriptor.raw, .readable)
            poll.add(listener.listener.descriptor.raw, .readable)
            for connection in open { poll.add(connection.stream.descriptor.raw, .readable) }
            guard (try? poll.wait(until: .never)) != nil, !poll.ready(at: 0).contains(.readable) else {
                return
            }
            // A release may come before the request that it is for.
            if released.drain() { credits += 1 }
            while let stream = try? listener.listener.accept() {
                connections.withLock { $0 += 1 }
                open.append(Connection(stream))
                open.last?.echoes = echoesOnly
            }
            open = open.filter { serve($0) }
            for connection in open where connection.waits && credits > 0 {
                credits -= 1
                connection.waits = false
                send(connection, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow")
            }
        }
    }

    /// False when the connection is closed.
    private func serve(_ connection: Connection) -> Bool {
        loop: while true {
            switch try? connection.stream.read(appendingTo: &connection.input, limit: 8192) {
            case .moved: continue
            case .wouldBlock: break loop
            case .ended, .none:
                ended.withLock { $0 += 1 }
                // What came before the end is still answered in echo.
                if connection.echoes, !connection.input.isEmpty { send(connection, connection.input) }
                return false
            }
        }
        if connection.echoes {
            send(connection, connection.input)
            connection.input = []
            return true
        }
        while !connection.input.isEmpty {
            var parser = HeadParser(.request)
            guard parser.push(connection.input.span) == .complete else { return true }
            var body = BodyParser(parser.head.requestBody)
            var cursor = parser.head.length
            var data: [UInt8] = []
            reading: while true {
                switch body.next(connection.input.span, from: cursor) {
                case .data(let range):
                    data += connection.input[range]
                    cursor = range.upperBound
                case .end(let place):
                    cursor = place
                    break reading
                case .incomplete: return true
                case .refused: return false
                }
            }
            let path = String(decoding: connection.input.span.copy(parser.head.target), as: UTF8.self)
            let head = Array(connection.input[..<parser.head.length])
            connection.input.removeFirst(cursor)
            if path != "/check" { count.withLock { $0 += 1 } }
            connection.requests += 1
            guard answer(connection, path, head, data) else { return false }
        }
        return true
    }

    private func answer(_ connection: Connection, _ path: String, _ head: [UInt8], _ data: [UInt8]) -> Bool {
        func ok(_ body: [UInt8]) {
            send(connection, Array("HTTP/1.1 200 OK\r\nContent-Length: \(body.count)\r\n\r\n".utf8) + body)
        }
        switch path {
        case "/close": return false
        case "/once" where connection.requests > 1: return false
        case "/short":
            send(connection, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")
            return false
        case "/short-chunked":
            send(connection, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n")
            return false
        case "/named-trailer":
            send(
                connection,
                "HTTP/1.1 200 OK\r\nConnection: x-hop\r\nDate: then\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + "1\r\na\r\n0\r\nX-Hop: 1\r\nX-T: 2\r\n\r\n")
        case "/old":
            send(connection, "HTTP/1.0 200 OK\r\n\r\n\(name)")
            return false
        case "/bad": send(connection, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab")
        case "/chunked":
            send(
                connection,
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;x\r\n\(name.prefix(1))\r\n")
            send(
                connection,
                "\(String(name.utf8.count - 1, radix: 16))\r\n\(name.dropFirst())\r\n0\r\nX-T: 1\r\n\r\n")
        case "/ws":
            send(connection, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: ws\r\n\r\n")
            connection.echoes = true
        case "/slow": connection.waits = true
        case "/continue":
            send(connection, "HTTP/1.1 100 Continue\r\n\r\n")
            ok(data)
        case "/echo": ok(head + data)
        case "/body": ok(data)
        default: ok(Array(name.utf8))
        }
        return true
    }

    private func send(_ connection: Connection, _ text: String) { send(connection, Array(text.utf8)) }

    /// Waits for room, with a deadline: the tests send more than a socket holds.
    private func send(_ connection: Connection, _ bytes: [UInt8]) {
        var rest = bytes[...]
        let deadline = Instant.now() + .seconds(10)
        while !rest.isEmpty {
            switch try? connection.stream.write(rest) {
            case .moved(let count): rest = rest.dropFirst(count)
            case .wouldBlock:
                var poll = PollSet()
                poll.add(connection.stream.descriptor.raw, .writable)
                guard (try? poll.wait(until: deadline)) ?? 0 > 0 else { return }
            case .ended, .none: return
            }
        }
    }
}

struct TestFailure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
