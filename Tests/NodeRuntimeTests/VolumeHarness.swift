import Basics
import BlockStore
import DiskFormat
import FuseDevice
import Glibc
import LinuxSystem
import NodeRuntime
import Quorum
import Replication
import Synchronization
import Testing

/// A folder of a test's own, gone with it.
final class Folder: Sendable {
    let path: String

    init(in parent: String = "/dev/shm") throws {
        var template = Array("\(parent)/tandem-test-XXXXXX".utf8CString)
        let made = mkdtemp(&template).map { String(cString: $0) }
        path = try #require(made)
    }

    deinit {
        for name in ["mount", "data.img", "data.img.tandem", "peer.img", "peer.img.tandem", "file"] {
            _ = umount2("\(path)/\(name)", Int32(MNT_DETACH))
            if unlink("\(path)/\(name)") != 0 { _ = rmdir("\(path)/\(name)") }
        }
        _ = rmdir(path)
    }
}

/// What a volume's thread reported, to be waited for.
final class Reports: Sendable {
    private let seen = Mutex<[VolumeReport]>([])
    private let arrived: EventCounter

    init() throws { arrived = try EventCounter() }

    func take(_ report: VolumeReport) {
        seen.withLock { $0.append(report) }
        arrived.signal()
    }

    /// The first report that `match` accepts, of those not taken yet; fails after `limit`.
    func first<Value>(
        _ what: String, within limit: Interval = .seconds(20), _ match: (VolumeReport) -> Value?
    ) throws -> Value {
        let deadline = Instant.now() + limit
        while true {
            let found: Value? = seen.withLock { reports in
                for index in reports.indices {
                    if let value = match(reports[index]) {
                        reports.removeFirst(index + 1)
                        return value
                    }
                }
                return nil
            }
            if let found { return found }
            var poll = PollSet()
            poll.add(arrived.descriptor.raw, .readable)
            let count = try poll.wait(until: deadline)
            arrived.drain()
            if count == 0 {
                let all = seen.withLock { $0.map { "\($0)" }.joined(separator: "\n") }
                Issue.record("waited in vain for \(what); there was:\n\(all)")
                throw Missing()
            }
        }
    }

    struct Missing: Error {}
}

/// One node's copy of a volume: files, thread, and a FUSE mount while it is Primary.
final class TestVolume {
    let folder: Folder
    let volume: Volume
    let reports: Reports
    let size: UInt64
    private var mount: FuseMount?

    var file: String { "\(folder.path)/mount/\(FuseSession.fileName)" }

    init(
        folder: Folder, name: String = "data.img", node: NodeIndex = .first, copies: NodeSet? = nil,
        size: UInt64 = 64 << 20, access: BackingAccess? = nil, freezeTimeout: Interval = .seconds(5),
        hasArbiter: Bool = false, peerSilence: Interval = .milliseconds(2500)
    ) throws {
        self.folder = folder
        self.size = size
        let path = "\(folder.path)/\(name)"
        let record = ArbiterRecord(
            epoch: 1, grant: Mark(high: 1, low: 2), holder: .first, copies: copies ?? NodeSet(node))
        let superblock = Superblock(
            size: size, node: node, logCapacity: 256,
            generations: GenerationTuple(current: .zeroes, bitmap: .none, history: []),
            condition: .consistent,
            record: record, intent: nil, ownership: 7)
        if Glibc.access(path, F_OK) != 0 {
            try BackingFile.create(path, size: size)
            try MetadataFile.create(
                MetadataFile.path(besides: path), bytes: VolumeMetadata.initialBytes(superblock))
        }
        let reports = try Reports()
        self.reports = reports
        let replica = ReplicaConfiguration(
            me: node, hasArbiter: hasArbiter, freezeTimeout: freezeTimeout, waitForPeer: .milliseconds(1))
        volume = try Volume(
            VolumeConfiguration(
                name: name, replica: replica, seed: UInt64(getpid()) << 8 | UInt64(node.rawValue),
                peerSilence: peerSilence),
            backing: try BackingFile.open(path, size: size, access: access),
            metadata: try MetadataFile.open(MetadataFile.path(besides: path), size: nil)
        ) { reports.take($0) }
    }

    /// Promotes, asking again while the volume waits for its peer or settles with it.
    func promote() throws {
        let deadline = Instant.now() + .seconds(10)
        while true {
            volume.post(.event(.promote))
            let refusal: PromotionRefusal? = try reports.first("an answer to promote") { report in
                switch report {
                case .roleChanged(let isPrimary): isPrimary ? .some(nil) : nil
                case .promotionRefused(let reason): .some(reason)
                default: nil
                }
            }
            guard let refusal else { return }
            guard refusal == .waitingForPeer || refusal == .resyncRunning, Instant.now() < deadline else {
                Issue.record("promotion refused: \(refusal)")
                throw Reports.Missing()
            }
        }
    }

    /// Promotes, and answers the request to the arbiter with a grant of what was asked for.
    func promoteByGrant() throws {
        var asked: ArbiterRequest?
        let deadline = Instant.now() + .seconds(10)
        while asked == nil, Instant.now() < deadline {
            volume.post(.event(.promote))
            // Nil: refused, since it still settles with its peer.
            asked = try reports.first("an answer to promote") { report -> ArbiterRequest?? in
                switch report {
                case .ask(let request): .some(request)
                case .promotionRefused: .some(nil)
                default: nil
                }
            }
        }
        let request = try #require(asked)
        let record = ArbiterRecord(
            epoch: request.expectedEpoch + 1, grant: Mark(high: 3, low: request.expectedEpoch),
            holder: request.holder, copies: request.copies)
        volume.post(.event(.arbiterAnswered(identifier: request.identifier, .granted(record))))
        let _: Bool = try reports.first("the role") { report in
            if case .roleChanged(isPrimary: true) = report { true } else { nil }
        }
    }

    func serve() throws {
        let path = "\(folder.path)/mount"
        _ = mkdir(path, 0o700)
        let mount = try FuseMount(at: path)
        let number = dup(mount.descriptor.raw)
        volume.post(.device(MountedDevice(Descriptor(adopting: number))))
        let _: Bool = try reports.first("the device") { if case .deviceServing = $0 { true } else { nil } }
        self.mount = consume mount
    }

    func unmount() throws {
        let deadline = Instant.now() + .seconds(10)
        while true {
            do throws(SystemError) {
                try mount?.unmount()
                break
            } catch {
                // A writer that has just been killed lets go a moment later.
                guard error.code == EBUSY, Instant.now() < deadline else { throw error }
                sched_yield()
            }
        }
        mount = nil
        // Another process that copies its mount namespace at this moment keeps a session alive.
        volume.post(.dropDevice)
        let _: Bool = try reports.first("the session's end") {
            if case .deviceEnded = $0 { true } else { nil }
        }
    }

    deinit {
        mount = nil
        volume.stop()
    }
}
