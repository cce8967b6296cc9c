import Basics
import Glibc
import LinuxSystem
import Testing

@Suite("Sockets, polls, events and timers")
struct SocketTests {
    private var deadline: Instant { .now() + .seconds(10) }

    /// Where the tests' files go.
    private var temporary: String { getenv("TMPDIR").map { String(cString: $0) } ?? P_tmpdir }

    private func loopback(_ host: String = "127.0.0.1", port: UInt16 = 0) throws -> SocketAddress {
        try #require(SocketAddress(host: host, port: port))
    }

    /// What poll says about one descriptor, at the latest at the deadline.
    private func wait(_ descriptor: Int32, _ interest: PollEvents, until deadline: Instant) throws
        -> PollEvents
    {
        var poll = PollSet()
        poll.add(descriptor, interest)
        try poll.wait(until: deadline)
        return poll.ready(at: 0)
    }

    /// The error that `body` throws.
    private func failure(_ body: () throws(SystemError) -> Void) -> SystemError? {
        do {
            try body()
            return nil
        } catch { return error }
    }

    @Test("addresses are read and written in their usual forms, and nothing else is")
    func addresses() {
        #expect(SocketAddress("192.0.2.7:7789")?.description == "192.0.2.7:7789")
        #expect(SocketAddress("[2001:db8::1]:80")?.description == "[2001:db8::1]:80")
        #expect(SocketAddress("192.0.2.7:7789")?.host == "192.0.2.7")
        #expect(SocketAddress("192.0.2.7:7789")?.with(port: 1) == SocketAddress("192.0.2.7:1"))
        for text in [
            "192.0.2.7", "192.0.2.7:65536", "192.0.2:1", "node1:80", ":80", "2001:db8::1:80", "[::1]", "",
        ] {
            #expect(SocketAddress(text) == nil, "\(text)")
        }
    }

    @Test("TCP connects, tells both ends' addresses, passes bytes and ends", arguments: ["127.0.0.1", "::1"])
    func tcp(host: String) throws {
        var options = SocketOptions(userTimeout: .milliseconds(1500))
        options.sendBuffer = 65536
        options.receiveBuffer = 65536
        let listener = try SocketListener(tcp: loopback(host), options: options)
        let local = listener.localAddress
        let address = try #require(local)
        let nobody = try listener.accept()
        let isIdle = nobody == nil
        #expect(isIdle)
        let client = try SocketStream.connecting(to: address, from: loopback(host), options: options)
        #expect(try wait(client.descriptor.raw, .writable, until: deadline) == .writable)
        try client.finishConnecting(to: address)
        #expect(try wait(listener.descriptor.raw, .readable, until: deadline) == .readable)
        guard let server = try listener.accept(options: options) else {
            Issue.record("nobody came")
            return
        }
        let ends = (client.localAddress, client.peerAddress, server.peerAddress)
        #expect(ends.1 == address && ends.2 == ends.0)
        #expect(option(client.descriptor.raw, TCP_NODELAY) == 1)
        #expect(option(server.descriptor.raw, TCP_NODELAY) == 1)
        #expect(option(server.descriptor.raw, TCP_USER_TIMEOUT) == 1500)

        var bytes: [UInt8] = [9]
        let none = try server.read(appendingTo: &bytes, limit: 10)
        #expect(none == .wouldBlock && bytes == [9])
        let sent = try client.write([1, 2, 3])
        #expect(sent == .moved(3))
        #expect(try wait(server.descriptor.raw, .readable, until: deadline).contains(.readable))
        let got = try server.read(appendingTo: &bytes, limit: 10)
        #expect(got == .moved(3) && bytes == [9, 1, 2, 3])
        client.endSending()
        #expect(try wait(server.descriptor.raw, .readable, until: deadline).contains(.readable))
        let end = try server.read(appendingTo: &bytes, limit: 10)
        #expect(end == .ended && bytes.count == 4)
    }

    private func option(_ socket: Int32, _ name: Int32) -> Int32 {
        var value: Int32 = -1
        var length = socklen_t(4)
        _ = getsockopt(socket, Int32(IPPROTO_TCP), name, &value, &length)
        return value
    }

    @Test("a port in use, an address that is not here and a peer that is not there are named")
    func refusals() throws {
        let listener = try SocketListener(tcp: loopback())
        let local = listener.localAddress
        let taken = try #require(local)
        let inUse = failure { () throws(SystemError) in _ = try SocketListener(tcp: taken) }
        #expect(inUse?.description == "listen on \(taken): Address already in use (EADDRINUSE)")
        let absent = try loopback("192.0.2.1", port: 7789)
        let elsewhere = failure { () throws(SystemError) in _ = try SocketListener(tcp: absent) }
        #expect(
            elsewhere == SystemError(operation: "listen on", subject: "192.0.2.1:7789", code: EADDRNOTAVAIL))
        var options = SocketOptions()
        options.bindsAbsentAddress = true
        #expect(
            failure { () throws(SystemError) in _ = try SocketListener(tcp: absent, options: options) } == nil
        )

        let port = taken
        end(listener)
        let client = try SocketStream.connecting(to: port)
        #expect(try wait(client.descriptor.raw, .writable, until: deadline).contains(.failed))
        let refused = failure { () throws(SystemError) in try client.finishConnecting(to: port) }
        #expect(refused?.description == "connect to \(port): Connection refused (ECONNREFUSED)")
    }

    /// Closes it here and now.
    private func end(_ listener: consuming SocketListener) {}

    @Test("a Unix socket has mode 0600, replaces a dead one's file, not a living one's, and removes its own")
    func unix() throws {
        var template = Array("\(temporary)/socket-test-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        let directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let path = "\(directory)/control"
        defer { rmdir(directory) }
        do {
            // A dead predecessor's file: bound, closed, never removed.
            let dead = try #require(deadSocket(at: path))
            #expect(dead == 0)
            let listener = try SocketListener(unixPath: path)
            var status = stat()
            #expect(lstat(path, &status) == 0 && status.st_mode & 0o7777 == 0o600)
            let second = failure { () throws(SystemError) in _ = try SocketListener(unixPath: path) }
            #expect(second == SystemError(operation: "listen on", subject: path, code: EADDRINUSE))
            let client = try SocketStream.connected(toUnixPath: path)
            // The first that waits is the second listener's own question whether somebody lives here.
            _ = try listener.accept()
            guard let server = try listener.accept() else {
                Issue.record("nobody came")
                return
            }
            _ = try server.write([7])
            var bytes: [UInt8] = []
            _ = try client.read(appendingTo: &bytes, limit: 1)
            #expect(bytes == [7])
        }
        #expect(access(path, F_OK) != 0)
        let gone = failure { () throws(SystemError) in _ = try SocketStream.connected(toUnixPath: path) }
        #expect(gone?.code == ENOENT)
        let long = failure { () throws(SystemError) in
            _ = try SocketListener(unixPath: "\(temporary)/" + String(repeating: "x", count: 120))
        }
        #expect(long?.code == ENAMETOOLONG)
    }

    @Test("a living Unix socket whose queue is full is not taken for a dead one")
    func busyUnix() throws {
        let path = "\(temporary)/socket-test-busy-\(getpid())"
        let listener = try SocketListener(unixPath: path, backlog: 0)
        let waiting = try SocketStream.connected(toUnixPath: path)
        let full = failure { () throws(SystemError) in _ = try SocketStream.connected(toUnixPath: path) }
        #expect(full?.code == EAGAIN)
        let second = failure { () throws(SystemError) in _ = try SocketListener(unixPath: path) }
        #expect(second?.code == EADDRINUSE)
        #expect(access(path, F_OK) == 0)
        _ = consume waiting
        _ = consume listener
    }

    /// Binds a socket at `path` and closes it without removing the file: 0 when that worked.
    private func deadSocket(at path: String) -> Int32? {
        let socket = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        guard socket >= 0 else { return nil }
        defer { close(socket) }
        var form = sockaddr_un()
        form.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &form.sun_path) { $0.copyBytes(from: path.utf8) }
        return withUnsafePointer(to: &form) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }

    @Test("a plain file in the place of a Unix socket is left alone")
    func foreignFile() throws {
        var template = Array("\(temporary)/socket-test-XXXXXX".utf8CString)
        let file = mkstemp(&template)
        try #require(file >= 0)
        close(file)
        let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { unlink(path) }
        let refused = failure { () throws(SystemError) in _ = try SocketListener(unixPath: path) }
        #expect(refused?.code == EADDRINUSE)
        #expect(access(path, F_OK) == 0)
    }

    @Test("a write to a peer that is gone is an error, not a signal")
    func brokenPipe() throws {
        let listener = try SocketListener(tcp: loopback())
        let local = listener.localAddress
        let client = try SocketStream.connecting(to: #require(local))
        #expect(try wait(listener.descriptor.raw, .readable, until: deadline) == .readable)
        do {
            let server = try listener.accept()
            _ = consume server
        }
        let limit = deadline
        var last: SystemError?
        while last == nil && Instant.now() < limit {
            last = failure { () throws(SystemError) in _ = try client.write([1]) }
        }
        #expect(last?.code == EPIPE || last?.code == ECONNRESET)
    }

    @Test("poll ends at its deadline, and at once when that has passed")
    func pollDeadline() throws {
        let counter = try EventCounter()
        let began = Instant.now()
        #expect(try wait(counter.descriptor.raw, .readable, until: began + .milliseconds(20)) == [])
        #expect(Instant.now().since(began) >= .milliseconds(20))
        #expect(try wait(counter.descriptor.raw, .readable, until: began) == [])
        counter.signal()
        counter.signal()
        #expect(try wait(counter.descriptor.raw, .readable, until: .never) == .readable)
        let drained = (counter.drain(), counter.drain())
        #expect(drained.0 && !drained.1)
    }

    @Test("a timer expires at its instant, again at its interval, and not when disarmed")
    func timer() throws {
        let timer = try DeadlineTimer()
        let began = Instant.now()
        try timer.set(began + .milliseconds(10))
        #expect(try wait(timer.descriptor.raw, .readable, until: deadline) == .readable)
        #expect(Instant.now().since(began) >= .milliseconds(10))
        let once = timer.drain()
        #expect(once == 1)
        try timer.set(began, every: .milliseconds(2))
        #expect(try wait(timer.descriptor.raw, .readable, until: deadline) == .readable)
        let several = timer.drain()
        #expect(several >= 1)
        #expect(try wait(timer.descriptor.raw, .readable, until: deadline) == .readable)
        try timer.set(.never)
        let none = timer.drain()
        #expect(none == 0)
    }

    @Test("a signal to a thread that queues it is read instead of delivered")
    func signals() throws {
        // A thread of its own, which keeps the block on the signal to itself.
        let body = try SystemThread(name: "signals") {
            do {
                let queue = try SignalQueue([SIGUSR2])
                let before = try queue.next()
                #expect(before == nil)
                pthread_kill(pthread_self(), SIGUSR2)
                let first = try queue.next()
                let second = try queue.next()
                #expect(first == SIGUSR2 && second == nil)
            } catch {
                Issue.record(error)
            }
        }
        body.join()
    }

    @Test("an error of the system reads as operation, subject, reason and name")
    func errorText() {
        #expect(
            SystemError(operation: "open", subject: "/x", code: ENOENT).description
                == "open /x: No such file or directory (ENOENT)")
        #expect(SystemError(operation: "poll", subject: "", code: EINTR).description.hasPrefix("poll: "))
        #expect(SystemError(operation: "poll", subject: "", code: 9999).description == "poll: error 9999")
    }
}
