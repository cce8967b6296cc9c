public import Basics

/// What the arbiter stores for a group: who may write, and whose copies are current (DESIGN 7).
public struct ArbiterRecord: Sendable, Hashable {
    /// Counts the changes of this record; the first is 1.
    public var epoch: UInt64
    /// The random mark of this change: two grants of one epoch with different marks are a split brain, never equal.
    public var grant: Mark
    /// The node that may be Primary.
    public var holder: NodeIndex
    /// The nodes that hold current data; never empty.
    public var copies: NodeSet

    public init(epoch: UInt64, grant: Mark, holder: NodeIndex, copies: NodeSet) {
        self.epoch = epoch
        self.grant = grant
        self.holder = holder
        self.copies = copies
    }
}

/// Why a node asks the arbiter to change the record.
public enum ArbiterPurpose: UInt8, Sendable, Hashable, CaseIterable {
    /// The holder goes on without the peer, or leaves its own failed copy behind (R2).
    case narrow = 1
    /// The holder takes the resynced peer back into `copies` (R5).
    case widen = 2
    /// A member that lost the other becomes holder, alone (takeover).
    case takeOver = 3
    /// A member becomes holder, with both copies kept (both are connected).
    case promote = 4
    /// The holder hands over to the connected peer (switchover).
    case handOver = 5
    /// A member that is not the holder leaves `copies` in order (graceful leave).
    case leave = 6
}

/// A request to change the record by compare-and-set, stored by the asker before it is sent (R3).
public struct ArbiterRequest: Sendable, Hashable {
    /// Repeated under the same identifier it gets its first answer.
    public var identifier: Mark
    public var purpose: ArbiterPurpose
    public var asker: NodeIndex
    /// The epoch and grant that the record must still have.
    public var expectedEpoch: UInt64
    public var expectedGrant: Mark
    /// What the record shall name.
    public var holder: NodeIndex
    public var copies: NodeSet
    /// Whether the asker's process or machine has restarted and not met the other member since (R4).
    public var restarted: Bool

    public init(
        identifier: Mark, purpose: ArbiterPurpose, asker: NodeIndex, expectedEpoch: UInt64,
        expectedGrant: Mark,
        holder: NodeIndex, copies: NodeSet, restarted: Bool
    ) {
        self.identifier = identifier
        self.purpose = purpose
        self.asker = asker
        self.expectedEpoch = expectedEpoch
        self.expectedGrant = expectedGrant
        self.holder = holder
        self.copies = copies
        self.restarted = restarted
    }
}

/// Why the arbiter refused. The record that stood then travels with it.
public enum ArbiterRefusal: UInt8, Sendable, Hashable, CaseIterable {
    /// The record has moved on: the expected epoch or grant is not the current one.
    case recordChanged = 1
    /// The asker is not in `copies`.
    case notACopy = 2
    /// The asker is not the holder, and only the holder may ask this.
    case notTheHolder = 3
    /// The holder's lease has not run out.
    case leaseAlive = 4
    /// The asker has restarted and the other member, which has not, is heard (R4).
    case otherMemberIntact = 5
    /// There is no record: only `init`, `adopt` or `reseed` creates one.
    case noRecord = 6
    /// The witness was told of a newer record than its own and grants nothing until it is reseeded.
    case rolledBack = 7
    /// The request contradicts the rules (a holder outside `copies`, an empty `copies`).
    case malformed = 8
}

/// The arbiter's answer to one request.
public enum ArbiterAnswer: Sendable, Hashable {
    case granted(ArbiterRecord)
    /// Definite: this identifier will never be granted. The record is what stood when it was refused.
    case refused(ArbiterRefusal, ArbiterRecord?)
}
