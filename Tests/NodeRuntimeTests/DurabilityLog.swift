import Basics
import NodeRuntime
import Quorum
import Replication
import Synchronization

/// What happened in a story, in one order for both machines, the arbiter and the client.
enum DurabilityEntry: Sendable {
    enum Machine: Sendable {
        case disk(DiskCall)
        case asked(ArbiterRequest)
        case note(ReplicaNote)
        case role(isPrimary: Bool)
        case linkClosed
    }

    /// `life` counts a machine's power cuts: what a life says after its cut never happened.
    case machine(NodeIndex, life: Int, Machine)
    case granted(ArbiterRecord)
    /// The client hands over a write of `stamp` to whole blocks; it was answered.
    case issued(stamp: UInt64, blocks: Range<Int>)
    case answered(stamp: UInt64)
    /// The client asks for a flush; it was answered.
    case flushing
    case flushed
    /// The machine's power is cut and it comes back, with what was chosen of what was not flushed.
    case cut(NodeIndex, data: DurabilityChoice, metadata: DurabilityChoice)
}

/// The recorder: any thread appends.
final class DurabilityLog: Sendable {
    private let entries = Mutex<[DurabilityEntry]>([])

    var all: [DurabilityEntry] { entries.withLock { $0 } }

    func append(_ entry: DurabilityEntry) { entries.withLock { $0.append(entry) } }
}

extension DurabilityEntry: CustomStringConvertible {
    /// One line, for a finding's history.
    var description: String {
        switch self {
        case .machine(let node, _, .disk(.write(let file, let serial, let offset, let bytes, let point))):
            let of = point.map { " \($0)" } ?? ""
            let stamp = DurabilityStamp.stamp(of: bytes, at: 0)
            let what = file == .data ? " write \(stamp ?? 0)" : ""
            let place = "\(offset / BlockSize.block)+\(UInt64(bytes.count) / BlockSize.block)"
            return "\(node) \(file)\(of) #\(serial)\(what) to block \(place)"
        case .machine(let node, _, .disk(let call)): return "\(node) \(call)"
        case .machine(let node, let life, let event): return "\(node) (life \(life)) \(event)"
        case .granted(let record):
            return "granted \(record.epoch) \(record.holder) copies \(record.copies.rawValue)"
        case .issued(let stamp, let blocks): return "client issues write \(stamp) of \(blocks)"
        case .answered(let stamp): return "client has write \(stamp) answered"
        case .flushing: return "client flushes"
        case .flushed: return "client has its flush answered"
        case .cut(let node, let data, let metadata): return "cut of \(node), keeps \(data), \(metadata)"
        }
    }
}
