import Basics
import Quorum
import Testing
import WireFormat

/// The message without the length before it, which must be right.
private func message(_ sent: [UInt8]) throws -> [UInt8] {
    let length = try WitnessMessage.length(prefix: Array(sent.prefix(4)))
    try #require(sent.count == 4 + length)
    return Array(sent.dropFirst(4))
}

private func requestError(_ bytes: [UInt8]) -> FrameError? {
    failure { () throws(FrameError) in _ = try WitnessRequest.decode(bytes) }
}

private func answerError(_ bytes: [UInt8]) -> FrameError? {
    failure { () throws(FrameError) in _ = try WitnessAnswer.decode(bytes) }
}

@Suite struct WitnessMessageTests {
    @Test("requests have the bytes of the table, both ways")
    func requests() throws {
        let record = "00*7 07 01 02 03 04 05 06 07 08 09 0A 0B 0C 0D 0E 0F 10 01 03 00*6 | record\n"
        let rows: [(WitnessRequest, String)] = [
            (
                Sample.requests[0],
                "00 00 00 20  01  00 02 00*4 | length, kind, version, features\n"
                    + "01 00*7 C1 00*7 31 00*7 32 | node, cluster, life"
            ),
            (Sample.requests[1], "00 00 00 07  02 05 66 69 6C 65 73"),
            (
                Sample.requests[2],
                "00 00 00 37  03 05 66 69 6C 65 73\n"
                    + "00*7 11 00*7 12 00*7 07 01 02 03 04 05 06 07 08 09 0A 0B 0C 0D 0E 0F 10\n"
                    + "01 01 01 02 01 00*3 | purpose, asker, holder, copies, restarted"
            ),
            (
                Sample.requests[3],
                "00 00 00 29  04 05 66 69 6C 65 73  00*7 09 00*7 07 | sequence, epoch\n"
                    + "01 02 03 04 05 06 07 08 09 0A 0B 0C 0D 0E 0F 10 01 00 | grant, heard peer, restarted"
            ),
            (Sample.requests[4], "00 00 00 23  05 01 66 " + record),
            (Sample.requests[6], "00 00 00 27  07 05 66 69 6C 65 73 " + record),
            (
                Sample.requests[7],
                "00 00 00 1F  08 05 66 69 6C 65 73\n"
                    + "00*7 07 01 02 03 04 05 06 07 08 09 0A 0B 0C 0D 0E 0F 10 | epoch, grant"
            ),
            (.list, "00 00 00 01  09"),
        ]
        for (request, bytes) in rows {
            #expect(request.encoded() == hex(bytes))
            #expect(try WitnessRequest.decode(try message(hex(bytes))) == request)
        }
    }

    @Test("answers have the bytes of the table, both ways")
    func answers() throws {
        let record = "00*7 07 01 02 03 04 05 06 07 08 09 0A 0B 0C 0D 0E 0F 10 01 03 00*6 | record\n"
        let rows: [(WitnessAnswer, String)] = [
            (.welcome(life: Mark(high: 1, low: 2)), "00 00 00 17  41 00 02 00*4 00*7 01 00*7 02"),
            (.record(group: "f", Sample.record), "00 00 00 24  42 01 66 01 " + record),
            (.record(group: "f", nil), "00 00 00 04  42 01 66 00"),
            (
                .answer(group: "f", identifier: .none, .granted(Sample.record)),
                "00 00 00 34  43 01 66 00*16 00 " + record
            ),
            (
                .answer(group: "f", identifier: .none, .refused(.leaseAlive, Sample.record)),
                "00 00 00 35  43 01 66 00*16 04 01 " + record
            ),
            (
                .answer(group: "f", identifier: .none, .refused(.noRecord, nil)),
                "00 00 00 15  43 01 66 00*16 06 00"
            ),
            (
                .renewed(group: "f", sequence: 9, confirmed: true, lease: .seconds(1)),
                "00 00 00 14  44 01 66 00*7 09 01 00 00 00 00 3B 9A CA 00"
            ),
            (.refusal(.wrongCluster, group: "", text: "no"), "00 00 00 06  45 02 00 02 6E 6F"),
            (
                .groups([WitnessGroup(name: "a", record: nil, isRolledBack: true)]),
                "00 00 00 07  46 00 01 01 61 01 00"
            ),
        ]
        for (answer, bytes) in rows {
            #expect(answer.encoded() == hex(bytes))
            #expect(try WitnessAnswer.decode(try message(hex(bytes))) == answer)
        }
    }

    @Test("every message comes back; every truncation and any byte after the end is refused")
    func everyMessage() throws {
        for request in Sample.requests {
            let bytes = try message(request.encoded())
            #expect(try WitnessRequest.decode(bytes) == request)
            for length in 0..<bytes.count { #expect(requestError(Array(bytes[..<length])) == .malformed) }
            #expect(requestError(bytes + [0]) == .malformed)
            #expect(answerError(bytes) != nil)
        }
        for answer in Sample.answers {
            let bytes = try message(answer.encoded())
            #expect(try WitnessAnswer.decode(bytes) == answer)
            for length in 0..<bytes.count { #expect(answerError(Array(bytes[..<length])) == .malformed) }
            #expect(answerError(bytes + [0]) == .malformed)
            #expect(requestError(bytes) != nil)
        }
    }

    @Test("the longest list of groups fits a message, and a longer count is refused")
    func longestList() throws {
        let name = String(repeating: "x", count: 60)
        let groups = (0..<WitnessMessage.groupMaximum).map {
            WitnessGroup(name: name + String($0 + 1000), record: Sample.record, isRolledBack: false)
        }
        let bytes = try message(WitnessAnswer.groups(groups).encoded())
        #expect(try WitnessAnswer.decode(bytes) == .groups(groups))
        #expect(answerError(hex("46 04 01")) == .tooLong(found: 1025, maximum: 1024))
    }

    @Test("a length of nothing or beyond the maximum is refused before anything is read for it")
    func lengths() {
        func error(_ prefix: [UInt8]) -> FrameError? {
            failure { () throws(FrameError) in _ = try WitnessMessage.length(prefix: prefix) }
        }
        #expect(error(hex("00 02 00 00")) == nil)
        #expect(error(hex("00 02 00 01")) == .tooLong(found: 131073, maximum: 131072))
        #expect(error(hex("00*4")) == .malformed)
        #expect(error(hex("00*3")) == .malformed)
    }

    @Test("a group's name is 1 to 64 bytes that can name a file")
    func names() {
        for name in ["a", "files", "ü", "a b", String(repeating: "é", count: 32)] {
            #expect(WitnessMessage.isValid(groupName: name))
        }
        for name in ["", ".", "..", ".a", "a/b", "a\n", "a\0", "\u{7F}", String(repeating: "x", count: 65)] {
            #expect(!WitnessMessage.isValid(groupName: name))
            let bytes = [2, UInt8(name.utf8.count)] + Array(name.utf8)
            #expect(requestError(bytes) == .malformed)
        }
        #expect(requestError(hex("02 02 C3 28")) == .malformed)
    }

    @Test("a session of another version or with unknown features is refused with both numbers")
    func negotiation() {
        let version = FrameError.unsupportedVersion(theirs: 3, ours: 2)
        let features = FrameError.unsupportedFeatures(theirs: 16, ours: 0)
        #expect(requestError(hex("01 00 03 00*4")) == version)
        #expect(answerError(hex("41 00 03 00*4")) == version)
        #expect(requestError(hex("01 00 02 00*3 10")) == features)
        #expect(answerError(hex("41 00 02 00*3 10")) == features)
        #expect(requestError([0]) == .unknownKind(0))
        #expect(requestError([10]) == .unknownKind(10))
        #expect(answerError([71]) == .unknownKind(71))
    }

    @Test("a refusal's text is cut to whole characters that fit")
    func longText() throws {
        let sent = WitnessAnswer.refusal(.malformed, group: "", text: String(repeating: "é", count: 200))
        let read = try WitnessAnswer.decode(try message(sent.encoded()))
        #expect(read == .refusal(.malformed, group: "", text: String(repeating: "é", count: 127)))
    }
}
