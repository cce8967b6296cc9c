import Basics
import Failover
import Glibc
import HostServices
import LinuxSystem
@testable import NodeRuntime
import Testing

/// A directory that is gone afterwards.
private func withTemporaryDirectory<Result>(_ body: (String) throws -> Result) throws -> Result {
    var template = Array("/var/tmp/tandem-test-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw SystemError(operation: "mkdtemp", subject: "", code: errno) }
    let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    defer { _ = try? CommandRunner().run(["rm", "-rf", "--one-file-system", path], deadline: .seconds(20)) }
    return try body(path)
}

@Suite("What NFS clients hold")
struct HoldingsListTests {
    private static let held = ClientHoldings(states: ["\"Linux NFSv4.2 a\"": 3, "b": 0], locks: 2)

    @Test("the list is read back as it was, names with spaces and all")
    func roundTrip() {
        let text = HoldingsList.text(Self.held)
        #expect(text == "locks 2\nclient 0 b\nclient 3 \"Linux NFSv4.2 a\"\n")
        #expect(HoldingsList.parse(text) == Self.held)
    }

    @Test(
        "a list that is not whole is none: it would end a grace period too early",
        arguments: [
            "", "client 3 a\n", "locks 2\nclient 3", "locks x\n", "locks 2\nclient a\n",
            "locks 2\nhost 1 a\n",
        ])
    func damaged(text: String) {
        #expect(HoldingsList.parse(text) == nil)
    }

    @Test("who comes is written at once, how much they hold after a pause, what is the same never")
    func pace() throws {
        try withTemporaryDirectory { directory in
            var list = HoldingsList()
            let start = Instant(nanoseconds: 1_000_000_000_000)
            list.update(Self.held, in: directory, at: start)
            #expect(HoldingsList.read(in: directory) == Self.held)
            var more = Self.held
            more.states["b"] = 1
            list.update(more, in: directory, at: start + .milliseconds(500))
            #expect(HoldingsList.read(in: directory) == Self.held)
            list.update(more, in: directory, at: start + .seconds(2))
            #expect(HoldingsList.read(in: directory) == more)
            more.states["c"] = 1
            list.update(more, in: directory, at: start + .milliseconds(2500))
            #expect(HoldingsList.read(in: directory) == more)
            try SmallFile.write("locks 0\n", to: directory + "/nfs-holdings")
            list.update(more, in: directory, at: start + .seconds(20))
            #expect(HoldingsList.read(in: directory) != more)
        }
    }
}
