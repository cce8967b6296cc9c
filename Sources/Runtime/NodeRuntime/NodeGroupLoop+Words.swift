import Failover
import Quorum
import Replication

// Why something did not come true, in words for the operator, with what to do.
extension NodeGroupLoop {
    static func words(_ failure: StepFailure) -> String {
        switch failure {
        case .failed(let text): text
        case .busy(let pins): "busy: \(pins.isEmpty ? "in use" : pins.joined(separator: ", "))"
        case .timedOut: "not done in its time"
        case .unresponsive: "hangs in the kernel"
        case .cancelled: "given up"
        }
    }

    static func words(_ reason: PromotionRefusal) -> String {
        switch reason {
        case .notUpToDate:
            "this copy is not UpToDate: connect it to the other node and wait for the resync"
        case .peerIsPrimary: "the other node is Primary: run `tandem switchover`"
        case .arbiterRefused: "the witness refuses"
        case .noArbiter:
            "the witness cannot be reached: start `tandem witness` on its machine, or repair the way to it"
        case .resyncRunning: "a resync must end first: wait until `tandem status` says UpToDate"
        case .requestOpen: "an earlier request to the witness is not answered yet: try again"
        case .waitingForPeer:
            "this node has restarted and looks for the other one first (wait-for-peer): start that one, or try again"
        case .stuck: "something of an old grant is still here: see `tandem status`"
        }
    }

    /// Of an end that only an operator takes back.
    static func words(_ reason: CloseReason) -> String {
        switch reason {
        case .splitBrain:
            "split brain, the data of both copies has diverged: choose the copy to give up, stop that node, remove"
                + " its backing file and metadata and run `tandem init --join` there"
        case .unrelatedData:
            "the two copies have nothing in common: give one up with `tandem init --join` on its node"
        case .sizeMismatch: "the two copies differ in size: correct `size` on both nodes"
        case .disconnected: "an operator has disconnected it"
        case .lost, .protocolError, .oldEpoch, .recordChanged, .diskFailed: "\(reason)"
        }
    }

    static func words(_ reason: ArbiterRefusal) -> String {
        switch reason {
        case .recordChanged: "its record has changed meanwhile: try again"
        case .notACopy:
            "this node holds no current data: connect it to the other node and wait for the resync"
        case .notTheHolder: "the other node is the holder: run `tandem switchover`"
        case .leaseAlive: "the other node's lease has not ended: it may still serve; run `tandem switchover`"
        case .otherMemberIntact:
            "this node has restarted and the other one has not and is heard: let the two connect first"
        case .noRecord:
            "it has no record of this group: run `tandem init` if it is new, else `tandem witness reseed`"
        case .rolledBack: "it has lost records: run `tandem witness reseed` on its machine"
        case .malformed: "the request contradicts its rules: run the same version everywhere"
        }
    }
}
