import Basics
@testable import Netlink
import Testing

@Suite("Tickles")
struct ConnectionTickleTests {
    @Test("a tickle is a bare acknowledgement from the served port, with a checksum that holds")
    func packet() {
        let connection = TCPConnection(
            local: IPv4Address(192, 168, 56, 100), localPort: 2049, remote: IPv4Address(192, 168, 56, 13),
            remotePort: 749)
        let packet = ConnectionTickle.packet(connection)
        #expect(packet.count == 40)
        #expect(packet[9] == 6)
        #expect(Array(packet[12..<20]) == [192, 168, 56, 100, 192, 168, 56, 13])
        #expect(Array(packet[20..<24]) == [0x08, 0x01, 0x02, 0xED])
        // ACK alone: no SYN, FIN or RST.
        #expect(packet[33] == 0x10)
        let pseudo = Array(packet[12..<20]) + [0, 6, 0, 20]
        #expect(ConnectionTickle.checksum(pseudo + packet[20...]) == 0)
    }
}
