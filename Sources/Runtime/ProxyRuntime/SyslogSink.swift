import Glibc
import LinuxSystem
import Telemetry

/// Lines of the access log as datagrams of syslog. It never blocks: a line that is not taken at once is lost and
/// counted, because a log that nobody takes stops no request.
final class SyslogSink {
    /// Who takes them.
    enum Target {
        /// The machine's own, in the form that HAProxy writes there (RFC 3164, without a host).
        case local(path: String)
        /// Another machine's, over UDP (RFC 5424).
        case server(SocketAddress)
    }

    /// Facility local0, severity info: what HAProxy's examples use.
    private static let priority = 16 * 8 + 6

    private final class OpenSocket {
        let socket: DatagramSocket
        init(_ socket: consuming DatagramSocket) { self.socket = socket }
    }

    private let target: Target
    private let machine: String
    private let process: Int32
    private var socket: OpenSocket?
    /// Lines that were not taken.
    private(set) var lost: UInt64 = 0

    init(_ target: Target, machine: String, process: Int32 = getpid()) {
        self.target = target
        // RFC 5424 6.2.4: printable, no spaces; "-" where there is none.
        self.machine = machine.isEmpty ? "-" : machine
        self.process = process
    }

    /// Sends each line of `lines`, which all have an end.
    func send(_ lines: [UInt8], at time: WallTime) {
        let header = self.header(at: time)
        for line in lines.split(separator: 0x0A) {
            // Who was away is looked for once a line, until it is back: one connect(2) that fails at once.
            if !send(header + line) { lost += 1 }
        }
    }

    private func send(_ datagram: [UInt8]) -> Bool {
        // An error may be an earlier datagram's, or mean a new socket at the old path: tried once more.
        for _ in 0..<2 {
            do throws(SystemError) {
                let open: OpenSocket
                if let socket { open = socket } else { open = OpenSocket(try opened()) }
                socket = open
                try open.socket.send(datagram)
                return true
            } catch {
                if error.code == EAGAIN || error.code == ENOBUFS { return false }
                socket = nil
            }
        }
        return false
    }

    private func opened() throws(SystemError) -> DatagramSocket {
        switch target {
        case .local(let path): try DatagramSocket.sending(toUnixPath: path)
        case .server(let address): try DatagramSocket.sending(to: address)
        }
    }

    /// What stands before a line.
    func header(at time: WallTime) -> [UInt8] {
        switch target {
        case .local: Array("<\(Self.priority)>\(Self.localTime(time)) tandem[\(process)]: ".utf8)
        case .server: Array("<\(Self.priority)>1 \(time) \(machine) tandem \(process) - - ".utf8)
        }
    }

    /// "Nov  1 06:00:05", in the machine's own zone, as RFC 3164 has it.
    private static func localTime(_ time: WallTime) -> String {
        var seconds = time_t(time.seconds)
        var parts = tm()
        guard localtime_r(&seconds, &parts) != nil, (0..<12).contains(parts.tm_mon) else {
            return "Jan  1 00:00:00"
        }
        let months = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ]
        func two(_ number: Int32, _ fill: String = "0") -> String {
            number < 10 ? "\(fill)\(number)" : "\(number)"
        }
        return "\(months[Int(parts.tm_mon)]) \(two(parts.tm_mday, " ")) "
            + "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))"
    }
}
