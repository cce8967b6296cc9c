import Basics
import DiskFormat
import Quorum
import Replication
import WireFormat

/// What travels between two nodes.
enum NodeMessage {
    case data(
        kind: DataKind, tag: UInt64, range: ByteRange, values: [UInt32], tainted: [Bool], stamp: EpochStamp)
    case read(tag: UInt64, range: ByteRange, stamp: EpochStamp)
    case readAnswer(tag: UInt64, ok: Bool, values: [UInt32], tainted: [Bool])
    case flush(tag: UInt64, settled: UInt64, stamp: EpochStamp)
    case acknowledgement(tag: UInt64, ok: Bool)
    case flushDone(tag: UInt64, ok: Bool)
    case control(ControlFrame)

    enum DataKind { case write, zero, resync }
}

/// One node: its disk, which survives, and what dies with its process.
final class SimNode {
    let index: NodeIndex
    var disk: SimDisk
    var replica: Replica
    var isUp = true
    /// Counts processes; what belongs to an older one is ignored.
    var life = 0
    var actions: [ReplicaAction] = []
    /// What each slot's buffer holds: a write's number a cell.
    var values = [[UInt32]](repeating: [], count: SlotLayout.count)
    var taints = [[Bool]](repeating: [], count: SlotLayout.count)
    var freePeerSlots: [SlotIndex] = Array(SlotLayout.peer)
    var timerStamps = [Int](repeating: 0, count: ReplicaTimer.allCases.count)
    /// The connection to the peer, as this end sees it.
    var connection: Int?
    /// The process is stopped until then.
    var pausedUntil = Instant(nanoseconds: 0)
    /// What a stopped process has not handled.
    var backlog: [(World) -> Void] = []
    var isDraining = false
    var lastHeard = Instant(nanoseconds: 0)
    /// The session with the witness, as this end sees it.
    var session: Int?
    /// Dies after that many actions: a crash between two of them.
    var actionsUntilCrash: Int?
    var isDiskDead = false
    /// A disk that died was replaced by an empty one, or works again.
    var wasRepaired = false
    /// The epoch in which it was replaced: until the next one a record may name a copy that is gone.
    var replacedUnder: UInt64?

    // The device and its client.
    var hasDevice = false
    var isDeviceClosing = false
    /// It was told to demote, and has not ended or refused: no reader begins, its device is closed.
    var isDemoting = false
    var closingCommand: ReplicaEvent?
    var openWrites: [SlotIndex: UInt32] = [:]
    /// Writes that were handed to the disk and not answered; and those of them when the node went on alone.
    var issuedWrites: Set<UInt32> = []
    var frozenWrites: Set<UInt32> = []
    var isFrozen = false
    var openFlushes: [SlotIndex: [UInt32]] = [:]
    /// What each read must show at least: the newest completed write of each cell when it was issued.
    var openReads: [SlotIndex: [UInt32]] = [:]

    /// The same of readers that begin the next read when one is answered; they do not count as open requests.
    var steadyReads: [SlotIndex: [UInt32]] = [:]

    init(index: NodeIndex, disk: SimDisk, replica: Replica) {
        self.index = index
        self.disk = disk
        self.replica = replica
    }

    var freeClientSlot: SlotIndex? {
        SlotLayout.client.first {
            openWrites[$0] == nil && openFlushes[$0] == nil && openReads[$0] == nil && steadyReads[$0] == nil
        }
    }

    var hasOpenRequests: Bool { !openWrites.isEmpty || !openFlushes.isEmpty || !openReads.isEmpty }

    static func cells(of range: ByteRange) -> Range<Int> {
        Int(range.offset / SimDisk.cell)..<Int(range.end / SimDisk.cell)
    }
}
