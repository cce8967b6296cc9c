public import SecureChannel
public import Settings

/// What a node and the witness must have in common to open a session, beside the secret.
public enum WitnessAgreement {
    /// What the witness is called in the names of keys. No node can be called so in its place: a node's name stands
    /// before it.
    public static let name = "witness"
    /// The purpose of the keys.
    public static let purpose = "witness"

    /// The key with which the node of that name opens its sessions.
    public static func key(_ secret: ClusterSecret, cluster: String, node: String) -> PresharedKey {
        secret.key(cluster: cluster, purpose: purpose, client: node, server: name)
    }

    /// The keys that the witness takes: one for each node.
    public static func keys(_ secret: ClusterSecret, _ settings: Settings) -> [PresharedKey] {
        settings.nodes.map { key(secret, cluster: settings.cluster, node: $0.name) }
    }

    /// What is given to `SecureConnection`, which puts the length before it: WireFormat has done so already.
    static func message(_ encoded: [UInt8]) -> [UInt8] { Array(encoded.dropFirst(4)) }
}
