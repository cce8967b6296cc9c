import Basics

/// One place of the request table.
struct Request: Sendable {
    enum Kind: UInt8, Sendable {
        case free
        case read, write, zero, flush
        case peerWrite, peerZero, peerResync, peerRead
        case resync
    }

    /// Whether it only looks: two of these may overlap.
    var isRead: Bool { kind == .read || kind == .peerRead }

    struct State: OptionSet, Sendable {
        let rawValue: UInt16
        /// Left the waiting list: its blocks are locked.
        static let issued = State(rawValue: 1 << 0)
        /// The backing file has not answered.
        static let localPending = State(rawValue: 1 << 1)
        /// The peer must answer and has not.
        static let peerPending = State(rawValue: 1 << 2)
        /// The backing file answered with an error.
        static let localFailed = State(rawValue: 1 << 3)
        /// A frame was sent under the present connection.
        static let mirrored = State(rawValue: 1 << 4)
        /// The first block, covered in part, was the same on both when the write was issued.
        static let firstEdgeEqual = State(rawValue: 1 << 5)
        /// The last block likewise.
        static let lastEdgeEqual = State(rawValue: 1 << 6)
        /// Of a connection that has ended: applied, not acknowledged.
        static let orphan = State(rawValue: 1 << 7)
        /// Its ranges are copied by the resync that runs, so its end is this request's end.
        static let coveredByResync = State(rawValue: 1 << 8)
    }

    var kind = Kind.free
    var state: State = []
    var range = ByteRange(offset: 0, length: 0)
    /// The 4 KiB blocks that it touches, locked while it is issued.
    var blocks = 0..<0
    var tag: UInt64 = 0
}
