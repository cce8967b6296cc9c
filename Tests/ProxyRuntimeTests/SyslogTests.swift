import Basics
import Glibc
import LinuxSystem
import Telemetry
import Testing

@testable import ProxyRuntime

@Suite("the access log to syslog")
struct SyslogTests {
    let line = Array("127.0.0.1:1 web web/web1 \"GET / HTTP/1.1\"\n".utf8)
    let time = WallTime(seconds: 1_795_240_805, nanoseconds: 123_000_000)

    /// The next datagram, with a deadline.
    func receive(_ socket: borrowing DatagramSocket) throws -> String {
        var poll = PollSet()
        poll.add(socket.descriptor.raw, .readable)
        guard try poll.wait(until: .now() + .seconds(10)) > 0 else { throw TestFailure("nothing came") }
        return String(decoding: try socket.receive(limit: 2048) ?? [], as: UTF8.self)
    }

    func path() -> String {
        let directory = getenv("TMPDIR").map { String(cString: $0) } ?? "/var/tmp"
        return "\(directory)/tandem-syslog-\(getpid())-\(UInt32.random(in: 0 ... .max))"
    }

    @Test("the machine's own gets a datagram a line, with HAProxy's header")
    func local() throws {
        let path = path()
        let socket = try DatagramSocket.receiving(atUnixPath: path)
        defer { unlink(path) }
        let sink = SyslogSink(.local(path: path), machine: "node1", process: 42)
        sink.send(line + line, at: time)
        for _ in 0..<2 {
            let text = try receive(socket)
            #expect(text.hasPrefix("<134>Nov ") && text.hasSuffix(" web web/web1 \"GET / HTTP/1.1\""))
            #expect(text.contains(" tandem[42]: 127.0.0.1:1 "))
        }
        #expect(sink.lost == 0)
    }

    @Test("another machine gets RFC 5424 over UDP")
    func remote() throws {
        let any = try #require(SocketAddress(host: "127.0.0.1", port: 0))
        let socket = try DatagramSocket.receiving(at: any)
        let bound = socket.localAddress
        let sink = SyslogSink(.server(try #require(bound)), machine: "node1", process: 42)
        sink.send(line, at: time)
        let text = try receive(socket)
        #expect(
            text.hasPrefix("<134>1 2026-11-21T")
                && text.contains(".123Z node1 tandem 42 - - 127.0.0.1:1 web "))
    }

    @Test("what nobody takes is lost, counted, and stops nothing; who comes back gets what follows")
    func lost() throws {
        let path = path()
        let sink = SyslogSink(.local(path: path), machine: "node1")
        sink.send(line + line, at: time)
        #expect(sink.lost == 2)
        do {
            let socket = try DatagramSocket.receiving(atUnixPath: path)
            sink.send(line, at: time)
            #expect(try receive(socket).contains("web/web1"))
            unlink(path)
        }
        // A new daemon makes a new socket at the same path.
        let socket = try DatagramSocket.receiving(atUnixPath: path)
        defer { unlink(path) }
        sink.send(line, at: time)
        #expect(try receive(socket).contains("web/web1") && sink.lost == 2)
    }

    @Test("a daemon that does not read never blocks the proxy")
    func full() throws {
        let path = path()
        let socket = try DatagramSocket.receiving(atUnixPath: path)
        defer { unlink(path) }
        let sink = SyslogSink(.local(path: path), machine: "node1")
        for _ in 0..<100 { for _ in 0..<100 { sink.send(line, at: time) } }
        #expect(sink.lost > 0)
        #expect(try receive(socket).contains("web/web1"))
    }

    @Test("the ring keeps the last 256 KiB, and says how many are missing")
    func ring() {
        let ring = LogRing()
        #expect(ring.last(5) == .init(lines: [], next: 1, missed: 0))
        for number in 1...10_000 {
            ring.add(Array("line \(number) \(String(repeating: "x", count: 90))\n".utf8), count: 1)
        }
        let all = ring.from(1)
        #expect(all.next == 10_001 && all.lines.last?.hasPrefix("line 10000 ") == true)
        #expect(all.missed + UInt64(all.lines.count) == 10_000 && (2000...3000).contains(all.lines.count))
        #expect(ring.last(3).lines.map { $0.prefix(10) } == ["line 9998 ", "line 9999 ", "line 10000"])
        ring.add(Array("a\nb\nc\n".utf8), count: 3)
        #expect(ring.from(10_002).lines == ["b", "c"])
        #expect(ring.from(20_000).lines.isEmpty)
    }
}
