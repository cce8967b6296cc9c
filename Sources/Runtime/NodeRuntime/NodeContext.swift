import Basics
import Election
import Failover
import LinuxSystem
import SecureChannel
import Settings
import Telemetry

/// What every part of a node's process knows.
struct NodeContext: Sendable {
    let settings: Settings
    let node: NodeIndex
    let secret: ClusterSecret
    /// Drawn when the process starts: tells a new life from a new connection.
    let life: Mark
    let journal: Journal
    /// Switched on by tests of the tests alone.
    var mistake: NodeBreak?

    var name: String { settings[node].name }
    var peerName: String { settings[node.peer].name }

    /// The times of the lease that the settings name.
    var leaseProfile: LeaseProfile {
        switch settings.lease {
        case .fast: .fast
        case .normal: .normal
        case .slow: .slow
        }
    }

    /// The directory that a volume's FUSE session is mounted on while this node is Primary.
    static func sessionPath(_ settings: Settings, _ group: Settings.Group) -> String {
        "\(settings.runDirectory)/sessions/\(group.name)"
    }

    /// The link to the block device that operators know.
    static func linkPath(_ settings: Settings, _ group: String, _ volume: String) -> String {
        "\(settings.deviceDirectory)/\(group)/\(volume)"
    }

    /// What Tandem keeps on a volume that is exported: client records, and who was connected. Root's alone.
    static func stateOnVolume(_ mount: Settings.Mount) -> String { "\(mount.path)/.tandem" }

    /// The export of a group as the plan knows it.
    static func exportTarget(_ settings: Settings, _ group: Settings.Group) -> ExportTarget? {
        guard let export = group.export, let mount = group.mount else { return nil }
        let identifier = Checksum.crc32c(Array("\(settings.cluster)/\(group.name)".utf8)) & 0x7FFF_FFFF
        return ExportTarget(
            path: mount.path, clients: export.to, options: export.options,
            // 0 would make it the root of all exports.
            fileSystemIdentifier: max(1, identifier), scope: settings.cluster,
            records: "\(stateOnVolume(mount))/nfsdcld",
            versions: Set(export.versions.compactMap { ExportVersion(rawValue: $0.rawValue) }),
            lockRecords: "\(stateOnVolume(mount))/statd")
    }

    /// What this node serves: with the mistake that a test of the tests may have switched on.
    func exportTarget(of group: Settings.Group) -> ExportTarget? {
        guard var export = Self.exportTarget(settings, group) else { return nil }
        if mistake == .scopeOfNode { export.scope = name }
        if mistake == .recordsOfNode { export.records = "\(settings.stateDirectory)/nfsdcld" }
        if mistake == .reclaimsNotRecorded { export.recordsReclaims = false }
        return export
    }

    /// The key of a connection from the first node to the second.
    func key(_ purpose: String) -> PresharedKey {
        secret.key(
            cluster: settings.cluster, purpose: purpose, client: settings[.first].name,
            server: settings[.second].name)
    }

    /// The key with which the keeper of that node speaks to the other one.
    func keeperKey(from node: NodeIndex) -> PresharedKey {
        secret.key(
            cluster: settings.cluster, purpose: "keeper", client: settings[node].name,
            server: settings[node.peer].name)
    }

    /// Names cluster and group in a superblock, so that a foreign file is refused.
    static func ownership(cluster: String, group: String) -> UInt32 {
        Checksum.crc32c(Array("\(cluster)/\(group)".utf8))
    }
}
