import Basics
import Quorum
import WireFormat

/// One group in the witness: the arbiter's machine, and what its file holds.
struct WitnessGroupState {
    let name: String
    var machine: Witness
    /// What is on disk; nil when nothing is.
    var stored: WitnessRecordFile?
    /// What each node told last, while this process runs: `reseed` chooses among them.
    var told: [NodeIndex: ArbiterRecord] = [:]
    /// The nodes that gave a sign of life since this process started.
    var heard: NodeSet = []

    /// The group as the disk has it.
    init(name: String, stored: WitnessRecordFile?, promise: Interval, at now: Instant) {
        self.name = name
        self.stored = stored
        machine = Witness(
            record: stored?.record, granted: stored?.granted ?? .none,
            configuration: WitnessConfiguration(promise: promise), at: now)
        if let stored, stored.isRolledBack {
            // The machine forgets it with the process; the disk does not.
            var newer = stored.record
            newer.epoch += 1
            machine.told(newer)
        }
    }

    /// What the disk has to hold for this machine; nil when there is no record.
    func file(cluster: UInt64, asker: NodeIndex?) -> WitnessRecordFile? {
        guard let record = machine.record else { return nil }
        return WitnessRecordFile(
            cluster: cluster, group: name, record: record, granted: machine.granted,
            asker: machine.granted == .none ? nil : asker ?? stored?.asker,
            isRolledBack: machine.isRolledBack)
    }

    /// The record that a reseed takes without force: the highest of what both nodes told. A sentence when it cannot.
    func recordToReseed() -> Result<ArbiterRecord, Refusal> {
        guard let first = told[.first], let second = told[.second] else {
            return .failure(
                Refusal(text: "both nodes must be connected and have told their records; or force it by name")
            )
        }
        if first.epoch == second.epoch, first.grant != second.grant {
            return .failure(
                Refusal(
                    text:
                        "both nodes tell epoch \(first.epoch) with different grants, a split brain: force one"
                ))
        }
        return .success(first.epoch >= second.epoch ? first : second)
    }

    /// Why a reseed is refused.
    struct Refusal: Error {
        let text: String
    }
}
