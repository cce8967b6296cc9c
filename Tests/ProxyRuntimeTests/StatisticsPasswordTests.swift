import Basics
import Glibc
import Settings
import Testing

@testable import ProxyRuntime

@Suite("the password of the statistics page")
struct StatisticsPasswordTests {
    func file(_ text: String, mode: mode_t) throws -> String {
        let directory = getenv("TMPDIR").map { String(cString: $0) } ?? "/var/tmp"
        let path = "\(directory)/tandem-password-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        let number = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard number >= 0 else { throw TestFailure("cannot make \(path)") }
        defer { close(number) }
        let bytes = Array(text.utf8)
        guard write(number, bytes, bytes.count) == bytes.count, fchmod(number, mode) == 0 else {
            throw TestFailure("cannot write \(path)")
        }
        return path
    }

    @Test("is the first line of a file that is its owner's alone")
    func first() throws {
        let path = try file("s3 cret\nmore\n", mode: 0o600)
        defer { unlink(path) }
        #expect(try ProxyProcess.password(inFile: path) == "s3 cret")
    }

    @Test("is not taken from a file that others can read, that is empty, or that is not there")
    func refused() throws {
        for (text, mode, word) in [("s3cret\n", mode_t(0o640), "chmod 600"), ("\nx\n", 0o600, "first line")] {
            let path = try file(text, mode: mode)
            defer { unlink(path) }
            let error = #expect(throws: ProxyError.self) { try ProxyProcess.password(inFile: path) }
            #expect(error.map { "\($0)".contains(word) && !"\($0)".contains("s3cret") } == true)
        }
        #expect(throws: ProxyError.self) { try ProxyProcess.password(inFile: "/var/tmp/tandem-no-such-file") }
    }
}
