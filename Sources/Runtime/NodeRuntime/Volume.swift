public import BlockStore
import DiskFormat
import LinuxSystem
import Synchronization

/// A running volume: its thread, and the two ways to talk with it. Any thread may.
public final class Volume: Sendable {
    private let inbox: VolumeInbox
    private let shared: VolumeShared
    private let thread: Mutex<SystemThread?>

    /// Reads the metadata and starts the thread, which hands the replica its `start`.
    ///
    /// `report` is called on the volume's thread and must not block; orders may be posted from it.
    public init(
        _ configuration: VolumeConfiguration, backing: consuming BackingFile,
        metadata: consuming MetadataFile,
        report: @escaping @Sendable (VolumeReport) -> Void
    ) throws(VolumeError) {
        let start = try VolumeMetadata(reading: metadata)
        guard backing.size >= start.superblock.size else {
            throw .backing(
                .tooSmall(path: backing.path, has: backing.size, needs: start.superblock.size))
        }
        do throws(SystemError) {
            let inbox = try VolumeInbox()
            let shared = VolumeShared()
            let parts = VolumeParts(backing: backing, metadata: metadata)
            self.inbox = inbox
            self.shared = shared
            let thread = try SystemThread(name: configuration.name) {
                guard let files = parts.take() else { return }
                do throws(SystemError) {
                    var loop = VolumeLoop(
                        configuration, start: start, files: files, means: try .make(), inbox: inbox,
                        shared: shared, report: report)
                    try loop.run()
                    report(.stopped)
                } catch {
                    report(.died(error))
                }
            }
            self.thread = Mutex(thread)
        } catch {
            throw .system(error)
        }
    }

    /// Tells the volume's thread something.
    public func post(_ order: VolumeOrder) { inbox.post(order) }

    /// The volume as of at most some 50 ms ago.
    public var status: VolumeStatus { shared.status.withLock { $0 } }

    /// Ends the thread and waits until it has ended. The device should be unmounted before.
    public func stop() {
        inbox.post(.stop)
        thread.withLock { $0.take() }?.join()
    }
}

/// What a volume's thread publishes.
final class VolumeShared: Sendable {
    let status = Mutex(VolumeStatus())
}

/// The files on their way to the thread.
final class VolumeParts: Sendable {
    struct Files: ~Copyable, Sendable {
        let backing: BackingFile
        let metadata: MetadataFile
    }

    private let files: Mutex<Files?>

    init(backing: consuming BackingFile, metadata: consuming MetadataFile) {
        files = Mutex(Files(backing: backing, metadata: metadata))
    }

    func take() -> Files? { files.withLock { $0.take() } }
}
