import Basics
import Testing

@testable import NodeRuntime

@Suite("messages between nodes")
struct NodeMessageTests {
    static let samples: [PeerMessage] = [
        .orders(group: "web", text: "tandem proxy admin 1\nweb web1 drain turn 3\nend\n"),
        .hello(version: 1, node: .second, settings: 0x0123_4567_89AB_CDEF, life: Mark(high: 1, low: 2)),
        .lines(["cluster = test", "lease = normal"]),
        .sign(
            PeerSign(
                group: "files", isServing: true, isPromotable: false, isHeld: true, epoch: 7,
                grant: Mark(high: 3, low: 4), sequence: 99, isComplete: true, isBlocked: false)),
        .confirmed(group: "files", sequence: 12), .resigned(group: "files"),
        .token(group: "files", Mark(high: 5, low: 6)), .tokenTaken(group: "files"),
        .wanted(group: "files"), .offered(group: "files"), .failed(group: "files", text: "busy"),
    ]

    @Test("each message comes back as it was sent", arguments: samples)
    func roundTrip(_ message: PeerMessage) {
        #expect(PeerMessage(message.encoded) == message)
    }

    @Test("each message has the number of Docs/Formats/session.md, and the session its version")
    func numbers() {
        #expect(Self.samples.map { $0.encoded[0] } == [11, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
        #expect(PeerMessage.version == 3)
    }

    @Test("bytes that are cut, or too many, are no message", arguments: samples)
    func damaged(_ message: PeerMessage) {
        let bytes = message.encoded
        if case .lines = message {
            #expect(PeerMessage(Array(bytes.dropLast())) == nil)
            return
        }
        for count in 0..<bytes.count { #expect(PeerMessage(Array(bytes[..<count])) == nil) }
        #expect(PeerMessage(bytes + [0]) == nil)
    }

    @Test("random bytes are read without a fault")
    func random() {
        var generator = SeededGenerator(seed: 41)
        for _ in 0..<20_000 {
            let bytes = (0..<generator.below(80)).map { _ in UInt8(generator.below(256)) }
            _ = PeerMessage(bytes)
        }
    }
}
