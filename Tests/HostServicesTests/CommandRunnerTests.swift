import Basics
import CLinux
import Glibc
import HostServices
import LinuxSystem
import Testing

@Suite("The command runner")
struct CommandRunnerTests {
    let runner = CommandRunner(grace: .milliseconds(300))

    private func shell(_ script: String, input: [UInt8] = [], deadline: Interval = .seconds(20)) throws
        -> CommandResult
    {
        try runner.run(["sh", "-c", script], input: input, deadline: deadline)
    }

    @Test("status and both outputs are captured")
    func captures() throws {
        let result = try shell("echo out; echo err >&2; exit 7")
        #expect(result.end == .exited(7))
        #expect(!result.isSuccess)
        #expect(result.output == "out\n")
        #expect(result.errors == "err\n")
        #expect(result.summary == "sh failed with status 7: err")
    }

    @Test("the input arrives whole, and then ends")
    func input() throws {
        let text = String(repeating: "0123456789", count: 30_000)
        let result = try shell("wc -c", input: Array(text.utf8))
        #expect(result.output.filter(\.isNumber) == "300000")
    }

    @Test("an argument with spaces and quotes is one argument")
    func arguments() throws {
        let result = try runner.run(["printf", "%s", "a b' \"c"], deadline: .seconds(5))
        #expect(result.output == "a b' \"c")
    }

    @Test("a command that is not installed is said so")
    func missing() {
        #expect(throws: SystemError(operation: "run", subject: "no-such-tool", code: ENOENT)) {
            try runner.run(["no-such-tool"], deadline: .seconds(1))
        }
    }

    @Test("a command that was ended by a signal says which")
    func signalled() throws {
        #expect(try shell("kill -9 $$").end == .signalled(SIGKILL))
    }

    @Test("past its deadline a command is stopped, also one that ignores SIGTERM")
    func deadline() throws {
        let polite = try shell("exec tail -f /dev/null", deadline: .milliseconds(100))
        #expect(polite.end == .timedOut)
        #expect(polite.duration >= .milliseconds(100))
        let stubborn = try shell(
            "trap '' TERM; while :; do read line < /dev/zero; done", deadline: .milliseconds(100))
        #expect(stubborn.end == .timedOut)
        #expect(stubborn.duration >= .milliseconds(400))
    }

    @Test("the children of a stopped command are stopped with it")
    func group() throws {
        let result = try shell(
            "trap '' TERM; tail -f /dev/null & echo $!; wait; wait", deadline: .milliseconds(200))
        let child = try #require(Int32(result.output.filter(\.isNumber)))
        #expect(result.end == .timedOut)
        // The kernel reaps or keeps it as a zombie of init's; running it must not be.
        var state = "?"
        let limit = Instant.now() + .seconds(10)
        while Instant.now() < limit {
            guard let text = try? SmallFile.read("/proc/\(child)/stat") else { return }
            state = String(text.split(separator: ")").last?.split(separator: " ").first ?? "?")
            if state == "Z" || state == "X" { return }
        }
        Issue.record("process \(child) still runs, state \(state)")
    }

    @Test("a command whose child keeps the outputs open does not hold the runner up")
    func backgroundChild() throws {
        let result = try shell("(tail -f /dev/null & echo $!) ; exit 0")
        #expect(result.end == .exited(0))
        #expect(result.duration < .seconds(10))
        if let child = Int32(result.output.filter(\.isNumber)) { _ = kill(child, SIGKILL) }
    }

    @Test("more output than is kept is read, dropped and said so")
    func bounded() throws {
        let result = try shell("head -c 1000000 /dev/zero | tr '\\0' x")
        #expect(result.isSuccess)
        #expect(result.output.utf8.count == CommandRunner.outputMaximum)
        #expect(result.isTruncated)
    }

    @Test("a command inherits three descriptors and nothing else")
    func descriptors() throws {
        // Without close-on-exec: only the runner's own care keeps it out.
        let stray = dup(0)
        defer { _ = close(stray) }
        let result = try runner.run(["ls", "/proc/self/fd"], deadline: .seconds(10))
        // The fourth is the directory that `ls` itself has open.
        #expect(result.output.split(separator: "\n") == ["0", "1", "2", "3"])
    }

    @Test("a command has default signals and an environment of its own")
    func environment() throws {
        let result = try shell("env | sort; grep -E '^Sig(Blk|Ign)' /proc/self/status")
        #expect(result.output.contains("LC_ALL=C"))
        #expect(!result.output.contains("HOME="))
        #expect(result.output.contains("SigBlk:\t0000000000000000"))
        let ignored = result.output.split(separator: "SigIgn:\t").last.flatMap {
            UInt64($0.prefix(16), radix: 16)
        }
        // The two above 31 are the C library's own.
        #expect(ignored.map { $0 & 0x7FFF_FFFF } == 0)
    }

    @Test("a caller can give a command up")
    func cancel() throws {
        var ends: [Int32] = [-1, -1]
        try #require(clinux_pipe(&ends) == 0)
        let reader = Descriptor(adopting: ends[0])
        let writer = Descriptor(adopting: ends[1])
        #expect(write(writer.raw, [1], 1) == 1)
        let result = try runner.run(["tail", "-f", "/dev/null"], deadline: .seconds(30), cancel: reader.raw)
        #expect(result.end == .cancelled)
        #expect(result.duration < .seconds(10))
    }
}
