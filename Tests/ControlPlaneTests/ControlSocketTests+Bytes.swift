import Basics
import ControlPlane
import Glibc
import LinuxSystem
import Synchronization
import Telemetry
import Testing

/// Where tests make their directories; short enough for a Unix socket's path.
private let temporary = getenv("TMPDIR").map { String(cString: $0) } ?? P_tmpdir

/// Answers every request with its own verb, "later" on another thread, "never" not at all.
private final class Echo: ControlHandler {
    func handle(_ request: ControlRequest, reply: @escaping @Sendable (ControlReply) -> Void) {
        switch request.verb {
        case "never": break
        case "refuse": reply(.refused("no, because \(request.group ?? "nobody")"))
        case "later":
            do {
                let thread = try SystemThread(name: "later") { reply(.done("later")) }
                thread.join()
            } catch {
                reply(.refused("\(error)"))
            }
        default: reply(.done(request.verb, body: .array(request.arguments.map { .string($0) })))
        }
    }
}

/// A server on a path of its own for the length of a test.
private func withServer(_ body: (_ path: String, _ journal: Journal) throws -> Void) throws {
    let path = "\(temporary)/tandem-control-\(getpid())-\(UInt32.random(in: 0...UInt32.max))/run/control"
    let journal = Journal(logger: nil)
    let server = try ControlServer(path: path, journal: journal, handler: Echo())
    let thread = try SystemThread(name: "control") { server.run() }
    let outcome = Result { try body(path, journal) }
    server.stop()
    thread.join()
    try outcome.get()
}

private func removeDirectories(of path: String) {
    let parts = path.split(separator: "/")
    unlink(path)
    rmdir("/" + parts.dropLast().joined(separator: "/"))
    rmdir("/" + parts.dropLast(2).joined(separator: "/"))
}

private func soon() -> Instant { .now() + .seconds(10) }

@Suite("The control socket")
struct ControlSocketTests {
    @Test("a request is answered, and its socket is for its owner alone")
    func answer() throws {
        var used = ""
        try withServer { path, _ in
            used = path
            let request = ControlRequest(verb: "hello", group: "files", arguments: ["a", "b c"])
            let reply = try ControlClient.call(path, request, deadline: soon())
            #expect(reply == .done("hello", body: ["a", "b c"]))
            #expect(
                try ControlClient.call(path, ControlRequest(verb: "refuse", group: "x"), deadline: soon())
                    == .refused("no, because x"))
            #expect(
                try ControlClient.call(path, ControlRequest(verb: "later"), deadline: soon()).message
                    == "later")
            var status = stat()
            #expect(stat(path, &status) == 0)
            #expect(status.st_mode & 0o777 == 0o600)
        }
        removeDirectories(of: used)
    }

    @Test("no answer in time is an error, and the server goes on")
    func silence() throws {
        var used = ""
        try withServer { path, _ in
            used = path
            #expect(throws: ControlError.timedOut(path: path)) {
                try ControlClient.call(
                    path, ControlRequest(verb: "never"), deadline: .now() + .milliseconds(50))
            }
            let reply = try ControlClient.call(path, ControlRequest(verb: "yes"), deadline: soon())
            #expect(reply.isOK)
        }
        removeDirectories(of: used)
    }

    @Test("a second server on one path is refused, and the first one goes on")
    func second() throws {
        var used = ""
        try withServer { path, journal in
            used = path
            #expect(throws: ControlError.alreadyRunning(path: path)) {
                _ = try ControlServer(path: path, journal: journal, handler: Echo())
            }
            let reply = try ControlClient.call(path, ControlRequest(verb: "yes"), deadline: soon())
            #expect(reply.isOK)
        }
        removeDirectories(of: used)
    }

    @Test("the socket of a dead process is replaced; nobody there is said so")
    func stale() throws {
        let path = "\(temporary)/tandem-stale-\(getpid()).sock"
        let socket = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        #expect(socket >= 0)
        var form = sockaddr_un()
        form.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &form.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let bound = withUnsafePointer(to: &form) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        #expect(bound == 0)
        close(socket)
        #expect(throws: ControlError.notRunning(path: path)) {
            try ControlClient.call(path, ControlRequest(verb: "yes"), deadline: soon())
        }
        let journal = Journal(logger: nil)
        do {
            let server = try ControlServer(path: path, journal: journal, handler: Echo())
            let thread = try SystemThread(name: "control") { server.run() }
            let reply = try ControlClient.call(path, ControlRequest(verb: "yes"), deadline: soon())
            #expect(reply.isOK)
            server.stop()
            thread.join()
        }
        #expect(access(path, F_OK) != 0)
    }

    @Test("events are answered from the journal, and followed as they come")
    func events() throws {
        var used = ""
        try withServer { path, journal in
            used = path
            journal.record("first", ["key": "value"])
            var names: [String] = []
            try ControlClient.follow(
                path, ControlRequest(verb: "events", arguments: ["follow"]), deadline: soon()
            ) { reply in
                names += reply.body.elements.compactMap { $0["name"].string }
                if names == ["first"] { journal.record("second") }
                return names.count < 2
            }
            #expect(names == ["first", "second"])
        }
        removeDirectories(of: used)
    }

    @Test("a line that is no request is refused, and one that never ends costs only its own connection")
    func garbage() throws {
        var used = ""
        try withServer { path, _ in
            used = path
            let stream = try SocketStream.connected(toUnixPath: path)
            #expect(try talk(stream, Array("what?\n".utf8)).contains("not a request"))
            let endless = try SocketStream.connected(toUnixPath: path)
            let text = [UInt8](repeating: 0x61, count: ControlRequest.lineMaximum + 70000)
            #expect(try talk(endless, text).isEmpty)
            let reply = try ControlClient.call(path, ControlRequest(verb: "yes"), deadline: soon())
            #expect(reply.isOK)
        }
        removeDirectories(of: used)
    }

    /// Sends, and returns what comes until a line end or the end.
    private func talk(_ stream: borrowing SocketStream, _ bytes: [UInt8]) throws -> String {
        var rest = bytes[...]
        var came: [UInt8] = []
        while true {
            var poll = PollSet()
            poll.add(stream.descriptor.raw, rest.isEmpty ? .readable : [.readable, .writable])
            guard try poll.wait(until: soon()) > 0 else { return "no answer" }
            if poll.ready(at: 0).contains(.writable), !rest.isEmpty {
                do {
                    if case .moved(let count) = try stream.write(rest) { rest = rest.dropFirst(count) }
                } catch {
                    return String(decoding: came, as: UTF8.self)
                }
            }
            do {
                let transfer = try stream.read(appendingTo: &came, limit: 4096)
                if transfer == .ended || came.last == 0x0A { return String(decoding: came, as: UTF8.self) }
            } catch {
                return String(decoding: came, as: UTF8.self)
            }
        }
    }
}
