import Basics
import BlockStore
import CLinux
import Glibc
import LinuxSystem
import Testing

@Suite("backing files")
struct BackingFileTests {
    /// A folder of the test's own.
    private final class Folder {
        let path: String

        init(_ parent: String) throws {
            var template = Array("\(parent)/tandem-store-XXXXXX".utf8CString)
            let made = mkdtemp(&template).map { String(cString: $0) }
            path = try #require(made)
        }

        deinit {
            for name in ["a.img", "a.img.new", "a.img.tandem"] { unlink("\(path)/\(name)") }
            rmdir(path)
        }
    }

    @Test("a new file is all zeroes and all allocated", arguments: ["/dev/shm", "/var/tmp"])
    func created(parent: String) throws {
        let folder = try Folder(parent)
        let path = "\(folder.path)/a.img"
        try BackingFile.create(path, size: 8 << 20)
        var status = stat()
        #expect(stat(path, &status) == 0)
        #expect(status.st_size == 8 << 20)
        #expect(status.st_blocks * 512 >= 8 << 20)
        #expect(throws: BackingError.exists(path: path)) { try BackingFile.create(path, size: 8 << 20) }
    }

    @Test("requests of any offset and length arrive whole, direct and buffered", arguments: [true, false])
    func anyRange(direct: Bool) throws {
        let folder = try Folder("/var/tmp")
        let path = "\(folder.path)/a.img"
        try BackingFile.create(path, size: 4 << 20)
        let file = try BackingFile.open(path, size: 4 << 20, access: direct ? .direct : .buffered)
        #expect(file.access == (direct ? .direct : .buffered))
        var model = [UInt8](repeating: 0, count: 4 << 20)
        var generator = SeededGenerator(seed: 8)
        let buffer = try PageBuffer(count: 1 << 20)
        for step in 1...200 {
            let aligned = step % 3 == 0
            var length = 1 + generator.below(200_000)
            var offset = generator.below(model.count - length - 4096)
            if aligned {
                length = length / 4096 * 4096 + 4096
                offset = offset / 4096 * 4096
            }
            let bytes = [UInt8](repeating: UInt8(step), count: length)
            let range = ByteRange(offset: UInt64(offset), length: UInt64(length))
            if step % 10 == 0 {
                try file.zero(range)
                model.replaceSubrange(offset..<offset + length, with: repeatElement(0, count: length))
            } else {
                buffer.store(bytes)
                try file.write(buffer.base, range)
                model.replaceSubrange(offset..<offset + length, with: bytes)
            }
            try file.read(buffer.base, range)
            #expect(buffer.load(count: length) == Array(model[offset..<offset + length]))
        }
        try file.dataSync()
        for page in 0..<1024 {
            try file.read(buffer.base, ByteRange(offset: UInt64(page) * 4096, length: 4096))
            #expect(buffer.load(count: 4096) == Array(model[page * 4096..<(page + 1) * 4096]))
        }
    }

    @Test("a file that is missing, too small, a folder, or in use is refused, and the text says what to do")
    func refused() throws {
        let folder = try Folder("/var/tmp")
        let path = "\(folder.path)/a.img"
        #expect(throws: BackingError.missing(path: path)) { try opened(path, 4096) }
        #expect(throws: BackingError.wrongKind(path: folder.path)) { try opened(folder.path, 4096) }
        try BackingFile.create(path, size: 8192)
        #expect(throws: BackingError.tooSmall(path: path, has: 8192, needs: 12288)) {
            try opened(path, 12288)
        }
        let holder = try BackingFile.open(path, size: nil)
        #expect(holder.size == 8192)
        #expect(throws: BackingError.inUse(path: path)) { try opened(path, 8192) }
        #expect("\(BackingError.inUse(path: "x"))".contains("end the other"))
    }

    private func opened(_ path: String, _ size: UInt64) throws { _ = try BackingFile.open(path, size: size) }

    @Test(
        "a file that does not fit is refused with the space it needs, and nothing is left behind",
        .enabled(if: getuid() == 0, "root: a small file system is mounted"))
    func noSpace() throws {
        let folder = try Folder("/var/tmp")
        try #require(mount("tandem-test", folder.path, "tmpfs", 0, "size=1m") == 0)
        defer { _ = umount2(folder.path, Int32(MNT_DETACH)) }
        let path = "\(folder.path)/a.img"
        #expect(throws: BackingError.noSpace(path: path, needs: 2 << 20)) {
            try BackingFile.create(path, size: 2 << 20)
        }
        #expect(access(path, F_OK) != 0 && access(path + ".new", F_OK) != 0)
        try BackingFile.create(path, size: 512 << 10)
        let file = try BackingFile.open(path, size: nil)
        #expect(file.access == .buffered)
        // A hole that was punched behind our back: the write is whole or an error, never short and silent.
        #expect(clinux_fallocate(file.descriptor, 3, 0, 512 << 10) == 0)
        let filler = Descriptor(adopting: open(path + ".new", O_RDWR | O_CREAT, 0o600))
        #expect(clinux_fallocate(filler.raw, 0, 0, 900 << 10) == 0)
        let buffer = try PageBuffer(count: 512 << 10)
        #expect(throws: SystemError(operation: "write", subject: path, code: ENOSPC)) {
            try write(file, buffer)
        }
    }

    private func write(_ file: borrowing BackingFile, _ buffer: borrowing PageBuffer) throws {
        try file.write(buffer.base, ByteRange(offset: 0, length: 512 << 10))
    }

    @Test("metadata is written in blocks and read whole")
    func metadata() throws {
        let folder = try Folder("/var/tmp")
        let path = MetadataFile.path(besides: "\(folder.path)/a.img")
        try MetadataFile.create(path, bytes: [UInt8](repeating: 1, count: 5000))
        let file = try MetadataFile.open(path, size: nil)
        #expect(file.size == 8192)
        try file.write([UInt8](repeating: 2, count: 4096), at: 4096)
        try file.dataSync()
        let expected = [UInt8](repeating: 1, count: 4096) + [UInt8](repeating: 2, count: 4096)
        #expect(try file.readAll() == expected)
    }
}
