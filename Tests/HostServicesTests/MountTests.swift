import Basics
import CLinux
import Glibc
import HostServices
import LinuxSystem
import Testing

/// A directory of the test's own, removed at the end.
func withTemporaryDirectory<Result>(_ body: (String) throws -> Result) throws -> Result {
    var template = Array("/var/tmp/tandem-test-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw SystemError(operation: "mkdtemp", subject: "", code: errno) }
    let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    defer { _ = try? CommandRunner().run(["rm", "-rf", "--one-file-system", path], deadline: .seconds(20)) }
    return try body(path)
}

@Suite("The mount table")
struct MountTableTests {
    static let text = """
        22 27 0:21 / /proc rw,relatime - proc proc rw
        36 35 98:0 /mnt1 /mnt2 rw,noatime shared:7 master:1 - ext3 /dev/root rw,errors=continue
        40 36 7:3 / /srv/with\\040space\\011tab\\134back rw - ext4 /dev/loop3 rw
        41 36 7:4 / /srv rw - ext4 /dev/loop4 rw
        42 41 0:50 / /srv rw - tmpfs none rw,size=1k
        43 42 0:51 / /srv/below rw - tmpfs none rw
        damaged line
        44 42 0:51 / /srv/short rw - tmpfs
        """

    @Test("lines are read with their optional fields and escapes, damaged ones left out")
    func parses() throws {
        let table = MountTable(parsing: Array(Self.text.utf8))
        #expect(table.entries.map(\.identifier) == [22, 36, 40, 41, 42, 43])
        let second = table.entries[1]
        #expect(second.device == "98:0")
        #expect(second.root == "/mnt1")
        #expect(second.options == ["rw", "noatime"])
        #expect(second.isShared)
        #expect(second.type == "ext3")
        #expect(second.superOptions == ["rw", "errors=continue"])
        #expect(table.entries[2].mountPoint == "/srv/with space\ttab\\back")
        #expect(!table.entries[2].isShared)
    }

    @Test("of two on one directory the later one is what is seen")
    func stacked() {
        let table = MountTable(parsing: Array(Self.text.utf8))
        #expect(table.entry(at: "/srv")?.type == "tmpfs")
        #expect(table.entries(below: "/srv").count == 2)
        #expect(table.entries(of: "7:3").count == 1)
        #expect(table.entries(from: "/dev/loop4").count == 1)
    }

    @Test("no damage traps")
    func damaged() {
        let bytes = Array(Self.text.utf8)
        var generator = SeededGenerator(seed: 40)
        for _ in 0..<2000 {
            var text = Array(bytes.prefix(generator.below(bytes.count)))
            if !text.isEmpty { text[generator.below(text.count)] = UInt8(generator.below(256)) }
            _ = MountTable(parsing: text)
        }
    }

    @Test("this machine's own table has a root")
    func own() throws {
        #expect(try MountTable.read().entry(at: "/") != nil)
    }
}

@Suite("Mounts", .serialized, .enabled(if: geteuid() == 0, "root: mounts need it"))
struct MountingTests {
    @Test("a mount is there, private, refused twice, and gone after unmount")
    func mounts() throws {
        try withTemporaryDirectory { path in
            try Mounting.mount("none", at: path, type: "tmpfs", options: ["nodev", "noatime", "size=1m"])
            defer { try? Mounting.unmount(path) }
            let entry = try #require(try MountTable.read().entry(at: path))
            #expect(entry.type == "tmpfs")
            #expect(!entry.isShared)
            #expect(entry.options.contains("nodev") && entry.options.contains("noatime"))
            #expect(entry.superOptions.contains("size=1024k"))
            #expect(throws: SystemError(operation: "mount none over none", subject: path, code: EBUSY)) {
                try Mounting.mount("none", at: path, type: "tmpfs")
            }
            try Mounting.unmount(path)
            #expect(try MountTable.read().entry(at: path) == nil)
            try Mounting.unmount(path)
        }
    }

    @Test("who pins a mount is named: an open file, a working directory, a mount below, another namespace")
    func pins() throws {
        try withTemporaryDirectory { path in
            try Mounting.mount("none", at: path, type: "tmpfs")
            defer {
                try? Mounting.unmount("\(path)/below")
                try? Mounting.unmount(path)
            }
            #expect(try MountPins.of(mount: path).isEmpty)
            let number = clinux_open("\(path)/held", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
            let file = Descriptor(adopting: try #require(number >= 0 ? number : nil))
            let pin = try #require(try MountPins.of(mount: path).first)
            #expect(pin.process == getpid())
            #expect(pin.how == "open file \(path)/held")
            #expect(throws: SystemError(operation: "umount", subject: path, code: EBUSY)) {
                try Mounting.unmount(path)
            }
            file.close()
            #expect(mkdir("\(path)/below", 0o700) == 0)
            try Mounting.mount("none", at: "\(path)/below", type: "tmpfs")
            #expect(try MountPins.of(mount: path).map(\.description) == ["a mount (at \(path)/below)"])
            try Mounting.unmount("\(path)/below")
            #expect(try MountPins.of(mount: path).isEmpty)
        }
    }

    @Test("the working directory of a process and its mount namespace are pins")
    func foreignPins() throws {
        try withTemporaryDirectory { path in
            try Mounting.mount("none", at: path, type: "tmpfs")
            defer { try? Mounting.unmount(path) }
            var ends: [Int32] = [-1, -1]
            try #require(clinux_pipe(&ends) == 0)
            let reader = Descriptor(adopting: ends[0])
            let writer = Descriptor(adopting: ends[1])
            let thread = try SystemThread(name: "pins") {
                _ = try? CommandRunner().run(
                    ["sh", "-c", "cd \(path) && exec unshare -m tail -f /dev/null"], deadline: .seconds(60),
                    cancel: reader.raw)
            }
            let limit = Instant.now() + .seconds(20)
            var found: [MountPin] = []
            while Instant.now() < limit {
                found = try MountPins.of(mount: path)
                if found.contains(where: { $0.name == "tail" && $0.how == "working directory" })
                    && found.contains(where: { $0.how == "another mount namespace" })
                {
                    break
                }
            }
            #expect(found.contains { $0.name == "tail" && $0.how == "working directory" }, "\(found)")
            #expect(found.contains { $0.name == "tail" && $0.how == "another mount namespace" }, "\(found)")
            _ = write(writer.raw, [1], 1)
            thread.join()
        }
    }
}

@Suite("File systems", .serialized)
struct FileSystemToolsTests {
    static let size: off_t = 8 << 20

    /// An ext4 image, and the tools.
    private func withImage(_ body: (String, FileSystemTools) throws -> Void) throws {
        try withTemporaryDirectory { path in
            let image = "\(path)/image"
            let number = clinux_open(image, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
            let file = Descriptor(adopting: try #require(number >= 0 ? number : nil))
            #expect(ftruncate(file.raw, Self.size) == 0)
            let tools = FileSystemTools()
            let made = try tools.make("ext4", on: image, deadline: .seconds(60))
            #expect(made.isSuccess, "\(made.summary)")
            try body(image, tools)
        }
    }

    private func change(_ image: String, at offset: off_t, to bytes: [UInt8]) throws {
        let number = clinux_open(image, O_RDWR | O_CLOEXEC, 0)
        let file = Descriptor(adopting: try #require(number >= 0 ? number : nil))
        #expect(pwrite(file.raw, bytes, bytes.count, offset) == bytes.count)
    }

    @Test("a fresh file system is recognised and needs no check")
    func fresh() throws {
        try withImage { image, tools in
            #expect(try tools.type(of: image, deadline: .seconds(20)) == "ext4")
            let superblock = try #require(try ExtendedSuperblock.read(image))
            #expect(superblock.isValid && !superblock.hasErrors && !superblock.needsRecovery)
            #expect(try tools.checkIfNeeded("ext4", on: image, deadline: .seconds(60)) == .notNeeded)
        }
    }

    @Test("a file system that notes an error is checked, and is clean afterwards")
    func errors() throws {
        try withImage { image, tools in
            // s_state: valid, with errors; its checksum is wrong then, which e2fsck -p mends or refuses.
            let disabled = try CommandRunner().run(
                ["tune2fs", "-O", "^metadata_csum", image], deadline: .seconds(60))
            #expect(disabled.isSuccess, "\(disabled.summary)")
            try change(image, at: 1024 + 0x3A, to: [3, 0])
            #expect(try ExtendedSuperblock.read(image)?.asksForCheck == true)
            #expect(
                try tools.checkIfNeeded("ext4", on: image, deadline: .seconds(60)) == .clean(corrected: false)
                    || ExtendedSuperblock.read(image)?.asksForCheck == false)
            #expect(try ExtendedSuperblock.read(image)?.asksForCheck == false)
        }
    }

    @Test("what cannot be repaired without a person is a failure with e2fsck's words")
    func hopeless() throws {
        try withImage { image, tools in
            try change(image, at: 1024 + 0x3A, to: [3, 0])
            try change(image, at: 4096, to: [UInt8](repeating: 0xA5, count: 65536))
            guard
                case .failed(let result) = try tools.checkIfNeeded("ext4", on: image, deadline: .seconds(60))
            else {
                Issue.record("e2fsck repaired it")
                return
            }
            #expect(!result.isSuccess)
            #expect(!result.summary.isEmpty)
        }
    }

    @Test("something that is no file system is refused before a mount is tried")
    func foreign() throws {
        try withTemporaryDirectory { path in
            let image = "\(path)/image"
            let number = clinux_open(image, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
            let file = Descriptor(adopting: try #require(number >= 0 ? number : nil))
            #expect(ftruncate(file.raw, Self.size) == 0)
            #expect(try FileSystemTools().type(of: image, deadline: .seconds(20)) == nil)
            #expect(throws: SystemError.self) {
                try FileSystemTools().checkIfNeeded("ext4", on: image, deadline: .seconds(5))
            }
            #expect(
                try FileSystemTools().checkIfNeeded("xfs", on: image, deadline: .seconds(5)) == .notNeeded)
        }
    }
}
