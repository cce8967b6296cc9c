import Basics
import CLinux
import Glibc
import LinuxSystem

/// A web server that answers every request with its name: for machines without one of the distribution.
public enum WebOrigin {
    /// Serves on "ADDRESS:PORT" until SIGTERM.
    public static func run(on text: String, name: String) throws(LabError) {
        guard let address = SocketAddress(text) else { throw LabError("'\(text)' is no address and port") }
        clinux_lab_hold_stop_signals()
        do throws(SystemError) {
            let listener = try SocketListener(tcp: address)
            while clinux_lab_stop_requested() == 0 {
                var poll = PollSet()
                poll.add(listener.descriptor.raw, .readable)
                try poll.wait(until: .now() + .milliseconds(200))
                while let stream = try listener.accept() {
                    // A client that goes away is no reason to end.
                    _ = Result { () throws(SystemError) in try answer(stream, name) }
                }
            }
        } catch {
            throw LabError("\(error)")
        }
    }

    /// One request a connection, as the lab's clients and the proxy's checks send it: a head without a body.
    private static func answer(_ stream: borrowing SocketStream, _ name: String) throws(SystemError) {
        let deadline = Instant.now() + .seconds(1)
        var request: [UInt8] = []
        var poll = PollSet()
        poll.add(stream.descriptor.raw, .readable)
        while !request.suffix(4).elementsEqual([13, 10, 13, 10]) {
            switch try stream.read(appendingTo: &request, limit: 2048) {
            case .moved: break
            case .ended: return
            case .wouldBlock: guard try poll.wait(until: deadline) > 0 else { return }
            }
        }
        let body = name + "\n"
        let head = "HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\nConnection: close\r\n\r\n"
        // Shorter than any socket's buffer.
        _ = try stream.write(Array((head + body).utf8)[...])
    }
}
