import LinuxSystem
import Testing

@testable import SecureChannel

@Suite("Two ends that hold one key")
struct SecureChannelTests {
    @Test("shake hands, know each other and pass bytes both ways", arguments: CipherSuite.allCases)
    func handshake(suite: CipherSuite) throws {
        let pair = try ChannelPair(
            server: [testKey(client: "node3"), testKey(client: "node1")], suite: suite)
        #expect(pair.server.identity == nil)
        try pair.establish()
        #expect(pair.server.identity == "lab/test/node1/node2")
        #expect(pair.client.identity == "lab/test/node1/node2")
        #expect(try pair.client.write(Array("ping".utf8)))
        #expect(try pair.server.write(Array("pong".utf8)))
        let errors = pair.pump()
        #expect(errors.client == nil && errors.server == nil)
        #expect(pair.server.opened == Array("ping".utf8))
        #expect(pair.client.opened == Array("pong".utf8))
    }

    @Test("the plaintext does not show on the wire")
    func confidential() throws {
        let pair = try ChannelPair()
        try pair.establish()
        let text = Array("the plaintext that nobody may see".utf8)
        #expect(try pair.client.write(text))
        let wire = Array(pair.client.pending)
        #expect(!wire.indices.dropLast(text.count).contains { Array(wire[$0..<$0 + 8]) == Array(text[..<8]) })
        #expect(wire.count == text.count + 22)
    }

    @Test(
        "any cut of the cable's bytes is bridged, down to one byte at a time",
        arguments: [1, 2, 3, 7, 64, 1000])
    func pieces(piece: Int) throws {
        let pair = try ChannelPair()
        pair.piece = piece
        try pair.establish()
        let message = randomBytes(3000)
        #expect(try pair.client.write(message))
        #expect(try pair.server.write(message))
        let errors = pair.pump()
        #expect(errors.client == nil && errors.server == nil)
        #expect(pair.server.opened == message)
        #expect(pair.client.opened == message)
    }

    @Test("a record cut at each of its bytes is opened when its rest has come, not before")
    func everySplit() throws {
        let pair = try ChannelPair()
        try pair.establish()
        let message = randomBytes(40)
        for split in 1..<62 {
            #expect(try pair.client.write(message))
            let wire = Array(pair.client.pending)
            try #require(wire.count == 62)
            pair.client.consume(wire.count)
            #expect(pair.server.receive(wire[..<split]) == split)
            #expect(try pair.server.readAll().isEmpty)
            #expect(pair.server.receive(wire[split...]) == 62 - split)
            #expect(try pair.server.readAll() == message)
        }
    }

    @Test("writes of 1 byte to 1 MiB arrive whole and in order, and fit the room that was asked for")
    func sizes() throws {
        let pair = try ChannelPair(size: 1 << 21)
        try pair.establish()
        for size in [1, 2, 15, 16383, 16384, 16385, 4096 + 32, 65536 + 32, 1 << 20, (1 << 20) + 32] {
            let message = randomBytes(size)
            let records = (size + 16383) / 16384
            let before = (pair.client.recordsSealed, pair.server.recordsOpened)
            #expect(pair.client.hasRoom(for: size))
            #expect(try pair.client.write(message))
            let sealed = pair.client.pending.count
            #expect(sealed == size + 22 * records)
            #expect(sealed <= SecureChannel.sealedSize(of: size))
            let errors = pair.pump()
            #expect(errors.client == nil && errors.server == nil)
            #expect(pair.server.opened == message)
            #expect(pair.client.recordsSealed == before.0 + UInt64(records))
            #expect(pair.server.recordsOpened == before.1 + UInt64(records))
            pair.server.opened = []
        }
    }

    @Test("many writes lie ready for one send; without room nothing is taken, with room it goes on")
    func fullOutput() throws {
        let pair = try ChannelPair(size: 1 << 16)
        try pair.establish()
        let message = randomBytes(4128)
        var expected: [UInt8] = []
        while try pair.client.write(message) { expected += message }
        let full = pair.client.pending.count
        #expect(expected.count == 15 * 4128)
        #expect(try !pair.client.write(message))
        #expect(pair.client.pending.count == full)
        for _ in 0..<50 {
            // The room comes back piece by piece, and the queue runs over its end again and again.
            let part = Array(pair.client.pending.prefix(5000))
            let taken = pair.server.receive(part)
            pair.client.consume(taken)
            pair.server.opened += try pair.server.readAll(chunk: 1000)
            while try pair.client.write(message) { expected += message }
        }
        let errors = pair.pump()
        #expect(errors.client == nil && errors.server == nil)
        #expect(pair.server.opened == expected)
    }

    @Test("a write before the handshake is refused, nothing is taken")
    func early() throws {
        let pair = try ChannelPair()
        #expect(try !pair.client.write([1]))
        #expect(!pair.client.hasRoom(for: 1))
        #expect(pair.client.pending.isEmpty)
    }

    @Test("a region that was given out for a receive stays good while records are opened")
    func receiveInFlight() throws {
        let pair = try ChannelPair()
        try pair.establish()
        #expect(try pair.client.write([1, 2, 3]))
        #expect(try pair.client.write([4, 5, 6]))
        let wire = Array(pair.client.pending)
        #expect(pair.server.receive(wire[..<25]) == 25)
        try pair.server.receiving(Array(wire[25...])) { () throws -> Void in
            #expect(try pair.server.readAll() == [1, 2, 3])
        }
        #expect(try pair.server.readAll() == [4, 5, 6])
    }

    @Test(
        "keys change by count and on demand, both ways, with data before and after",
        arguments: CipherSuite.allCases)
    func keyUpdate(suite: CipherSuite) throws {
        let pair = try ChannelPair(suite: suite, recordsPerKey: 3)
        try pair.establish()
        var expected: [UInt8] = []
        for round in 0..<40 {
            let message = randomBytes(round * 700 + 1)
            expected += message
            if round % 7 == 0 {
                try pair.client.updateKey()
                try pair.server.updateKey()
            }
            #expect(try pair.client.write(message))
            #expect(try pair.server.write(message))
            let errors = pair.pump()
            #expect(errors.client == nil && errors.server == nil)
        }
        #expect(pair.server.opened == expected)
        #expect(pair.client.opened == expected)
        // 40 writes of 1 to 2 records, and a record for each key update.
        #expect(pair.client.recordsSealed > 40 + 13)
        #expect(pair.client.recordsSealed == pair.server.recordsOpened)
    }

    @Test("the key changes when its count of records is reached, and not before")
    func keyUpdateByCount() throws {
        let pair = try ChannelPair(recordsPerKey: 10)
        try pair.establish()
        let before = pair.client.recordsSealed
        for _ in 0..<90 {
            #expect(try pair.client.write([1]))
            let errors = pair.pump()
            #expect(errors.client == nil && errors.server == nil)
        }
        // Each tenth record, about, is the key update itself.
        #expect((9...11).contains(pair.client.recordsSealed - before - 90))
        let patient = try ChannelPair()
        try patient.establish()
        let start = patient.client.recordsSealed
        for _ in 0..<90 { #expect(try patient.client.write([1])) }
        #expect(patient.client.recordsSealed == start + 90)
    }

    @Test("a token is the same at both ends, another for each label and each connection")
    func token() throws {
        let pair = try ChannelPair()
        #expect(throws: SecureChannelError.failed("a token needs an established connection")) {
            try pair.client.exportToken("EXPORTER-tandem-data")
        }
        try pair.establish()
        let token = try pair.client.exportToken("EXPORTER-tandem-data")
        #expect(token.count == 32)
        #expect(try pair.server.exportToken("EXPORTER-tandem-data") == token)
        #expect(try pair.server.exportToken("EXPORTER-tandem-other") != token)
        let other = try ChannelPair()
        try other.establish()
        #expect(try other.client.exportToken("EXPORTER-tandem-data") != token)
    }

    @Test("a good-bye is told apart from a cut, and what came before either is read first")
    func endings() throws {
        let polite = try ChannelPair()
        try polite.establish()
        #expect(try polite.client.write([1, 2, 3]))
        polite.client.close()
        #expect(polite.pump().server == .closed)
        #expect(polite.server.opened == [1, 2, 3])

        let cut = try ChannelPair()
        try cut.establish()
        #expect(try cut.client.write([1, 2, 3]))
        #expect(try cut.client.write([4, 5, 6]))
        cut.tamper = { $0.removeLast() }
        #expect(cut.pump().server == nil)
        cut.server.receivedEnd()
        #expect(throws: SecureChannelError.cut) { try cut.server.readAll() }
        #expect(cut.server.opened == [1, 2, 3])
    }
}
