public import Basics
public import DiskFormat
public import Quorum
public import Replication

/// A volume as its thread saw it last.
public struct VolumeStatus: Sendable, Equatable {
    public var size: UInt64 = 0
    public var isPrimary = false
    public var isFrozen = false
    public var isRestarted = true
    public var isDiskFailed = false
    /// Whether the device is served through the peer, whose copy the record names alone.
    public var isDiskless = false
    public var link = LinkState.down
    public var sync = SyncState.none
    public var condition = CopyCondition.consistent
    public var record: ArbiterRecord?
    public var openRequest: ArbiterRequest?
    public var current = Generation.none
    /// Blocks of 4 KiB that may differ.
    public var dirtyBlocks = 0
    public var resyncBytesSent: UInt64 = 0
    /// Whether a FUSE session is served, and not only refused.
    public var isServing = false
    public var counters = VolumeCounters()

    public init() {}
}

/// What a volume's thread has done since it started.
public struct VolumeCounters: Sendable, Equatable {
    /// Requests of the device.
    public var writes: UInt64 = 0
    public var reads: UInt64 = 0
    public var flushes: UInt64 = 0
    public var zeroes: UInt64 = 0
    /// Bytes of the device's writes and reads.
    public var bytesWritten: UInt64 = 0
    public var bytesRead: UInt64 = 0
    /// Data frames of the peer.
    public var framesReceived: UInt64 = 0
    /// fdatasync calls of data and of metadata.
    public var dataSyncs: UInt64 = 0
    public var metadataStores: UInt64 = 0
    /// Waits of the loop.
    public var wakeUps: UInt64 = 0

    public init() {}
}
