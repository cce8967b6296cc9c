/// Every sync of the witness's store by its number, after those of a volume (`SyncPoint`).
public enum WitnessSync: UInt8, Sendable, Hashable, CaseIterable {
    /// The record's bytes, before the file's name means them.
    case record = 31
    /// The name, before the record is told to anybody.
    case recordName = 32
}

/// One call of the witness's store on its disk, after it has ended. From these, what a power cut could leave can be
/// rebuilt for every moment.
public enum WitnessDiskCall: Sendable {
    /// A file beside the record's has these bytes.
    case written([UInt8])
    /// It has the record's name.
    case renamed
    case synced(WitnessSync)
}

/// How tests look at the store's disk and break it; one that is made without words does neither.
public struct WitnessDisk: Sendable {
    /// Syncs that are left out.
    public var omitted: Set<WitnessSync>
    /// Told of each call, on the witness's thread.
    public var recorder: (@Sendable (WitnessDiskCall) -> Void)?

    public init(omitted: Set<WitnessSync> = [], recorder: (@Sendable (WitnessDiskCall) -> Void)? = nil) {
        self.omitted = omitted
        self.recorder = recorder
    }
}
