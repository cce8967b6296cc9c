public import Basics
public import DiskFormat
public import Quorum

/// What `tandem init` shall make of one group on this node: decided from what is there, before anything is made.
public struct InitializationPlan: Sendable, Equatable {
    /// What the operator says of the backing file.
    public enum Wish: Sendable, Equatable {
        /// Make it, all zeroes.
        case fresh
        /// Keep the data that is in it: the cluster's first copy (`--adopt`).
        case adopt
        /// Overwrite whatever is in it with the other node's copy (`--join`).
        case join
    }

    /// Whether the backing file is made, or taken as it is.
    public var makesBacking: Bool
    /// Whether the data that is there counts, so that its size has to be exact.
    public var keepsData: Bool
    public var generation: Generation
    public var condition: CopyCondition
    /// The record to create at the witness; nil: the one that stands is taken.
    public var creates: ArbiterRecord?

    /// Why a group cannot be initialized, in a sentence without the group's name.
    public struct Refusal: Error, Equatable {
        public let text: String
    }

    /// Decides on a group that a witness keeps.
    ///
    /// - Parameters:
    ///   - wish: what the operator says of the backing file.
    ///   - node: this node.
    ///   - record: what the witness has; nil where it has none.
    ///   - hasBacking: whether the backing file or device is there.
    ///   - backing: its path, for messages.
    ///   - grant: a random mark for the first record.
    ///   - generation: a random one, for data that is adopted.
    /// - Returns: what to make.
    /// - Throws: why nothing is to be made.
    public static func make(
        _ wish: Wish, node: NodeIndex, record: ArbiterRecord?, hasBacking: Bool, backing: String, grant: Mark,
        generation: Generation
    ) throws(Refusal) -> InitializationPlan {
        try refuseBacking(wish, hasBacking: hasBacking, backing: backing)
        guard let record else {
            if wish == .join {
                throw Refusal(text: "there is no copy to join yet: run `tandem init` on the other node first")
            }
            let first = ArbiterRecord(epoch: 1, grant: grant, holder: node, copies: NodeSet(node))
            return plan(wish, hasBacking: hasBacking, generation: generation, creates: first)
        }
        // An init that ended between the record and the metadata has left a first record behind, and no data.
        let isOwnRemains = record.epoch == 1 && record.copies == NodeSet(node)
        if record.copies.contains(node), !isOwnRemains {
            throw Refusal(
                text:
                    "the witness says that this node holds current data (epoch \(record.epoch)) and there is none"
                    + " here: bring the disk back; if it is lost, let the other node become Primary alone, which drops"
                    + " this copy, and run `tandem init --join` then")
        }
        if wish == .adopt, !isOwnRemains {
            throw Refusal(
                text:
                    "the other node has the first copy already: give this one up and overwrite it with --join"
            )
        }
        if wish == .join, isOwnRemains {
            throw Refusal(text: "there is no other copy to join: run `tandem init` here without --join")
        }
        return plan(wish, hasBacking: hasBacking, generation: generation, creates: nil)
    }

    /// With `arbiter: none` both nodes begin under one record that each can write down by itself.
    ///
    /// - Throws: why there is no plan.
    public static func makeWithoutArbiter(
        _ wish: Wish, hasBacking: Bool, backing: String, prefer: NodeIndex?, generation: Generation
    ) throws(Refusal) -> (plan: InitializationPlan, record: ArbiterRecord) {
        try refuseBacking(wish, hasBacking: hasBacking, backing: backing)
        let record = ArbiterRecord(
            epoch: 1, grant: Mark(high: 0, low: 1), holder: prefer ?? .first, copies: .both)
        return (plan(wish, hasBacking: hasBacking, generation: generation, creates: nil), record)
    }

    private static func refuseBacking(_ wish: Wish, hasBacking: Bool, backing: String) throws(Refusal) {
        if wish == .fresh, hasBacking {
            throw Refusal(
                text: "\(backing) exists already and is not touched: keep its data with --adopt,"
                    + " overwrite it with the other node's copy with --join, or move it away")
        }
        if wish == .adopt, !hasBacking {
            throw Refusal(
                text: "\(backing) does not exist: there is nothing to adopt; run init without --adopt")
        }
    }

    private static func plan(
        _ wish: Wish, hasBacking: Bool, generation: Generation, creates: ArbiterRecord?
    ) -> InitializationPlan {
        switch wish {
        case .fresh:
            InitializationPlan(
                makesBacking: true, keepsData: false, generation: .zeroes, condition: .consistent,
                creates: creates)
        case .adopt:
            InitializationPlan(
                makesBacking: false, keepsData: true, generation: generation, condition: .consistent,
                creates: creates)
        case .join:
            InitializationPlan(
                makesBacking: !hasBacking, keepsData: false, generation: .none, condition: .inconsistent,
                creates: creates)
        }
    }
}
