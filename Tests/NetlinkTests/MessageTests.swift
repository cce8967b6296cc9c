import Basics
import Testing

@testable import Netlink

@Suite("Netlink messages")
struct MessageTests {
    @Test("nested attributes get their lengths and padding")
    func builds() {
        var message = NetlinkMessage(type: 0x14, flags: 5, sequence: 9)
        message.attribute(1, text: "ab")
        message.beginNested(3)
        message.attribute(4, network: UInt32(1))
        message.endNested()
        #expect(
            message.finished == [
                36, 0, 0, 0, 0x14, 0, 5, 0, 9, 0, 0, 0, 0, 0, 0, 0,
                7, 0, 1, 0, 0x61, 0x62, 0, 0,
                12, 0, 3, 0x80, 8, 0, 4, 0, 0, 0, 0, 1,
            ])
    }

    @Test("what is built is read back")
    func reads() throws {
        var message = NetlinkMessage(type: 20, flags: 2, sequence: 77)
        message.append([1, 2, 3, 4])
        message.attribute(3, text: "eth0")
        message.attribute(1, [9, 9])
        let replies = NetlinkReply.all(in: message.finished + message.finished)
        #expect(replies.count == 2)
        let reply = try #require(replies.first)
        #expect(reply.type == 20 && reply.sequence == 77)
        let attributes = reply.attributes(after: 4)
        #expect(NetlinkReply.text(attributes[3]) == "eth0")
        #expect(attributes[1] == [9, 9])
    }

    @Test("damaged lengths end the reading and never trap")
    func damaged() {
        var message = NetlinkMessage(type: 20, flags: 2, sequence: 77)
        message.append([1, 2, 3, 4])
        message.attribute(3, text: "eth0")
        let bytes = message.finished
        var generator = SeededGenerator(seed: 3549)
        for _ in 0..<5000 {
            var damaged = Array(bytes.prefix(1 + generator.below(bytes.count)))
            damaged[generator.below(damaged.count)] = UInt8(generator.below(256))
            for reply in NetlinkReply.all(in: damaged) {
                _ = reply.attributes(after: generator.below(40))
                _ = reply.errorCode
            }
        }
    }

    @Test("a group's name becomes a table's name that nft accepts")
    func tableNames() {
        #expect(KernelLease.tableName("files") == "tandem_files")
        #expect(KernelLease.tableName("a-b;c{é") == "tandem_a_b_c__")
    }
}
