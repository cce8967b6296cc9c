/// Deliberate mistakes of a whole node that tests of the tests switch on, in virtual machines; no command of the product
/// knows them.
public enum NodeBreak: String, Sendable, CaseIterable {
    /// The address is raised before the NFS server answers.
    case addressRaisedBeforeServer
    /// The NFS server's scope is the node's name, not the cluster's.
    case scopeOfNode
    /// The records of NFS clients are on the node's own disk, not on the volume.
    case recordsOfNode
    /// Clients of NFS 4.0 that have reclaimed are not written into the records: the kernel leaves them out.
    case reclaimsNotRecorded
}
