import Basics
import WireFormat
import DiskFormat
import Quorum

/// Where the connection to the peer stands.
public enum LinkState: UInt8, Sendable, Hashable {
    /// No connection.
    case down
    /// Connected; own writes, requests and stores must settle before the greeting.
    case settling
    /// Own greeting sent, the peer's may be missing.
    case greeted
    /// Greetings exchanged; marks, bitmaps and flags are made durable.
    case preparing
    /// Frames flow.
    case up
}

/// What a resync does on this node.
public enum SyncState: UInt8, Sendable, Hashable {
    case none
    /// Blocks go to the peer, which is not in `copies`.
    case source
    /// Blocks go to the peer, which is in `copies`: nothing is answered meanwhile (R5).
    case gatedSource
    /// Blocks come from the peer.
    case target
}

/// Where the activity log's present transaction stands.
enum LogStage: Sendable {
    case idle
    /// Both copies flush, so that the evicted extents are durable on each.
    case flushing
    /// Bitmap pages and transaction are stored.
    case storing
}

/// The flush that runs, and what waits for the next.
struct FlushState: Sendable {
    var isActive = false
    var isWanted = false
    var localPending = false
    /// fdatasync calls of `clientFlush` that have not come back, also of a flush that was given up.
    var localOutstanding = false
    var peerPending = false
    var withPeer = false
    var tag: UInt64 = 0
    /// Clients of the flush that runs.
    var clients: [SlotIndex] = []
    /// Clients of the next one.
    var queued: [SlotIndex] = []
    /// The last flush that both copies completed.
    var settled: UInt64 = 0
    var isForLog = false
    var isForResync = false
    var isForRole = false
}

/// Flushes of the peer being done here.
struct PeerFlushState: Sendable {
    var isSyncing = false
    var tag: UInt64 = 0
    var lastTag: UInt64 = 0
    /// A flush that came while another was being done.
    var next: UInt64?
    var isOrphan = false
}

/// The source's side of a resync.
struct ResyncState: Sendable {
    enum Stage: Sendable {
        case copying
        /// New writes wait, what is in flight ends.
        case draining
        case flushing
        /// Bitmap and identifiers are stored on the target.
        case finishing
        /// The wider record is asked for.
        case widening
    }

    var stage = Stage.copying
    var cursor = 0
    var bytesSent: UInt64 = 0
}

/// How far the asking for a new record is.
enum AskStage: Sendable {
    case none
    /// Own writes in flight, and frames received, end first.
    case draining(ArbiterPurpose)
    /// Data and request are being made durable.
    case storing(ArbiterPurpose)
    /// Sent, or to be sent as soon as the arbiter is reachable.
    case open

    static func != (left: AskStage, right: AskStage) -> Bool {
        switch (left, right) {
        case (.none, .none), (.open, .open): false
        case (.draining(let one), .draining(let other)), (.storing(let one), .storing(let other)):
            one != other
        default: true
        }
    }
}

/// How far a change of role is.
enum RoleStage: Sendable, Equatable {
    case settled
    /// The grant is here, its superblock is being stored.
    case promoting
    /// Requests end, then both flush, then the log is emptied.
    case demoting(thenHandOver: Bool)
    case clearingLog(thenHandOver: Bool)
    /// Local writes settle, then the ranges are marked.
    case deposing
    case marking
    /// The address is being lowered.
    case muting
}
