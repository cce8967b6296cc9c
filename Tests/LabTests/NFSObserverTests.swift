import Basics
import Glibc
@testable import Lab
import Testing

/// A directory that is gone afterwards.
private func withTemporaryDirectory<Result>(_ body: (String) throws -> Result) throws -> Result {
    var template = Array("/var/tmp/tandem-test-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw LabError("mkdtemp", code: errno) }
    let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    defer { _ = try? ChildProcess.run(["rm", "-rf", "--one-file-system", path]) }
    return try body(path)
}

@Suite("What the lab's NFS clients and judges do")
struct NFSObserverTests {
    private static func answers(_ codes: [(MetadataWriter.Operation, UInt64, Int32)]) -> [MetadataAnswer] {
        codes.map { MetadataAnswer(round: 0, operation: $0.0, milliseconds: $0.1, code: $0.2) }
    }

    private static let whole = MetadataWriter.Operation.allCases.map { ($0, UInt64(3), Int32(0)) }

    @Test("a tree must hold what every round left, and the last one's own")
    func tree() {
        let answers = Self.answers(Self.whole)
        #expect(MetadataAnswer.fault(in: ["g0"], after: answers) == nil)
        #expect(MetadataAnswer.fault(in: ["g0", "f1", "d1"], after: answers) == nil)
        #expect(MetadataAnswer.fault(in: [], after: answers) != nil)
        #expect(MetadataAnswer.fault(in: ["g0", "d0"], after: answers) != nil)
        #expect(MetadataAnswer.fault(in: ["g0", "f2"], after: answers) != nil)
    }

    @Test(
        "an operation that was done before the server was lost may say so, once it was waited for, and no other"
    )
    func retried() {
        #expect(MetadataAnswer.fault(in: [], after: Self.answers([(.create, 1500, EEXIST)])) == nil)
        #expect(MetadataAnswer.fault(in: [], after: Self.answers([(.create, 5, EEXIST)])) != nil)
        #expect(MetadataAnswer.fault(in: [], after: Self.answers([(.create, 1500, EIO)])) != nil)
        #expect(MetadataAnswer.fault(in: [], after: Self.answers([(.stat, 1500, ENOENT)])) != nil)
        #expect(MetadataAnswer.fault(in: [], after: Self.answers([(.rename, 1500, ENOENT)])) == nil)
    }

    @Test("a log of operations is read up to its last whole line")
    func metadata() {
        #expect(MetadataAnswer.parse("0 create 3 0\n0 rename 4 2\n0 mk").count == 2)
        #expect(MetadataAnswer.parse("0 x 3 0\n").isEmpty)
    }

    @Test("a copy is judged MiB by MiB")
    func copy() throws {
        try withTemporaryDirectory { directory in
            let copy = FileCopy(path: directory + "/copy", size: 3, seed: 7)
            try copy.write(log: directory + "/log")
            #expect(try copy.differences() == 0)
            let log = try #require(TextFile.read(directory + "/log"))
            #expect(log.split(separator: "\n").count == 4)
            #expect(log.contains("\nfsync 0 "))
            #expect(truncate(directory + "/copy", 2 << 20) == 0)
            #expect(try copy.differences() == 1)
            #expect(try FileCopy(path: directory + "/copy", size: 3, seed: 8).differences() == 3)
        }
    }

    /// A reply to SEQUENCE, PUTFH and an operation whose result is `result`.
    private static func reply(_ operation: UInt32, _ result: [UInt32]) -> [UInt8] {
        var words: [UInt32] = [7, 1, 0, 0, 0, 0] + [0, 0, 3]
        words += [53, 0] + [UInt32](repeating: 9, count: 9) + [22, 0] + [operation, 0] + result
        let bytes = words.flatMap { word in [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: word >> $0) } }
        let mark = UInt32(bytes.count) | 0x8000_0000
        return [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: mark >> $0) } + bytes
    }

    @Test("a relay replaces the verifiers of WRITE and COMMIT by the first one, and nothing else")
    func verifier() {
        var first: [UInt8]?
        let old = Self.reply(38, [4096, 0, 0x0102_0304, 0x0506_0708])
        let new = Self.reply(38, [4096, 0, 0x1111_1111, 0x2222_2222])
        let commit = Self.reply(5, [0x1111_1111, 0x2222_2222])
        let other = Self.reply(9, [1, 2, 3, 4])
        let seen = [old, new, commit, other].map { VerifierRelay.replacing(&first, in: $0) }
        #expect(seen == [old, old, Self.reply(5, [0x0102_0304, 0x0506_0708]), other])
        #expect(first == [1, 2, 3, 4, 5, 6, 7, 8])
        var pending = old + new.prefix(10)
        let (whole, part) = (VerifierRelay.takeReply(&pending), VerifierRelay.takeReply(&pending))
        #expect(whole == old && part == nil)
        #expect(pending == Array(new.prefix(10)))
    }

    @Test("knocks at a port that nobody listens at are counted as refused")
    func knocks() throws {
        #expect(PortKnocker.count("3 0\n1 111\n200 110\n2 0\n") == (2, 1))
        let refused = try BlockingSocket.connect("127.0.0.1", 1, milliseconds: 500)
        #expect(refused.socket == nil && refused.code == ECONNREFUSED)
    }

    @Test("settings name the versions that are asked for")
    func settings() {
        var settings = LabSettings()
        settings.exports = true
        #expect(!settings.text(secret: "/s", disk: "/d").contains("versions"))
        settings.exportVersions = ["3", "4.2"]
        settings.exportOption = ", insecure"
        #expect(
            settings.text(secret: "/s", disk: "/d").contains(
                "options: [rw, sync, no_root_squash, insecure], versions: [3, 4.2] }"))
    }
}
