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

/// What moves together: a group's volumes in the order of the settings, and its addresses.
public struct FailoverTargets: Sendable, Hashable {
    public var group: String
    public var volumes: [VolumeTarget]
    public var addresses: [IPv4Prefix]
    public var deadlines: FailoverDeadlines

    public init(
        group: String, volumes: [VolumeTarget], addresses: [IPv4Prefix],
        deadlines: FailoverDeadlines = .init()
    ) {
        self.group = group
        self.volumes = volumes
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
}
