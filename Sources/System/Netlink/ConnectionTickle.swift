import Basics
import CLinux
public import LinuxSystem

/// A bare acknowledgement in the name of a connection's local end, sent to its remote end.
///
/// For a server that took over an address: the remote machine answers out of turn, the kernel here knows no such
/// connection and resets it, and the client connects anew at once instead of at its next, doubled repetition.
public enum ConnectionTickle {
    /// Sends one. The local address must be this machine's. Needs CAP_NET_RAW.
    public static func send(_ connection: TCPConnection) throws(SystemError) {
        let packet = packet(connection)
        let code = clinux_send_raw(connection.remote.rawValue.bigEndian, packet, packet.count)
        guard code == 0 else {
            throw SystemError(operation: "tickle", subject: "\(connection.remote)", code: code)
        }
    }

    /// An IPv4 header and a TCP header, with sequence numbers that fit no connection.
    static func packet(_ connection: TCPConnection) -> [UInt8] {
        let source = connection.local.bytes
        let destination = connection.remote.bytes
        func pair(_ value: UInt16) -> [UInt8] { [UInt8(value >> 8), UInt8(value & 0xFF)] }
        var segment = pair(connection.localPort) + pair(connection.remotePort)
        // Sequence and acknowledgement 0, five words long, ACK alone, a small window, checksum and urgent 0.
        segment += [0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x10] + pair(1234) + [0, 0, 0, 0]
        let pseudo = source + destination + [0, 6] + pair(UInt16(segment.count))
        segment.replaceSubrange(16..<18, with: pair(checksum(pseudo + segment)))
        // Version 4 and five words, 40 bytes, TTL 64, TCP; the kernel fills in identifier and checksum.
        return [0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0] + source + destination + segment
    }

    /// The Internet checksum of an even number of bytes.
    static func checksum(_ bytes: [UInt8]) -> UInt16 {
        var sum: UInt32 = 0
        for index in stride(from: 0, to: bytes.count - 1, by: 2) {
            sum += UInt32(bytes[index]) << 8 | UInt32(bytes[index + 1])
        }
        while sum > 0xFFFF { sum = (sum & 0xFFFF) + (sum >> 16) }
        return ~UInt16(sum)
    }
}
