public import Basics
public import Replication

/// One call of a volume's thread on its files, as `VolumeConfiguration.diskRecorder` is told it: what was handed to
/// the kernel, and what came back. From these, what a power cut could leave can be rebuilt for every moment.
public enum DiskCall: Sendable {
    /// Which of the volume's two files.
    public enum File: Sendable, Hashable {
        case data, metadata
    }

    /// A write is handed to the kernel. `serial` names it until it has ended; `point` is told of metadata alone.
    case write(File, serial: Int, offset: UInt64, [UInt8], point: SyncPoint?)
    /// The range of the backing file is about to read as zeroes.
    case zero(serial: Int, ByteRange)
    /// That write, or those zeroes, have ended.
    case written(File, serial: Int, ok: Bool)
    /// An fdatasync is handed to the kernel: it covers the writes to the file that have ended.
    case sync(File, SyncPoint)
    /// That fdatasync has ended.
    case synced(File, SyncPoint, ok: Bool)
}
