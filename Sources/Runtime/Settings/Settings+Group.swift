public import Basics

extension Settings {
    /// What moves together: a volume, its mount and export, an address.
    public struct Group: Sendable, Equatable {
        /// The name: letters, digits, `-` and `_`, at most 32.
        public var name: String
        /// `address`: the virtual address with its prefix length.
        public var address: IPv4Prefix?
        /// `interface`: where the address is raised; nil: the one that carries this node's own address.
        public var interface: String?
        /// `prefer`: the node that becomes Primary when both could; nil: either.
        public var prefer: NodeIndex?
        /// `virtual-router-id`: 1...255, unique among the cluster's groups.
        public var virtualRouterID: UInt8
        /// `priority`: 1...254, of the preferred node's advertisements.
        public var priority: UInt8
        /// `volume`; nil: the group moves an address alone.
        public var volume: Volume?
        /// `mount`; nil, or the group has a volume.
        public var mount: Mount?
        /// `export`; nil, or the group has a mount.
        public var export: Export?
        /// `on-stuck`
        public var onStuck: OnStuck
        /// `resync`
        public var resync: Resync
        /// `proxy`: the front proxy that must serve where the address is; nil, or the group has no volume.
        public var proxy: String?
    }

    /// A replicated block device.
    public struct Volume: Sendable, Equatable {
        /// `name`: the last part of `/dev/tandem/GROUP/VOLUME`.
        public var name: String
        /// `size` in bytes: a multiple of 4096, 1 MiB ... 16 TiB.
        public var size: UInt64
        /// `backing`: the file or block device that holds this machine's copy.
        public var backing: String
        /// `activity-log-extents`: 7...3676 extents of 4 MiB that may be written without a metadata write.
        public var activityLogExtents: Int
        /// `direct-io`: whether the backing file is opened with O_DIRECT.
        public var directIO: Bool
    }

    /// Where the metadata of a group's copy lies: beside its backing file; for a device in `state-directory`, because
    /// /dev is empty after each start of the machine. nil: the group has no volume.
    public func metadataPath(of group: Group) -> String? {
        guard let volume = group.volume else { return nil }
        return volume.backing.hasPrefix("/dev/")
            ? "\(stateDirectory)/\(group.name).tandem" : volume.backing + ".tandem"
    }

    /// Where the volume's file system is mounted on its Primary.
    public struct Mount: Sendable, Equatable {
        /// The directory, absolute.
        public var path: String
        /// What mkfs(8) makes and mount(8) is told.
        public var type: FileSystem
        /// As mount(8) takes them after `-o`.
        public var options: [String]
    }

    /// The file systems that a mount may name.
    public enum FileSystem: String, Sendable, CaseIterable {
        case ext4
        case xfs
    }

    /// The NFS export of the mount.
    public struct Export: Sendable, Equatable {
        /// `to`: the networks or addresses that may mount it, as exports(5) writes them; at least one.
        public var to: [String]
        /// As exports(5) takes them; `fsid` is added by Tandem.
        public var options: [String]
        /// `versions`: the versions of NFS that are served, in ascending order; at least one.
        public var versions: [NFSVersion]
    }

    /// A version of NFS.
    public enum NFSVersion: String, Sendable, CaseIterable {
        case three = "3"
        case fourZero = "4.0"
        case fourOne = "4.1"
        case fourTwo = "4.2"
    }

    /// What a node does while something of an old grant cannot be removed.
    public enum OnStuck: String, Sendable, CaseIterable {
        /// Says who pins it, and waits.
        case wait
        /// Restarts the machine.
        case reboot
    }

    /// How a resync treats the target's older, whole image.
    public enum Resync: String, Sendable, CaseIterable {
        /// Overwrites it.
        case direct
        /// Keeps its blocks until the resync is complete.
        case keepOlder = "keep-older"
    }
}
