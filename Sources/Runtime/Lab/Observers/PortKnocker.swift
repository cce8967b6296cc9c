public import Basics
import CLinux
import Glibc

/// Connects to a port again and again, and logs what came of it: who answers an address before its server runs is found
/// by a connection that is refused.
public struct PortKnocker: Sendable {
    public var address: String
    public var port: UInt16
    /// Where each answer goes: `MILLISECONDS CODE`, 0 for a connection, else an errno.
    public var log: String
    public var pause: Interval

    public init(address: String, port: UInt16, log: String, pause: Interval) {
        self.address = address
        self.port = port
        self.log = log
        self.pause = pause
    }

    /// Knocks until SIGTERM.
    public func run() throws(LabError) {
        clinux_lab_hold_stop_signals()
        let report = clinux_open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o644)
        guard report >= 0 else { throw LabError("open \(log)", code: errno) }
        defer { close(report) }
        while clinux_lab_stop_requested() == 0 {
            let begin = LabClock.now()
            let (socket, code) = try BlockingSocket.connect(address, port, milliseconds: 200)
            if let socket { close(socket) }
            let bytes = Array("\(LabClock.now().since(begin).wholeMilliseconds) \(code)\n".utf8)
            _ = write(report, bytes, bytes.count)
            LabClock.nap(pause)
        }
    }

    /// How many answers of a log were a connection, and how many were refused.
    public static func count(_ log: String) -> (connected: Int, refused: Int) {
        let codes = log.split(separator: "\n").compactMap { $0.split(separator: " ").last }
        return (codes.count { $0 == "0" }, codes.count { $0 == "\(ECONNREFUSED)" })
    }
}
