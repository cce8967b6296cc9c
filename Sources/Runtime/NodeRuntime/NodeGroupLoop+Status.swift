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
    let body = Mutex(JSONValue.null)
}

// What `tandem status` shows, in DRBD's words.
extension NodeGroupLoop {
    func publish() {
        let value = JSONValue.object(roleFields + copyFields + countFields)
        shared.body.withLock { $0 = value }
    }

    private var roleFields: [JSONValue.Field] {
        [
            .init("name", .string(group.name)),
            .init("role", .string(isPrimary ? "Primary" : "Secondary")),
            .init("state", .string(stateText)),
            .init("held", .boolean(isHeld)), .init("down", .boolean(isDown)),
            .init("elector", .string(router.map { "\($0.state)" } ?? "external")),
            .init("eligible", .boolean(router?.isEligible ?? isPromotable(replica))),
            .init("address", .optional(group.address?.description)),
            .init("addressRaised", .boolean(port?.isRaised ?? false)),
            .init("mount", .optional(group.mount?.path)),
            .init(
                "device",
                .optional(group.volume.map { NodeContext.linkPath(context.settings, group.name, $0.name) })),
            .init("leaseMilliseconds", .count(remainingLease.wholeMilliseconds)),
            .init("peerRole", .string(peerSign.map { $0.isServing ? "Primary" : "Secondary" } ?? "Unknown")),
        ]
    }

    private var stateText: String {
        switch plan.state {
        case .secondary: "secondary"
        case .primary: "primary"
        case .running(let phase, let step): "\(phase): \(step)"
        case .stuck(let phase, let step, let failure): "stuck in \(phase) at \(step): \(Self.words(failure))"
        }
    }

    private var copyFields: [JSONValue.Field] {
        let status = replica
        let record = status.record
        func names(_ set: NodeSet) -> JSONValue {
            .array(NodeIndex.allCases.filter { set.contains($0) }.map { .string(context.settings[$0].name) })
        }
        return [
            .init("disk", .string(diskText(status))),
            .init("peerDisk", .string(peerDiskText(status))),
            .init("connection", .string(connectionText(status))),
            .init("replication", .string(replicationText(status))),
            .init("frozen", .boolean(status.isFrozen)),
            .init("restarted", .boolean(status.isRestarted)),
            .init("epoch", .count(record?.epoch ?? 0)),
            .init("holder", .optional(record.map { context.settings[$0.holder].name })),
            .init("copies", record.map { names($0.copies) } ?? .array([])),
            .init("openRequest", .optional(status.openRequest.map { "\($0.purpose)" })),
            .init("size", .count(status.size)),
            .init("dirtyBytes", .count(UInt64(status.dirtyBlocks) * BlockSize.block)),
            .init("loggedBytes", .count(UInt64(0))),
            .init("resyncBytesSent", .count(status.resyncBytesSent)),
        ]
    }

    private var countFields: [JSONValue.Field] {
        let counters = replica.counters
        return [
            .init("writes", .count(counters.writes)), .init("reads", .count(counters.reads)),
            .init("flushes", .count(counters.flushes)),
            .init("bytesWritten", .count(counters.bytesWritten)),
            .init("bytesRead", .count(counters.bytesRead)),
            .init("framesReceived", .count(counters.framesReceived)),
        ]
    }

    private func diskText(_ status: VolumeStatus) -> String {
        guard volume != nil else { return "None" }
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
