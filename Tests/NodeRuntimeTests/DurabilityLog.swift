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
    /// The machine's power is cut and it comes back: of what was not flushed nothing is left.
    case cut(NodeIndex)
}

/// The recorder: any thread appends.
final class DurabilityLog: Sendable {
    private let entries = Mutex<[DurabilityEntry]>([])

    var all: [DurabilityEntry] { entries.withLock { $0 } }

    func append(_ entry: DurabilityEntry) { entries.withLock { $0.append(entry) } }
}

/// The content of the stories' blocks: each sector of 512 bytes is its write's number, again and again.
enum DurabilityStamp {
    static let sector = 512
    static let sectorsPerBlock = Int(BlockSize.block) / sector

    static func bytes(_ stamp: UInt64) -> [UInt8] {
        let word = (0..<8).map { UInt8(truncatingIfNeeded: stamp >> ($0 * 8)) }
        return [UInt8]((0..<sector / 8).map { _ in word }.joined())
    }

    /// The number of the write that a sector holds, nil when it is not of one write.
    static func stamp(of bytes: ArraySlice<UInt8>) -> UInt64? {
        var words: [UInt64] = [0]
        for (index, byte) in bytes.enumerated() {
            if index % 8 == 0, index > 0 {
                guard words.count < 2 || words[1] == words[0] else { return nil }
                words = [words.count < 2 ? words[0] : words[1], 0]
            }
            words[words.count - 1] |= UInt64(byte) << UInt64(index % 8 * 8)
        }
        return words.count == 2 && words[0] == words[1] ? words[0] : nil
    }
}
