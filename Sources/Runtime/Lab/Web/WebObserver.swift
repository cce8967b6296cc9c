public import Basics
import CLinux
import Glibc
import LinuxSystem

/// Web clients that ask again and again until they are told to stop (SIGTERM), each with a log of its own.
public struct WebObserver: Sendable {
    /// An address and port.
    public var server: String
    /// The log of the client with number N is `LOG.N`, from 1 on.
    public var log: String
    public var clients = 1
    public var keepsCookie = true
    /// From one question to the next.
    public var pause = Interval.milliseconds(50)
    /// How long an answer is waited for.
    public var limit = Interval.milliseconds(250)

    public init(server: String, log: String) {
        self.server = server
        self.log = log
    }

    /// Asks until SIGTERM.
    public func run() throws(LabError) {
        clinux_lab_hold_stop_signals()
        var threads: [Running] = []
        for number in 1...max(1, clients) {
            let client = try WebClient(server: server, keepsCookie: keepsCookie)
            let path = "\(log).\(number)"
            let file = clinux_open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
            guard file >= 0 else { throw LabError("open \(path)", code: errno) }
            do throws(SystemError) {
                threads.append(
                    Running(
                        try SystemThread(name: "client") { [self] in
                            ask(client, file)
                            close(file)
                        }))
            } catch {
                throw LabError("\(error)")
            }
        }
        for thread in threads { thread.join() }
    }

    /// A thread that several are kept of.
    private final class Running {
        private var thread: SystemThread?
        init(_ thread: consuming SystemThread) { self.thread = consume thread }
        func join() { thread.take()?.join() }
    }

    private func ask(_ first: WebClient, _ file: Int32) {
        var client = first
        var next = LabClock.now()
        while clinux_lab_stop_requested() == 0 {
            let now = LabClock.now()
            if now < next { LabClock.nap(next.since(now)) }
            // After a stall nothing is asked twice.
            next = max(next + pause, LabClock.now())
            Self.note("?", file)
            guard let answer = client.ask(within: limit) else { continue }
            // An answer that is an error is no service.
            if answer.status == 200 { Self.note(answer.name, file) }
        }
    }

    private static func note(_ word: String, _ file: Int32) {
        let line = Array("\(clinux_boottime()) \(word)\n".utf8)
        _ = write(file, line, line.count)
    }
}
