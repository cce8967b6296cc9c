import Basics
@testable import HostServices
import Testing

@Suite("The records of an NFS server's clients")
struct ClientRecordsTests {
    private static let info =
        "clientid: 0x1\naddress: \"192.168.56.13:749\"\nstatus: confirmed\nseconds from last renew: 3\n"
        + "name: \"Linux 4.0 a: b\"\nminor version: 0\n"
    private static let states =
        "- 0x01: { type: open, access: rw, deny: --, superblock: \"07:00:12\", owner: \"open id\" }\n"
        + "- 0x02: { type: lock, superblock: \"07:00:12\", owner: \"lock id\" }\n"
        + "- 0x03: { type: deleg, access: w, superblock: \"07:00:12\" }\n"

    @Test("a confirmed client has its name, version, silence, opens and locks, as the kernel prints them")
    func clients() {
        let whole = ServedClient(name: "\"Linux 4.0 a: b\"", minorVersion: 0, states: 2, silence: 3)
        #expect(ServedClient(info: Self.info, states: Self.states) == whole)
        #expect(ServedClient(info: Self.info.replacing("confirmed", with: "courtesy"), states: "") == nil)
        #expect(ServedClient(info: Self.info.replacing("confirmed", with: "unconfirmed"), states: "") == nil)
        #expect(ServedClient(info: "", states: Self.states) == nil)
        let older = ServedClient(info: "address: \"a\"\nname: \"b\"\n", states: "")
        #expect(older == ServedClient(name: "\"b\""))
    }

    @Test(
        "a name is the bytes that its client sent",
        arguments: [
            ("\"Linux NFSv4.0 a/b\"", Array("Linux NFSv4.0 a/b".utf8)),
            ("\"a\\x22\\x5c\\x00\\xFf\"", [97, 34, 92, 0, 255]),
            ("\"\"", []), ("a", nil), ("\"", nil), ("\"a\\n\"", nil), ("\"a\\x2\"", nil), ("\"a\\xzz\"", nil),
        ])
    func names(name: String, bytes: [UInt8]?) {
        #expect(ServedClient.bytes(ofName: name) == bytes)
    }

    /// What sqlite3(1) says of a database.
    private static func ask(_ script: String, _ directory: String) throws -> String {
        let result = try CommandRunner().run(
            ["sqlite3", "-bail", "\(directory)/main.sqlite"], input: Array(script.utf8),
            deadline: .seconds(10))
        try #require(result.isSuccess, "\(result.summary)")
        return result.output
    }

    /// As nfsdcld makes it: period 5 is the current one, clients of period 4 may reclaim.
    private static let grace =
        "CREATE TABLE grace (current INTEGER, recovery INTEGER); INSERT INTO grace VALUES (5, 4);"
        + "CREATE TABLE \"rec-0000000000000004\" (id BLOB PRIMARY KEY, princhash BLOB);"
        + "CREATE TABLE \"rec-0000000000000005\" (id BLOB PRIMARY KEY, princhash BLOB);"
        + "INSERT INTO \"rec-0000000000000004\" VALUES (X'6122', X'01'), (X'62', NULL), (X'63', NULL);"
        + "INSERT INTO \"rec-0000000000000005\" VALUES (X'63', X'02');"
    private static let content =
        "SELECT hex(id), hex(princhash) FROM \"rec-0000000000000005\" ORDER BY id;"

    @Test(
        "who has reclaimed is written with the hash of its principal, who is written already stays as it is")
    func inGrace() throws {
        try withTemporaryDirectory { directory in
            _ = try Self.ask(Self.grace, directory)
            let records = ClientRecords(directory: directory, pipes: "")
            let result = try records.change(
                adding: ["\"a\\x22\"", "\"c\"", "\"d\""], removing: [], CommandRunner(),
                deadline: .seconds(10))
            #expect(result.isSuccess, "\(result.summary)")
            #expect(try Self.ask(Self.content, directory) == "6122|01\n63|02\n64|\n")
        }
    }

    @Test("after the period, without the old records, names come and go as well")
    func afterGrace() throws {
        try withTemporaryDirectory { directory in
            let ended = "UPDATE grace SET recovery = 0; DROP TABLE \"rec-0000000000000004\";"
            _ = try Self.ask(Self.grace + ended, directory)
            let records = ClientRecords(directory: directory, pipes: "")
            let result = try records.change(
                adding: ["\"d'\""], removing: ["\"c\"", "\"e\""], CommandRunner(), deadline: .seconds(10))
            #expect(result.isSuccess, "\(result.summary)")
            #expect(try Self.ask(Self.content, directory) == "6427|\n")
        }
    }

    @Test("records that are none are left alone, and said")
    func noRecords() throws {
        try withTemporaryDirectory { directory in
            _ = try Self.ask("CREATE TABLE other (n);", directory)
            let records = ClientRecords(directory: directory, pipes: "")
            let result = try records.change(
                adding: ["\"a\""], removing: [], CommandRunner(), deadline: .seconds(10))
            #expect(!result.isSuccess)
            #expect(result.summary.contains("grace"))
        }
    }
}
