import Basics
import Glibc
import LinuxSystem
import NodeRuntime
import Quorum
import Replication
import Synchronization
import Testing
import WireFormat

/// A call that blocks, on a thread of its own: its result, or the negative errno, once it has one.
final class BlockedCall: Sendable {
    private let result = Mutex<Int?>(nil)
    private let ended: EventCounter
    private let thread = Mutex<SystemThread?>(nil)

    init(_ call: @escaping @Sendable () -> Int) throws {
        ended = try EventCounter()
        try thread.withLock { thread in
            thread = try SystemThread(name: "caller") { [self] in
                let value = call()
                let code = errno
                result.withLock { $0 = value < 0 ? -Int(code) : value }
                ended.signal()
            }
        }
    }

    var hasEnded: Bool { result.withLock { $0 != nil } }

    func value(within limit: Interval = .seconds(20)) throws -> Int? {
        var poll = PollSet()
        poll.add(ended.descriptor.raw, .readable)
        try poll.wait(until: .now() + limit)
        return result.withLock { $0 }
    }

    func join() { thread.withLock { $0.take() }?.join() }
}

@Suite(
    "a volume that loses something", .serialized,
    .enabled(if: Can.mountFuse, "fuse: needs root and /dev/fuse"))
struct VolumeLossTests {
    /// The other end of the connection of a volume, in the test's hands.
    private func connect(_ node: TestVolume) throws -> Descriptor {
        var ends: [Int32] = [-1, -1]
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        try #require(socketpair(AF_UNIX, kind, 0, &ends) == 0)
        node.volume.post(.link(PeerSocket(socket: Descriptor(adopting: ends[0]), channel: nil)))
        return Descriptor(adopting: ends[1])
    }

    private func closing(_ node: TestVolume) throws -> (reason: CloseReason, detail: String) {
        try node.reports.first("the connection's end") { report in
            if case .linkClosed(let reason, let detail) = report { (reason, detail) } else { nil }
        }
    }

    @Test("bytes that are no frame, or were altered on the way, end the connection, and a next one is taken")
    func brokenStream() throws {
        let folder = try Folder()
        let node = try TestVolume(folder: folder, copies: .both)
        let foreign = try connect(node)
        let noise = [UInt8](repeating: 0x55, count: 64)
        #expect(write(foreign.raw, noise, 64) == 64)
        #expect(try closing(node).reason == .protocolError)
        let altered = try connect(node)
        let stamp = EpochStamp(epoch: 1, grant: 2)
        var frame = FrameHeader.write(ByteRange(offset: 0, length: 4096), tag: 1, stamp: stamp)
            .frame(payload: [UInt8](repeating: 1, count: 4096), checksummed: true)
        frame[1000] ^= 1
        #expect(write(altered.raw, frame, frame.count) == frame.count)
        let end = try closing(node)
        #expect(end.reason == .protocolError && end.detail.contains("altered"))
        let cut = try connect(node)
        #expect(write(cut.raw, frame, 200) == 200)
        cut.close()
        #expect(try closing(node).reason == .lost)
        // 64 frames that are cut off must not use up the 64 places.
        for _ in 0..<70 {
            let again = try connect(node)
            #expect(write(again.raw, frame, 300) == 300)
            // Our end still takes what is sent, so the volume reads as far as the bytes go.
            #expect(shutdown(again.raw, Int32(SHUT_WR)) == 0)
            _ = try closing(node)
        }
        // A whole frame still finds a place, so that what follows it is looked at.
        frame[1000] ^= 1
        let last = try connect(node)
        #expect(write(last.raw, frame + noise, frame.count + 64) == frame.count + 64)
        #expect(try closing(node).reason == .protocolError)
    }

    @Test("a peer that says nothing is taken for gone after the time that was set")
    func silence() throws {
        let folder = try Folder()
        let node = try TestVolume(folder: folder, copies: .both, peerSilence: .milliseconds(200))
        let start = Instant.now()
        let peer = try connect(node)
        let end = try closing(node)
        #expect(end.reason == .lost && end.detail.contains("silent"))
        #expect(Instant.now().since(start) >= .milliseconds(199))
        peer.close()
    }

    @Test(
        "without a verdict a write freezes, then fails with EIO after the time that was set, and for ever after"
    )
    func frozen() throws {
        let folder = try Folder()
        let pair = try VolumePair(
            folder: folder, sealed: false, freezeTimeout: .milliseconds(600), hasArbiter: true)
        let node = pair.first
        node.volume.post(.event(.arbiterUp))
        try pair.connect()
        try node.promoteByGrant()
        try node.serve()
        let file = open(node.file, O_RDWR)
        let bytes = [UInt8](repeating: 1, count: 4096)
        #expect(pwrite(file, bytes, 4096, 0) == 4096)
        node.volume.post(.event(.arbiterLost))
        node.volume.post(.dropLink)
        let _: Bool = try node.reports.first("the freeze") { report in
            if case .note(.frozen) = report { true } else { nil }
        }
        let start = Instant.now()
        let call = try BlockedCall { pwrite(file, [UInt8](repeating: 2, count: 4096), 4096, 8192) }
        // Deposed: the address is lowered first, and only then EIO is answered.
        let _: Bool = try node.reports.first("the order to lower the address") { report in
            if case .mute = report { true } else { nil }
        }
        #expect(Instant.now().since(start) >= .milliseconds(500))
        #expect(!call.hasEnded)
        node.volume.post(.event(.muted))
        #expect(try call.value() == -Int(EIO))
        call.join()
        let _: Bool = try node.reports.first("the role") { report in
            if case .roleChanged(isPrimary: false) = report { true } else { nil }
        }
        #expect(pwrite(file, bytes, 4096, 0) == -1 && errno == EIO)
        #expect(fsync(file) == -1 && errno == EIO)
        close(file)
        try node.unmount()
        pair.stop()
    }
}
