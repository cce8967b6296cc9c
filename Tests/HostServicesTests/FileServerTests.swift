import Basics
import CLinux
import Glibc
@testable import HostServices
import LinuxSystem
import Testing

@Suite("The NFS server")
struct FileServerTests {
    static let export = FileExport(
        path: "/srv/files", clients: ["192.168.56.0/24", "fd00::/64"], options: ["rw", "no_root_squash"],
        identifier: 77)

    @Test("an export has one word a client, networks of IPv6 in brackets")
    func words() {
        #expect(Self.export.words == ["192.168.56.0/24:/srv/files", "[fd00::]/64:/srv/files"])
    }

    @Test("an export is always sync, under a fixed identifier, and bound to its mount")
    func options() {
        #expect(
            Self.export.allOptions == [
                "rw", "no_root_squash", "sync", "no_subtree_check", "fsid=77", "mountpoint=/srv/files",
            ])
        var written = Self.export
        written.options = ["ro", "sync", "subtree_check"]
        #expect(
            written.allOptions == ["ro", "sync", "subtree_check", "fsid=77", "mountpoint=/srv/files"])
    }

    @Test("an export counts as published when each client has a line with every option")
    func published() {
        var export = Self.export
        export.clients = ["192.168.56.0/24"]
        let line =
            "/srv/files\t192.168.56.0/24(rw,sync,wdelay,hide,nocrossmnt,secure,no_root_squash,no_all_squash,"
            + "no_subtree_check,secure_locks,acl,no_pnfs,fsid=77,mountpoint=/srv/files,anonuid=65534,anongid=65534)"
        #expect(export.isPublished(in: "/srv/other\t*(rw,fsid=77)\n" + line + "\n"))
        #expect(!export.isPublished(in: line.replacing("fsid=77", with: "fsid=78")))
        #expect(!export.isPublished(in: line.replacing("no_root_squash", with: "root_squash")))
        #expect(!export.isPublished(in: line.replacing("/srv/files\t", with: "/srv/file\t")))
        #expect(!export.isPublished(in: line.replacing("192.168.56.0", with: "192.168.57.0")))
        #expect(!Self.export.isPublished(in: line))
        #expect(!export.isPublished(in: ""))
    }

    @Test("processes are found by name, with their words")
    func processes() throws {
        let name = String(decoding: try KernelFiles.read("/proc/self/comm").dropLast(), as: UTF8.self)
        let own = try #require(try ProcessSearch.find([name])[name]?.first { $0.identifier == getpid() })
        #expect(own.words == CommandLine.arguments)
        #expect(try ProcessSearch.find(["no-such-program"]).isEmpty)
    }

    @Test("each version is told to the kernel, wanted or not")
    func versions() {
        #expect(FileServer.words(serving: ["4.1", "4.2"]) == "-3 +4 -4.0 +4.1 +4.2\n")
        #expect(FileServer.words(serving: ["3", "4.0", "4.2"]) == "+3 +4 +4.0 -4.1 +4.2\n")
        #expect(FileServer.words(serving: ["3"]) == "+3 -4\n")
    }

    @Test("locks are counted on one device, waiting ones and one file left out")
    func locks() {
        let table =
            "1: POSIX  ADVISORY  WRITE 1234 07:00:12 0 EOF\n1: -> POSIX  ADVISORY  WRITE 9 07:00:12 0 EOF\n"
            + "2: FLOCK  ADVISORY  WRITE 1234 07:00:13 0 EOF\n3: POSIX  ADVISORY  READ 1 07:00:14 5 9\n"
            + "4: POSIX  ADVISORY  WRITE 1234 07:01:12 0 EOF\n5: OFDLCK ADVISORY  READ -1 07:00:12 0 0\n"
        #expect(FileLocks.count(in: table, device: 0x700, without: nil) == 2)
        #expect(FileLocks.count(in: table, device: 0x700, without: 14) == 1)
        #expect(FileLocks.count(in: table, device: 0x701, without: nil) == 1)
        #expect(FileLocks.count(in: "", device: 0x700, without: nil) == 0)
    }

    @Test("a lock of this process on a real file is counted on its device")
    func ownLock() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/file"
            let file = open(path, O_CREAT | O_RDWR, 0o600)
            defer { _ = close(file) }
            let before = try FileLocks.count(at: directory, without: directory + "/none")
            var lock = flock()
            lock.l_type = Int16(F_WRLCK)
            try #require(fcntl(file, F_SETLK, &lock) == 0)
            // Others lock files as well; ours is left out by its name.
            #expect(try FileLocks.count(at: directory, without: directory + "/none") > 0)
            #expect(try FileLocks.count(at: directory, without: path) <= before)
        }
    }

    @Test(
        "hosts with locks are read from statd's directory, those still to be told apart",
        .enabled(if: getuid() == 0, "root: mounts, addresses and namespaces need root"))
    func hosts() throws {
        try withTemporaryDirectory { directory in
            let records = LockRecords(directory: directory + "/statd")
            let none = try records.hosts()
            #expect(none.holding.isEmpty && none.untold.isEmpty)
            try records.make()
            try records.make()
            for name in ["sm/192.168.56.13", "sm/192.168.56.14.new", "sm.bak/192.168.56.15"] {
                _ = close(open(directory + "/statd/" + name, O_CREAT | O_WRONLY, 0o600))
            }
            let found = try records.hosts()
            #expect(found.holding == ["192.168.56.13"] && found.untold == ["192.168.56.15"])
            try records.stop(within: .seconds(2))
        }
    }

    @Test("ending client records that were never started is a success")
    func noRecords() throws {
        let records = ClientRecords(directory: "/nowhere/records", pipes: "/nowhere/pipes")
        try records.stop(within: .seconds(2))
        #expect(records.content().isEmpty)
    }

    @Test(
        "a write under another host name and root leaves the thread's own as they were",
        .enabled(if: getuid() == 0, "root: mounts, addresses and namespaces need root"))
    func apart() throws {
        try withTemporaryDirectory { directory in
            func name() -> String {
                var bytes = [CChar](repeating: 0, count: 256)
                _ = gethostname(&bytes, bytes.count)
                return String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            }
            let before = name()
            let here = KernelFiles.link("/proc/thread-self/cwd")
            let file = directory + "/file"
            _ = close(open(file, O_CREAT | O_WRONLY, 0o600))
            #expect(clinux_write_apart(file, "8\n", "another", directory) == 0)
            let text = try SmallFile.read(file)
            #expect(text == "8\n")
            // Written to the name's own file, the text becomes the name of that namespace and of no other.
            #expect(clinux_write_apart("/proc/sys/kernel/hostname", "third", "another", nil) == 0)
            #expect(clinux_write_apart(directory + "/none", "8\n", "another", directory) == ENOENT)
            #expect(clinux_write_apart(file, "9\n", nil, directory + "/none") == ENOENT)
            #expect(name() == before)
            #expect(KernelFiles.link("/proc/thread-self/root") == "/")
            #expect(KernelFiles.link("/proc/thread-self/cwd") == here)
        }
    }

    /// A call of RPC with its mark: number, call, version 2, program, version, procedure, no credentials.
    private static func call(_ number: UInt32, procedure: UInt32) -> [UInt8] {
        var writer = ByteWriter(capacity: 44)
        for word in [0x8000_0028, number, 0, 2, 100_000, 4, procedure, 0, 0, 0, 0] { writer.write(word) }
        return writer.bytes
    }

    @Test("in rpcbind's place the kernel is told yes, and its question for life is answered")
    func replies() {
        var bytes =
            Self.call(7, procedure: 0) + Self.call(8, procedure: 2) + Self.call(9, procedure: 1).dropLast()
        let head: [UInt8] = [0, 0, 0, 1] + [UInt8](repeating: 0, count: 16)
        #expect(PortMapperStandIn.reply(to: &bytes) == [0x80, 0, 0, 24, 0, 0, 0, 7] + head)
        #expect(PortMapperStandIn.reply(to: &bytes) == [0x80, 0, 0, 28, 0, 0, 0, 8] + head + [0, 0, 0, 1])
        #expect(PortMapperStandIn.reply(to: &bytes) == nil)
        #expect(bytes.count == 43)
        bytes = [0x80, 0, 0, 1, 0] + Self.call(10, procedure: 0)
        #expect(PortMapperStandIn.reply(to: &bytes)?[7] == 10)
    }

    @Test("it answers on its socket as long as it lives, one connection after the other")
    func standIn() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/var/run/rpcbind.sock"
            do {
                let standIn = try PortMapperStandIn(in: directory)
                for number: UInt32 in 1...2 {
                    let stream = try SocketStream.connected(toUnixPath: path)
                    #expect(try stream.write(Self.call(number, procedure: 2)[...]) == .moved(44))
                    var poll = PollSet()
                    poll.add(stream.descriptor.raw, .readable)
                    #expect(try poll.wait(until: .now() + .seconds(10)) == 1)
                    var reply: [UInt8] = []
                    #expect(try stream.read(appendingTo: &reply, limit: 100) == .moved(32))
                    #expect(reply[7] == UInt8(number))
                }
                #expect(standIn.write("1", to: directory + "/none", as: nil) == ENOENT)
            }
            #expect(access(path, F_OK) != 0)
        }
    }
}
