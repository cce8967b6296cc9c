public import Quorum
public import Replication

/// One deliberate fault of the machines, by the name that `tandem-simulate --break` takes.
///
/// The invariants know nothing of it: a fault counts as found when one of them fires.
public struct DeliberateBreak: Sendable, Hashable {
    /// As it is written on the command line and printed.
    public let name: String
    /// Faults of the replica.
    public var replica: ReplicaBreaks = []
    /// Faults of the arbiter.
    public var quorum: QuorumBreaks = []
    /// The fdatasync that is left out.
    public var skippedSync: SyncPoint?

    private init(_ name: String, replica: ReplicaBreaks) {
        self.name = name
        self.replica = replica
    }

    private init(_ name: String, quorum: QuorumBreaks) {
        self.name = name
        self.quorum = quorum
    }

    private init(_ point: SyncPoint) {
        name = "sync-\(point.rawValue)"
        skippedSync = point
    }

    /// The break of that name; nil if there is none.
    public init?(named name: String) {
        guard let found = Self.all.first(where: { $0.name == name }) else { return nil }
        self = found
    }

    /// All that the simulator can switch on, in the order in which they are tried.
    public static let all: [DeliberateBreak] =
        [
            DeliberateBreak("acknowledgeWithoutPeer", replica: .acknowledgeWithoutPeer),
            DeliberateBreak("aloneWithoutGrant", replica: .aloneWithoutGrant),
            DeliberateBreak("flushWithoutPeer", replica: .flushWithoutPeer),
            DeliberateBreak("soloFlushBeforeGrant", replica: .soloFlushBeforeGrant),
            DeliberateBreak("logNotReplayed", replica: .logNotReplayed),
            DeliberateBreak("evictWithoutBitmap", replica: .evictWithoutBitmap),
            DeliberateBreak("widenOnlyWhenAnswered", replica: .widenOnlyWhenAnswered),
            DeliberateBreak("ownErrorAnsweredEarly", replica: .ownErrorAnsweredEarly),
            DeliberateBreak("deposedNotMarked", replica: .deposedNotMarked),
            DeliberateBreak("grantsOfOneEpochEqual", replica: .grantsOfOneEpochEqual),
            DeliberateBreak("oldFramesAfterAsking", replica: .oldFramesAfterAsking),
            DeliberateBreak("restartedPeerNotMarked", replica: .restartedPeerNotMarked),
            DeliberateBreak("unchangedRecordIsRefusal", replica: .unchangedRecordIsRefusal),
            DeliberateBreak("intentForgottenByRestart", replica: .intentForgottenByRestart),
            DeliberateBreak("intentForgottenByReconnect", replica: .intentForgottenByReconnect),
            DeliberateBreak("askWithoutFlush", replica: .askWithoutFlush),
            DeliberateBreak("clearBeforeDurable", replica: .clearBeforeDurable),
            DeliberateBreak("targetCountsAsCopy", replica: .targetCountsAsCopy),
            DeliberateBreak("readsFailedDisk", replica: .readsFailedDisk),
            DeliberateBreak("restartedCopyTrusted", replica: .restartedCopyTrusted),
            DeliberateBreak("failedCopyNotMarked", replica: .failedCopyNotMarked),
            DeliberateBreak("soloGrantWhileOtherIntact", quorum: .soloGrantWhileOtherIntact),
            DeliberateBreak("emptiedWitnessCreatesRecord", quorum: .emptiedWitnessCreatesRecord),
            DeliberateBreak("grantNotStored", quorum: .grantNotStored),
        ] + SyncPoint.allCases.filter(\.isSynced).map { DeliberateBreak($0) }
}
