import Basics
import CLinux
import FuseDevice
import Glibc
import LinuxSystem
import Synchronization
import Testing

/// Whether this machine can mount FUSE file systems, and attach loop devices, for us.
enum Can {
    static let mountFuse = getuid() == 0 && access("/dev/fuse", R_OK | W_OK) == 0
    static let attachLoops = mountFuse && access("/dev/loop-control", R_OK | W_OK) == 0
    static let makeExt4 = attachLoops && access("/sbin/mkfs.ext4", X_OK) == 0
}

/// A session that one thread serves from memory, with answers that a test can spoil.
final class ServedFile: Sendable {
    /// How requests are answered from now on.
    enum Mood: Int, Sendable {
        case normal, failing, over
    }

    let folder: String
    let size: UInt64
    let mood = Mutex(Mood.normal)
    let seen = Mutex<[FuseRequest]>([])
    private let mount: Mutex<FuseMount?>
    private let thread: Mutex<SystemThread?>

    var path: String { "\(folder)/\(FuseSession.fileName)" }

    init(size: UInt64) throws {
        let parent = getenv("TMPDIR").map { String(cString: $0) } ?? "/var/tmp"
        var template = Array("\(parent)/tandem-fuse-XXXXXX".utf8CString)
        let made = mkdtemp(&template).map { String(cString: $0) }
        folder = try #require(made)
        self.size = size
        let mount = try FuseMount(at: folder)
        let number = dup(mount.descriptor.raw)
        self.mount = Mutex(mount)
        thread = Mutex(nil)
        try thread.withLock { thread in
            thread = try SystemThread(name: "served") { [self] in
                do throws(SystemError) { try serve(Descriptor(adopting: number)) } catch {
                    Issue.record("the session could not start: \(error)")
                }
            }
        }
    }

    private func serve(_ descriptor: consuming Descriptor) throws(SystemError) {
        var session = try FuseSession(adopting: descriptor, size: size)
        let content = try PageBuffer(count: Int(size))
        let buffer = try PageBuffer(count: PageBuffer.pageSize + Int(BlockSize.requestMaximum))
        let page = buffer.base + PageBuffer.pageSize
        var poll = PollSet()
        while true {
            let request = session.receive(page: page)
            if request != .none && request != .handled { seen.withLock { $0.append(request) } }
            let mood = mood.withLock { $0 }
            if mood == .over { session.end() }
            switch request {
            case .none:
                poll.removeAll()
                poll.add(session.descriptor, .readable)
                try poll.wait(until: .never)
            case .handled: continue
            case .ended: return
            case .write(let unique, let range):
                if mood != .normal {
                    session.replyFailed(unique)
                } else {
                    memcpy(content.base + Int(range.offset), page, Int(range.length))
                    session.replyWritten(unique, count: UInt32(range.length))
                }
            case .read(let unique, let range):
                if mood != .normal {
                    session.replyFailed(unique)
                } else {
                    memcpy(page, content.base + Int(range.offset), Int(range.length))
                    session.replyRead(unique, page: page, count: Int(range.length))
                }
            case .flush(let unique):
                if mood != .normal { session.replyFailed(unique) } else { session.replyDone(unique) }
            case .zero(let unique, let range):
                memset(content.base + Int(range.offset), 0, Int(range.length))
                session.replyDone(unique)
            }
        }
    }

    /// Unmounts, waits for the thread, removes the folder.
    func end() {
        let deadline = Instant.now() + .seconds(10)
        while true {
            let error = mount.withLock { mount -> SystemError? in
                do throws(SystemError) {
                    try mount?.unmount()
                    return nil
                } catch { return error }
            }
            guard let error else { break }
            guard error.code == EBUSY, Instant.now() < deadline else {
                Issue.record("\(error)")
                break
            }
            sched_yield()
        }
        mount.withLock { $0 = nil }
        thread.withLock { $0.take() }?.join()
        rmdir(folder)
    }
}

@Suite("the volume as a file", .serialized, .enabled(if: Can.mountFuse, "fuse: needs root and /dev/fuse"))
struct FuseSessionTests {
    @Test("reads and writes of any range do what they do on a plain file")
    func anyRange() throws {
        let served = try ServedFile(size: 4 << 20)
        defer { served.end() }
        let file = Descriptor(adopting: open(served.path, O_RDWR))
        var model = [UInt8](repeating: 0, count: 4 << 20)
        var generator = SeededGenerator(seed: 21)
        for step in 0..<200 {
            let length = step % 9 == 0 ? 2 << 20 : 1 + generator.below(30_000)
            let offset = generator.below(model.count - length)
            let bytes = [UInt8](repeating: UInt8(step), count: length)
            #expect(pwrite(file.raw, bytes, length, off_t(offset)) == length)
            model.replaceSubrange(offset..<offset + length, with: bytes)
        }
        var seen = [UInt8](repeating: 0, count: model.count)
        #expect(pread(file.raw, &seen, seen.count, 0) == seen.count)
        #expect(seen == model)
        #expect(fsync(file.raw) == 0)
        #expect(served.seen.withLock { $0.contains { if case .flush = $0 { true } else { false } } })
    }

    @Test("the file ends where the volume ends, and cannot be made longer or shorter")
    func edges() throws {
        let served = try ServedFile(size: 1 << 20)
        defer { served.end() }
        let file = Descriptor(adopting: open(served.path, O_RDWR))
        var bytes = [UInt8](repeating: 1, count: 8192)
        #expect(pwrite(file.raw, bytes, 8192, off_t(1 << 20) - 4096) == -1)
        #expect(errno == ENOSPC)
        #expect(pread(file.raw, &bytes, 8192, off_t(1 << 20) - 4096) == 4096)
        #expect(pread(file.raw, &bytes, 8192, off_t(1 << 20) + 4096) == 0)
        #expect(ftruncate(file.raw, 4096) == -1)
        #expect(ftruncate(file.raw, 1 << 20) == 0)
        var status = stat()
        #expect(stat(served.path, &status) == 0)
        #expect(status.st_size == 1 << 20)
        #expect(clinux_fallocate(file.raw, 0, 0, 1 << 20) == 0)
        #expect(clinux_fallocate(file.raw, 0, 0, (1 << 20) + 1) == -1)
        #expect(clinux_fallocate(file.raw, 8, 0, 4096) == -1)  // FALLOC_FL_COLLAPSE_RANGE
        #expect(open("\(served.folder)/other", O_RDWR) == -1)
        #expect(throws: SystemError(operation: "mount on", subject: served.folder, code: EBUSY)) {
            _ = try FuseMount(at: served.folder)
        }
    }

    @Test("an error of the server reaches the writer whole, through the file and through a loop device")
    func errorsPass() throws {
        let served = try ServedFile(size: 8 << 20)
        defer { served.end() }
        let file = Descriptor(adopting: open(served.path, O_RDWR))
        let bytes = [UInt8](repeating: 1, count: 65536)
        served.mood.withLock { $0 = .failing }
        #expect(pwrite(file.raw, bytes, bytes.count, 0) == -1 && errno == EIO)
        #expect(fsync(file.raw) == -1 && errno == EIO)
        served.mood.withLock { $0 = .normal }
        guard Can.attachLoops else { return }
        let loop = try LoopDevice.attach(served.path)
        let device = Descriptor(adopting: open(loop.path, O_RDWR))
        #expect(pwrite(device.raw, bytes, bytes.count, 0) == bytes.count)
        served.mood.withLock { $0 = .failing }
        // Buffered on the loop device: the error must come out at the latest with fsync.
        #expect(pwrite(device.raw, bytes, bytes.count, 1 << 20) == bytes.count)
        #expect(fsync(device.raw) == -1 && errno == EIO)
        served.mood.withLock { $0 = .normal }
        device.close()
        let path = loop.path
        try loop.detach()
        #expect(LoopDevice.isDetached(path))
    }

    @Test("after the end everything is EIO for ever, and the mount can still be taken away")
    func over() throws {
        let served = try ServedFile(size: 1 << 20)
        defer { served.end() }
        let file = Descriptor(adopting: open(served.path, O_RDWR))
        var bytes = [UInt8](repeating: 1, count: 4096)
        #expect(pwrite(file.raw, bytes, 4096, 0) == 4096)
        served.mood.withLock { $0 = .over }
        _ = pread(file.raw, &bytes, 4096, 0)
        served.mood.withLock { $0 = .normal }
        #expect(pread(file.raw, &bytes, 4096, 0) == -1 && errno == EIO)
        #expect(pwrite(file.raw, bytes, 4096, 0) == -1 && errno == EIO)
        #expect(fsync(file.raw) == -1 && errno == EIO)
    }

    @Test(
        "a loop device is found by its name after its mount was taken out of the tree",
        .enabled(if: Can.attachLoops, "loop: needs root and loop devices"))
    func leftBehind() throws {
        let served = try ServedFile(size: 8 << 20)
        defer { served.end() }
        let loop = try LoopDevice.attach(served.path)
        let path = loop.path
        #expect(umount2(served.folder, Int32(MNT_DETACH)) == 0)
        #expect(LoopDevice.paths(named: served.path) == [path])
        try loop.detach()
        #expect(LoopDevice.paths(named: served.path) == [])
    }

    @Test(
        "ext4 on a loop device on the file: made, mounted, written, checked",
        .enabled(if: Can.makeExt4, "ext4: needs root, loop devices and mkfs.ext4"))
    func ext4() throws {
        let served = try ServedFile(size: 64 << 20)
        defer { served.end() }
        let loop = try LoopDevice.attach(served.path)
        let path = loop.path
        var isAttached = true
        defer { if isAttached { do { try LoopDevice.detach(path) } catch { Issue.record("\(error)") } } }
        let usesDirectIO = loop.usesDirectIO
        #expect(usesDirectIO)
        #expect(LoopDevice.paths(backedBy: served.path) == [path])
        #expect(LoopDevice.paths(named: served.path) == [path])
        #expect(run("mkfs.ext4 -q -F \(path)") == 0)
        let target = "\(served.folder)-ext4"
        mkdir(target, 0o700)
        defer { rmdir(target) }
        try #require(Glibc.mount(path, target, "ext4", 0, nil) == 0)
        do {
            defer { #expect(umount2(target, 0) == 0) }
            let file = Descriptor(adopting: open("\(target)/file", O_RDWR | O_CREAT, 0o600))
            let bytes = [UInt8](repeating: 3, count: 10 << 20)
            #expect(write(file.raw, bytes, bytes.count) == bytes.count)
            #expect(fsync(file.raw) == 0)
        }
        #expect(served.seen.withLock { $0.contains { if case .zero = $0 { true } else { false } } })
        #expect(run("e2fsck -fn \(path)") == 0)
        try loop.detach()
        isAttached = false
        #expect(LoopDevice.isDetached(path))
    }

    private func run(_ command: String) -> Int32 { system("\(command) >/dev/null 2>&1") }
}
