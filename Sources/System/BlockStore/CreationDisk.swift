/// Every sync of a file's making by its number, after those of a volume (`SyncPoint`) and of the witness's store.
public enum CreationSync: UInt8, Sendable, Hashable, CaseIterable {
    /// The bytes, before the file's name means them.
    case contents = 33
    /// The name, before anybody is told that the file is there.
    case name = 34
}

/// One step of making a file, after it has ended. From these, what a power cut could leave can be rebuilt for every
/// moment.
public enum CreationCall: Sendable, Equatable {
    /// A file beside the one that is being made has all its bytes.
    case written(String)
    /// It has its name.
    case named(String)
    case synced(String, CreationSync)
}

/// How tests look at the making of files and break it; one that is made without words does neither.
public struct CreationDisk: Sendable {
    /// Syncs that are left out.
    public var omitted: Set<CreationSync>
    /// Told of each step, on the caller's thread.
    public var recorder: (@Sendable (CreationCall) -> Void)?

    public init(omitted: Set<CreationSync> = [], recorder: (@Sendable (CreationCall) -> Void)? = nil) {
        self.omitted = omitted
        self.recorder = recorder
    }
}
