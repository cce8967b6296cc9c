import Basics
import ControlPlane
import DiskFormat
import Election
import Failover
import LinuxSystem
import Netlink
import Quorum
import Replication
import Settings
import Synchronization

/// A group as it is shown.
final class NodeGroupShared: Sendable {
    private let shown: Mutex<GroupStatus>

    init(_ group: String) { shown = Mutex(GroupStatus(group: group)) }

    var status: GroupStatus {
        get { shown.withLock { $0 } }
        set { shown.withLock { $0 = newValue } }
    }
}

// What `tandem status` shows, in DRBD's words.
extension NodeGroupLoop {
    func publish() {
        let replica = replica
        var status = GroupStatus(group: group.name)
        status.role = isPrimary ? "Primary" : "Secondary"
        status.disk = diskText(replica)
        status.connection = connectionText(replica)
        status.replication = replicationText(replica)
        status.peer = GroupStatus.Peer(
            role: peerSign.map { $0.isServing ? "Primary" : "Secondary" } ?? "Unknown",
            disk: peerDiskText(replica),
            isBlocked: peerSign.map { $0.isBlocked || $0.isHeld } ?? false)
        status.record = replica.record.map { record in
            GroupStatus.Record(
                epoch: record.epoch, grant: "\(record.grant)", holder: context.settings[record.holder].name,
                copies: NodeIndex.allCases.filter { record.copies.contains($0) }.map {
                    context.settings[$0].name
                })
        }
        status.arbiter = GroupStatus.Arbiter(
            kind: context.settings.witness == nil ? "none" : "witness", isReachable: isArbiterUp,
            hasLostRecords: isArbiterUp && hasArbiterForgotten,
            openRequest: replica.openRequest.map { "\($0.purpose)" })
        status.volume = volumeStatus(replica)
        status.isFrozen = replica.isFrozen
        status.address = group.address.map {
            GroupStatus.Address(value: "\($0)", isPresent: port?.isRaised ?? false)
        }
        status.failover = failoverStatus
        status.failover.obstacle = obstacle ?? holdText ?? serviceText
        shared.status = status
    }

    private var holdText: String? {
        if isDown { return "down by its operator: `tandem up` lets it take part" }
        guard isHeld, plan.isClean, !isAwaited(.switchover) else { return nil }
        return "held back by its operator: `tandem up` lets it take over"
    }

    private func volumeStatus(_ replica: VolumeStatus) -> GroupStatus.Volume? {
        guard let volume = group.volume else { return nil }
        var status = GroupStatus.Volume()
        status.size = volume.size
        status.dirtyBlocks = UInt64(replica.dirtyBlocks)
        status.loggedBytes = loggedBytes
        status.resyncBytesSent = replica.resyncBytesSent
        if replica.sync != .none, resyncBlocks > 0 {
            status.donePercent = max(0, 100 - 100 * Double(replica.dirtyBlocks) / Double(resyncBlocks))
        }
        if plan.state == .primary {
            status.device = NodeContext.linkPath(context.settings, group.name, volume.name)
        }
        return status
    }

    private var failoverStatus: GroupStatus.Failover {
        switch plan.state {
        case .secondary: GroupStatus.Failover()
        case .primary: GroupStatus.Failover(state: "primary")
        case .running(let phase, let step): GroupStatus.Failover(state: "\(phase)", step: step)
        case .stuck(_, let step, let failure):
            GroupStatus.Failover(state: "stuck", step: step, stuck: "\(step): \(Self.words(failure))")
        }
    }

    private func diskText(_ status: VolumeStatus) -> String {
        guard volume != nil else { return "None" }
        if status.isDiskless { return "Diskless" }
        if status.isDiskFailed || status.condition == .failed { return "Failed" }
        switch status.condition {
        case .inconsistent, .awaitingRecord: return "Inconsistent"
        case .failed: return "Failed"
        case .consistent: break
        }
        guard let record = status.record, record.copies.contains(context.node) else { return "Outdated" }
        return status.isRestarted && record.copies == .both ? "Consistent" : "UpToDate"
    }

    private func peerDiskText(_ status: VolumeStatus) -> String {
        guard volume != nil, let record = status.record else { return "DUnknown" }
        if status.sync != .none { return status.sync == .target ? "UpToDate" : "Inconsistent" }
        let isOfPeer = record.holder == context.node.peer && record.copies == NodeSet(context.node)
        if isOfPeer { return "Diskless" }
        guard record.copies.contains(context.node.peer) else { return "Outdated" }
        return status.link == .up ? "UpToDate" : "DUnknown"
    }

    private func connectionText(_ status: VolumeStatus) -> String {
        if volume == nil { return isPeerUp ? "Connected" : "Connecting" }
        switch status.link {
        case .up, .preparing: return "Connected"
        case .settling, .greeted: return "Connecting"
        case .down: return peer.isAllowed(group.name) ? "Connecting" : "StandAlone"
        }
    }

    private func replicationText(_ status: VolumeStatus) -> String {
        switch (status.link, status.sync) {
        case (_, .source): "SyncSource"
        case (_, .gatedSource): "SyncSource"
        case (_, .target): "SyncTarget"
        case (.up, .none): "Established"
        case (.preparing, .none): "WFBitMapS"
        default: "Off"
        }
    }
}
