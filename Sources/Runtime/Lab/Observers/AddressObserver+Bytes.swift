public import Basics
import CLinux
import Glibc

/// Watches an address from outside until it is told to stop (SIGTERM), and logs each question and each
/// answer.
public enum AddressObserver {
    /// Pings the address, as a client that wants to be served.
    public static func ping(_ address: String, every pause: Interval, log: String) throws(LabError) {
        let target = try parse(address)
        let file = try openLog(log)
        let socket = clinux_lab_icmp_socket()
        guard socket >= 0 else { throw LabError("raw socket", code: errno) }
        let identifier = UInt16(truncatingIfNeeded: getpid())
        var sequence: UInt16 = 0
        loop(every: pause, socket: socket) {
            sequence &+= 1
            // An unreachable network is what is to be seen: no answer.
            _ = clinux_lab_icmp_ask(socket, target, identifier, sequence)
            note("?", file)
        } answers: {
            while clinux_lab_icmp_next(socket, identifier) >= 0 { note("answer", file) }
        }
        close(socket)
        close(file)
    }

    /// Asks on one link who has the address, and logs the hardware address of each that claims it.
    public static func whoHas(
        _ address: String, link: String, every pause: Interval, log: String
    ) throws(LabError) {
        let target = try parse(address)
        let file = try openLog(log)
        var index: UInt32 = 0
        var own = [UInt8](repeating: 0, count: 6)
        let socket = clinux_lab_arp_socket(link, &index, &own)
        guard socket >= 0 else { throw LabError("packet socket on \(link)", code: errno) }
        loop(every: pause, socket: socket) {
            if clinux_lab_arp_ask(socket, index, own, target) == 0 { note("?", file) }
        } answers: {
            var sender = [UInt8](repeating: 0, count: 6)
            var claimed: UInt32 = 0
            while clinux_lab_arp_next(socket, &sender, &claimed) == 1 {
                guard claimed == target else { continue }
                note(sender.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: ":"), file)
            }
        }
        close(socket)
        close(file)
    }

    private static func loop(every pause: Interval, socket: Int32, ask: () -> Void, answers: () -> Void) {
        clinux_lab_hold_stop_signals()
        var next = LabClock.now()
        while clinux_lab_stop_requested() == 0 {
            let now = LabClock.now()
            if now >= next {
                ask()
                // After a stall of this observer nothing is asked twice.
                next = max(next + pause, now)
            }
            var entry = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
            clinux_poll(&entry, 1, next.since(LabClock.now()).nanoseconds)
            answers()
        }
    }

    private static func note(_ word: String, _ file: Int32) {
        let line = Array("\(clinux_boottime()) \(word)\n".utf8)
        _ = write(file, line, line.count)
    }

    private static func openLog(_ path: String) throws(LabError) -> Int32 {
        let file = clinux_open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw LabError("open \(path)", code: errno) }
        return file
    }

    private static func parse(_ address: String) throws(LabError) -> UInt32 {
        var form = in_addr()
        guard inet_pton(AF_INET, address, &form) == 1 else {
            throw LabError("'\(address)' is no IPv4 address")
        }
        return form.s_addr
    }
}
