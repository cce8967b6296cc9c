import Basics
import CLinux
import Glibc
import LinuxSystem
import NodeRuntime
import Quorum
import Replication
import Testing

@Suite(
    "a holder whose backing file fails goes on through its peer", .serialized,
    .enabled(if: Can.mountFuse, "fuse: needs root and /dev/fuse"))
struct VolumeDisklessTests {
    private static let length = 1 << 20

    private func fill(_ value: UInt8) -> [UInt8] { [UInt8](repeating: value, count: Self.length) }

    private func read(_ file: borrowing Descriptor, at offset: off_t) -> [UInt8] {
        var bytes = [UInt8](repeating: 0xEE, count: Self.length)
        let count = pread(file.raw, &bytes, bytes.count, offset)
        return count == Self.length ? bytes : []
    }

    private func peerBytes(_ folder: Folder, at offset: off_t, _ count: Int) -> [UInt8] {
        let file = Descriptor(adopting: open("\(folder.path)/peer.img", O_RDONLY))
        var bytes = [UInt8](repeating: 0xEE, count: count)
        return pread(file.raw, &bytes, count, offset) == count ? bytes : []
    }

    @Test(
        "reads, writes, zeroes and flushes are served, and the peer's copy has them",
        arguments: [false, true])
    func goesOn(sealed: Bool) throws {
        let folder = try Folder()
        let pair = try VolumePair(folder: folder, sealed: sealed)
        let file = try pair.open()
        #expect(pwrite(file.raw, fill(1), Self.length, 0) == Self.length)
        #expect(pwrite(file.raw, fill(2), Self.length, off_t(Self.length)) == Self.length)
        #expect(fsync(file.raw) == 0)
        // The disk fails: every read of it ends early from now on.
        #expect(truncate("\(folder.path)/data.img", 0) == 0)
        #expect(read(file, at: 0) == fill(1))
        #expect(read(file, at: off_t(Self.length)) == fill(2))
        let _: Bool = try pair.first.reports.first("the verdict") { report in
            if case .note(.verdictThroughPeer) = report { true } else { nil }
        }
        for round in 3..<40 {
            let offset = off_t(round % 20) * off_t(Self.length)
            #expect(pwrite(file.raw, fill(UInt8(round)), Self.length, offset) == Self.length)
            #expect(read(file, at: offset) == fill(UInt8(round)))
            // Of another length, and not on a page boundary.
            let odd = off_t(24 << 20) + off_t(round * 1000)
            #expect(pwrite(file.raw, fill(UInt8(round)), 999, odd) == 999)
        }
        #expect(clinux_fallocate(file.raw, 3, 0, UInt64(Self.length)) == 0)
        #expect(read(file, at: 0) == fill(0))
        #expect(fsync(file.raw) == 0)
        #expect(peerBytes(folder, at: 0, Self.length) == fill(0))
        #expect(peerBytes(folder, at: off_t(Self.length), Self.length) == fill(21))
        #expect(peerBytes(folder, at: off_t(24 << 20) + 39_000, 999) == Array(fill(39).prefix(999)))
        try pair.close(file)
        #expect(pair.first.volume.status.isDiskless)
        #expect(pair.first.volume.status.record?.copies == NodeSet(.second))
        #expect(pair.second.volume.status.dirtyBlocks == (32 << 20) / 4096)
    }

    @Test("a connection that is lost and made again loses no request", arguments: [false, true])
    func linkLost(sealed: Bool) throws {
        let folder = try Folder()
        let pair = try VolumePair(folder: folder, sealed: sealed)
        let file = try pair.open()
        #expect(pwrite(file.raw, fill(9), Self.length, 0) == Self.length)
        #expect(truncate("\(folder.path)/data.img", 0) == 0)
        #expect(read(file, at: 0) == fill(9))
        let number = file.raw
        for round in 1...3 {
            let value = UInt8(round)
            let calls = try (0..<6).map { place in
                try BlockedCall {
                    var bytes = [UInt8](repeating: value, count: Self.length)
                    let offset = off_t(place + 1) * off_t(Self.length)
                    let written = pwrite(number, bytes, Self.length, offset)
                    guard written == Self.length else { return written }
                    let count = pread(number, &bytes, Self.length, offset)
                    return count == Self.length && bytes.allSatisfy { $0 == value } ? count : -1
                }
            }
            try pair.cut()
            try pair.connect()
            for call in calls {
                #expect(try call.value() == Self.length)
                call.join()
            }
        }
        try pair.close(file)
    }

    @Test("without its peer it freezes and answers with an error when the time is over")
    func peerGone() throws {
        let folder = try Folder()
        let pair = try VolumePair(folder: folder, sealed: false, freezeTimeout: .milliseconds(600))
        let file = try pair.open()
        #expect(pwrite(file.raw, fill(9), Self.length, 0) == Self.length)
        #expect(truncate("\(folder.path)/data.img", 0) == 0)
        #expect(read(file, at: 0) == fill(9))
        let number = file.raw
        pair.first.volume.post(.dropLink)
        let call = try BlockedCall {
            var bytes = [UInt8](repeating: 0, count: 4096)
            return pread(number, &bytes, 4096, 0)
        }
        let _: Bool = try pair.first.reports.first("the order to mute") { report in
            if case .mute = report { true } else { nil }
        }
        #expect(!call.hasEnded)
        pair.first.volume.post(.event(.muted))
        #expect(try call.value() == -Int(EIO))
        call.join()
        try pair.close(file)
    }
}
