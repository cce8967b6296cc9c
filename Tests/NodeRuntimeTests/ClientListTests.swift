import Basics
import Netlink
@testable import NodeRuntime
import Testing

@Suite("The connections of NFS clients")
struct ClientListTests {
    private static let address = IPv4Address(192, 168, 56, 100)

    private static func connection(_ host: UInt8, _ port: UInt16, to local: UInt16 = 2049) -> TCPConnection {
        TCPConnection(
            local: address, localPort: local, remote: IPv4Address(192, 168, 56, host), remotePort: port)
    }

    @Test("the list holds the server's connections alone, in one order, and is read back as it was")
    func roundTrip() {
        let all = [
            Self.connection(14, 900), Self.connection(13, 749), Self.connection(13, 40000, to: 22),
            Self.connection(14, 901, to: 32803),
        ]
        let text = ClientList.text(all)
        #expect(text == "192.168.56.13:749\n192.168.56.14:900\n192.168.56.14:901:32803\n")
        #expect(
            ClientList.parse(text, of: Self.address) == [
                Self.connection(13, 749), Self.connection(14, 900), Self.connection(14, 901, to: 32803),
            ])
    }

    @Test("lines that are no connection are left out, and no list is an empty one")
    func damaged() {
        let text = "192.168.56.13:749\n192.168.56.13\nx:1\n192.168.56.13:99999\n192.168.56.13:7:22\n:::\n\n"
        #expect(ClientList.parse(text, of: Self.address) == [Self.connection(13, 749)])
        #expect(ClientList.known(in: "/nowhere", of: Self.address).isEmpty)
    }
}
