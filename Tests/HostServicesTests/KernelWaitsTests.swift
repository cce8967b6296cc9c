import Glibc
@testable import HostServices
import LinuxSystem
import Testing

@Suite("What hangs in the kernel")
struct KernelWaitsTests {
    private static func make(_ task: String, in place: String, stat: String, wchan: String) throws {
        try #require(mkdir("\(place)/\(task)", 0o700) == 0)
        for (file, text) in [("stat", stat), ("wchan", wchan)] {
            let stream = try #require(fopen("\(place)/\(task)/\(file)", "w"))
            fputs(text, stream)
            fclose(stream)
        }
    }

    @Test("tasks that no signal reaches are told with what they wait in, each kind once")
    func waiting() throws {
        try withTemporaryDirectory { place in
            try Self.make("1", in: place, stat: "1 (init) S 0 1", wchan: "do_epoll_wait")
            try Self.make("71", in: place, stat: "71 (nfsd) D 2 0", wchan: "jbd2_log_wait_commit")
            try Self.make("72", in: place, stat: "72 (nfsd) D 2 0", wchan: "jbd2_log_wait_commit")
            try Self.make("73", in: place, stat: "73 (odd) S (name) D 2 0", wchan: "msleep")
            try Self.make("74", in: place, stat: "74 (name) D (odd) R 2 0", wchan: "0")
            try Self.make("self", in: place, stat: "75 (again) D 2 0", wchan: "msleep")
            let found = try KernelWaits.list(under: [place])
            #expect(found.sorted() == ["nfsd in jbd2_log_wait_commit", "odd) S (name in msleep"])
        }
    }

    @Test("no more are told than a line can hold")
    func many() throws {
        try withTemporaryDirectory { place in
            for number in 1...20 {
                try Self.make("\(number)", in: place, stat: "\(number) (task\(number)) D 2", wchan: "msleep")
            }
            #expect(try KernelWaits.list(under: [place]).count == KernelWaits.limit)
        }
    }

    @Test("this machine's own are read")
    func here() throws { _ = try KernelWaits.list() }
}
