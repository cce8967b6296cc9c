import Basics
import BlockStore
import DiskFormat
import LinuxSystem
import Quorum
import SecureChannel
import Settings
import WireFormat

/// Gives back what a dead worker held, so that the other node need not wait for the lease to end.
enum KeeperGrant {
    private static let limit = Interval.seconds(1)

    /// Tells the other node that nobody answers clients here any more: its promise to this node is void. Best effort:
    /// it ends by itself.
    static func tellPeer(_ context: NodeContext) {
        let peer = context.settings[context.node.peer]
        let deadline = Instant.now() + limit
        _ = Result {
            let connection = try SecureConnection.connect(
                to: try NodeContext.socketAddress(peer.address, peer.port),
                key: context.keeperKey(from: context.node), deadline: deadline)
            for group in context.settings.groups {
                try connection.send(PeerMessage.resigned(group: group.name).encoded, deadline: deadline)
            }
            connection.close()
        }
    }

    /// Tells the witness of each record that names this node as holder. Best effort: the lease ends by itself.
    static func release(_ context: NodeContext) {
        guard let witness = context.settings.witness else { return }
        var requests: [WitnessRequest] = []
        for group in context.settings.groups {
            guard let path = context.settings.metadataPath(of: group), let record = record(in: path),
                record.holder == context.node
            else { continue }
            requests.append(.release(group: group.name, epoch: record.epoch, grant: record.grant))
        }
        guard !requests.isEmpty else { return }
        let key = context.secret.key(
            cluster: context.settings.cluster, purpose: "witness", client: context.name, server: "witness")
        let deadline = Instant.now() + limit
        _ = Result {
            let connection = try SecureConnection.connect(
                to: try NodeContext.socketAddress(witness.address, witness.port), key: key, deadline: deadline
            )
            let hello = WitnessHello(
                cluster: context.settings.clusterMark, node: context.node,
                life: context.life)
            try connection.send(ArbiterClient.message(.hello(hello)), deadline: deadline)
            _ = try connection.receive(deadline: deadline)
            for request in requests {
                try connection.send(ArbiterClient.message(request), deadline: deadline)
                _ = try connection.receive(deadline: deadline)
            }
            connection.close()
        }
    }

    private static func record(in path: String) -> ArbiterRecord? {
        let read = Result { () throws(any Error) -> ArbiterRecord? in
            let file = try MetadataFile.open(path, size: nil)
            return try VolumeMetadata(reading: file).superblock.record
        }
        guard case .success(let record) = read else { return nil }
        return record
    }
}
