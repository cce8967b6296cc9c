public import Basics
import Glibc
import LinuxSystem

/// Asks the local daemon over its control socket. Blocks, with a deadline.
public enum ControlClient {
    /// One request and its one answer.
    public static func call(
        _ path: String, _ request: ControlRequest, deadline: Instant
    ) throws(ControlError) -> ControlReply {
        var answer: ControlReply?
        try follow(path, request, deadline: deadline) { reply in
            answer = reply
            return false
        }
        guard let answer else { throw .ended(path: path) }
        return answer
    }

    /// One request and every answer to it, until `body` returns false or the deadline.
    public static func follow(
        _ path: String, _ request: ControlRequest, deadline: Instant, _ body: (ControlReply) -> Bool
    ) throws(ControlError) {
        let stream = try connect(path)
        try send(Array((request.line + "\n").utf8), to: stream, path, deadline)
        var line: [UInt8] = []
        while true {
            var piece: [UInt8] = []
            let transfer: SocketTransfer
            do { transfer = try stream.read(appendingTo: &piece, limit: 65536) } catch {
                throw .ended(path: path)
            }
            switch transfer {
            case .ended: throw .ended(path: path)
            case .wouldBlock: try wait(stream, .readable, path, deadline)
            case .moved:
                for byte in piece {
                    guard byte == 0x0A else {
                        line.append(byte)
                        continue
                    }
                    guard let reply = ControlReply(line: line) else { throw .malformed(path: path) }
                    if !body(reply) { return }
                    line.removeAll()
                }
                guard line.count <= ControlReply.lineMaximum else { throw .malformed(path: path) }
            }
        }
    }

    private static func connect(_ path: String) throws(ControlError) -> SocketStream {
        do {
            return try SocketStream.connected(toUnixPath: path)
        } catch {
            switch error.code {
            case ENOENT, ECONNREFUSED, ENOTDIR: throw .notRunning(path: path)
            case EACCES, EPERM: throw .notPermitted(path: path)
            default: throw .system(error)
            }
        }
    }

    private static func send(
        _ bytes: [UInt8], to stream: borrowing SocketStream, _ path: String, _ deadline: Instant
    ) throws(ControlError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let transfer: SocketTransfer
            do { transfer = try stream.write(rest) } catch { throw .ended(path: path) }
            if case .moved(let count) = transfer {
                rest = rest.dropFirst(count)
            } else {
                try wait(stream, .writable, path, deadline)
            }
        }
    }

    private static func wait(
        _ stream: borrowing SocketStream, _ interest: PollEvents, _ path: String, _ deadline: Instant
    ) throws(ControlError) {
        var poll = PollSet()
        poll.add(stream.descriptor.raw, interest)
        let ready: Int
        do { ready = try poll.wait(until: deadline) } catch { throw .system(error) }
        guard ready > 0 else { throw .timedOut(path: path) }
    }
}
