public import Basics
public import Replication

/// How a volume's thread shall run.
public struct VolumeConfiguration: Sendable {
    /// For logs and the thread's name, such as "files/data".
    public var name: String
    public var replica: ReplicaConfiguration
    /// A peer that has said nothing for so long is taken for gone.
    public var peerSilence: Interval
    /// How often a sign of life is asked for.
    public var pingInterval: Interval
    /// Tests only: the fdatasync of these points is not made and reported done (`SyncPoint`).
    public var omittedSyncs: Set<SyncPoint>
    /// Tests only: told each call on the volume's files, on the volume's thread. None: nothing is copied or called.
    public var diskRecorder: (@Sendable (DiskCall) -> Void)?
    /// Feeds the replica's random marks: must differ between two lives.
    public var seed: UInt64

    public init(
        name: String, replica: ReplicaConfiguration, seed: UInt64,
        peerSilence: Interval = .milliseconds(2500),
        pingInterval: Interval = .milliseconds(800),
        omittedSyncs: Set<SyncPoint> = [], diskRecorder: (@Sendable (DiskCall) -> Void)? = nil
    ) {
        self.name = name
        self.replica = replica
        self.seed = seed
        self.peerSilence = peerSilence
        self.pingInterval = pingInterval
        self.omittedSyncs = omittedSyncs
        self.diskRecorder = diskRecorder
    }
}
