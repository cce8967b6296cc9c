import Basics
import CLinux
import Glibc
import LinuxSystem
import NodeRuntime
import Replication
import Testing

@Suite("a volume with two copies", .serialized, .enabled(if: Can.mountFuse, "fuse: needs root and /dev/fuse"))
struct VolumeMirrorTests {
    @Test("writes, zeroes and flushes of the device are in both copies", arguments: [false, true])
    func mirrored(sealed: Bool) throws {
        let folder = try Folder()
        let pair = try VolumePair(folder: folder, sealed: sealed)
        let file = try pair.open()
        var generator = SeededGenerator(seed: 5)
        for step in 0..<300 {
            let length = step % 11 == 0 ? 1 << 20 : 1 + generator.below(40_000)
            let offset = generator.below((32 << 20) - length)
            if step % 13 == 0 {
                #expect(clinux_fallocate(file.raw, 3, UInt64(offset), UInt64(length)) == 0)
            } else {
                let bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: step), count: length)
                #expect(pwrite(file.raw, bytes, length, off_t(offset)) == length)
            }
            if step % 50 == 0 { #expect(fsync(file.raw) == 0) }
        }
        #expect(fsync(file.raw) == 0)
        try pair.close(file)
        #expect(try same(folder))
        #expect(pair.second.volume.status.counters.framesReceived > 270)
    }

    @Test(
        "a lost connection is resynced while writes go on, and both copies end alike",
        arguments: [false, true])
    func resync(sealed: Bool) throws {
        let folder = try Folder()
        let pair = try VolumePair(folder: folder, sealed: sealed)
        let file = try pair.open()
        let bytes = [UInt8](repeating: 7, count: 100_000)
        var generator = SeededGenerator(seed: 6)
        for round in 0..<3 {
            try pair.cut()
            for _ in 0..<50 {
                #expect(pwrite(file.raw, bytes, 100_000, off_t(generator.below(30 << 20))) == 100_000)
            }
            try pair.connect()
            for _ in 0..<50 {
                #expect(
                    pwrite(file.raw, bytes, 1000 + round, off_t(generator.below(30 << 20))) == 1000 + round)
            }
            let _: Bool = try pair.first.reports.first("the resync's end") { report in
                if case .note(.widened) = report { true } else { nil }
            }
        }
        #expect(fsync(file.raw) == 0)
        try pair.close(file)
        #expect(try same(folder))
    }

    private func same(_ folder: Folder) throws -> Bool {
        try contents("\(folder.path)/data.img") == contents("\(folder.path)/peer.img")
    }

    private func contents(_ path: String) throws -> [UInt8] {
        let file = Descriptor(adopting: open(path, O_RDONLY))
        var bytes = [UInt8](repeating: 0, count: Int(lseek(file.raw, 0, SEEK_END)))
        #expect(pread(file.raw, &bytes, bytes.count, 0) == bytes.count)
        return bytes
    }
}
