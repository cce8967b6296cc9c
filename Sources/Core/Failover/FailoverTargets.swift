public import Basics

/// The mount of one volume, as the settings name it.
public struct MountTarget: Sendable, Hashable {
    /// An absolute path.
    public var path: String
    /// "ext4" and the like.
    public var type: String
    public var options: [String]

    public init(path: String, type: String, options: [String] = []) {
        self.path = path
        self.type = type
        self.options = options
    }
}

/// One volume of a group and what is made of it on its Primary.
public struct VolumeTarget: Sendable, Hashable {
    public var name: String
    /// Without one the volume is a device only: the operator mounts it, or nobody.
    public var mount: MountTarget?

    public init(name: String, mount: MountTarget? = nil) {
        self.name = name
        self.mount = mount
    }
}

/// A version of NFS that a server may serve.
public enum ExportVersion: String, Sendable, Hashable, CaseIterable {
    case three = "3"
    case fourZero = "4.0"
    case fourOne = "4.1"
    case fourTwo = "4.2"
}

/// The NFS export of a group, and what its server keeps on the volume.
public struct ExportTarget: Sendable, Hashable {
    /// The directory that clients mount; the file system mounted there is on the first volume that has a mount.
    public var path: String
    /// Who may mount it: addresses or networks, as exports(5) writes them.
    public var clients: [String]
    /// As exports(5) takes them, without `fsid` and `mountpoint`.
    public var options: [String]
    /// What names the file system in every file handle: the same on both nodes.
    public var fileSystemIdentifier: UInt32
    /// What the server calls itself: clients whose server has another scope lose their state.
    public var scope: String
    /// Where the client records lie: on the volume, so that the next server has them.
    public var records: String
    /// The versions that are served.
    public var versions: Set<ExportVersion>
    /// Where the names of the clients of version 3 with locks lie: on the volume.
    public var lockRecords: String
    /// Whether clients that have reclaimed are written into the records: of version 4.0 the kernel does not do it.
    public var recordsReclaims: Bool

    /// Version 3 has locks, and what keeps them, beside the server.
    public var hasLockRecords: Bool { versions.contains(.three) }
    /// Nothing tells when a client of these versions has reclaimed all that it had, so new locks wait for a period that
    /// must be short.
    public var hasShortGrace: Bool { versions.contains(.three) || versions.contains(.fourZero) }

    public init(
        path: String, clients: [String], options: [String], fileSystemIdentifier: UInt32, scope: String,
        records: String, versions: Set<ExportVersion> = [.fourOne, .fourTwo], lockRecords: String = ""
    ) {
        self.path = path
        self.clients = clients
        self.options = options
        self.fileSystemIdentifier = fileSystemIdentifier
        self.scope = scope
        self.records = records
        self.versions = versions
        self.lockRecords = lockRecords
        recordsReclaims = versions.contains(.fourZero)
    }
}

/// What moves together: a group's volumes in the order of the settings, its export and its addresses.
public struct FailoverTargets: Sendable, Hashable {
    public var group: String
    public var volumes: [VolumeTarget]
    /// nil: nothing is served over NFS.
    public var export: ExportTarget?
    public var addresses: [IPv4Prefix]
    public var deadlines: FailoverDeadlines

    public init(
        group: String, volumes: [VolumeTarget], export: ExportTarget? = nil, addresses: [IPv4Prefix],
        deadlines: FailoverDeadlines = .init()
    ) {
        self.group = group
        self.volumes = volumes
        self.export = export
        self.addresses = addresses
        self.deadlines = deadlines
    }
}

/// How long steps may take.
public struct FailoverDeadlines: Sendable, Hashable {
    /// Waiting for the arbiter: the longest promise of another, and its answer.
    public var grant: Interval = .seconds(15)
    /// Steps that are a few system calls.
    public var quick: Interval = .seconds(5)
    /// A file-system check by the distribution's tool.
    public var check: Interval = .seconds(600)
    /// mount(2), which may replay a journal, and umount(2), which writes all that is dirty.
    public var mount: Interval = .seconds(60)
    /// Starting or stopping a part of the NFS server: processes, and threads of the kernel that finish what they do.
    public var server: Interval = .seconds(20)
    /// After a step was told to stop: until then it is expected to have answered.
    public var cancel: Interval = .seconds(6)
    /// Between two tries of a step that is stuck.
    public var retry: Interval = .seconds(1)

    public init() {}
}

/// Deliberate mistakes that the tests of the tests switch on; never set in a product.
public enum FailoverBreak: UInt8, Sendable, Hashable, CaseIterable {
    /// The address is raised before the volume is open, against G5.
    case addressRaisedFirst = 1
    /// The address is raised before the NFS server answers, against G5: clients meet a reset and back off.
    case addressRaisedBeforeServer = 2
}
