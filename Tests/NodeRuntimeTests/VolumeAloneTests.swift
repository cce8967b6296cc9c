import Basics
import BlockStore
import CLinux
import Glibc
import LinuxSystem
import NodeRuntime
import Testing

/// Whether this machine can mount FUSE file systems for us.
enum Can {
    static let mountFuse = getuid() == 0 && access("/dev/fuse", R_OK | W_OK) == 0
}

@Suite("a volume with one copy", .serialized, .enabled(if: Can.mountFuse, "fuse: needs root and /dev/fuse"))
struct VolumeAloneTests {
    @Test("what is written to the file is read back and lies in the backing file", arguments: [false, true])
    func writesArrive(onDisk: Bool) throws {
        let folder = try Folder(in: onDisk ? "/var/tmp" : "/dev/shm")
        let node = try TestVolume(folder: folder, size: 16 << 20)
        try node.promote()
        try node.serve()
        var model = [UInt8](repeating: 0, count: 16 << 20)
        var generator = SeededGenerator(seed: 11)
        let file = Descriptor(adopting: open(node.file, O_RDWR))
        for step in 0..<200 {
            let length = step % 7 == 0 ? 1 << 20 : 1 + generator.below(70_000)
            let offset = generator.below(model.count - length)
            let bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: step + 1), count: length)
            #expect(pwrite(file.raw, bytes, length, off_t(offset)) == length)
            model.replaceSubrange(offset..<offset + length, with: bytes)
        }
        #expect(fsync(file.raw) == 0)
        var seen = [UInt8](repeating: 0, count: model.count)
        #expect(pread(file.raw, &seen, seen.count, 0) == seen.count)
        #expect(seen == model)
        file.close()
        try node.unmount()
        node.volume.stop()
        #expect(try contents("\(folder.path)/data.img") == model)
    }

    @Test("a discard and a write of zeroes of any range read as zeroes, and the file stays allocated")
    func zeroes() throws {
        for parent in ["/dev/shm", "/var/tmp"] {
            let folder = try Folder(in: parent)
            let node = try TestVolume(folder: folder, size: 12 << 20)
            try node.promote()
            try node.serve()
            let file = Descriptor(adopting: open(node.file, O_RDWR))
            let ones = [UInt8](repeating: 1, count: 12 << 20)
            #expect(pwrite(file.raw, ones, ones.count, 0) == ones.count)
            let ranges = [(100, 50), (4096, 8192), (12_345, 100_000), (3 << 20, 8 << 20)]
            for (index, range) in ranges.enumerated() {
                let mode: Int32 = index % 2 == 0 ? 3 : 16
                #expect(clinux_fallocate(file.raw, mode, UInt64(range.0), UInt64(range.1)) == 0)
            }
            var model = ones
            for range in ranges {
                model.replaceSubrange(
                    range.0..<range.0 + range.1, with: [UInt8](repeating: 0, count: range.1))
            }
            #expect(fsync(file.raw) == 0)
            file.close()
            try node.unmount()
            node.volume.stop()
            #expect(try contents("\(folder.path)/data.img") == model)
            var status = stat()
            #expect(stat("\(folder.path)/data.img", &status) == 0)
            #expect(status.st_blocks * 512 >= 12 << 20)
        }
    }

    private func contents(_ path: String) throws -> [UInt8] {
        let file = Descriptor(adopting: open(path, O_RDONLY))
        var bytes = [UInt8](repeating: 0, count: Int(lseek(file.raw, 0, SEEK_END)))
        #expect(pread(file.raw, &bytes, bytes.count, 0) == bytes.count)
        return bytes
    }
}
