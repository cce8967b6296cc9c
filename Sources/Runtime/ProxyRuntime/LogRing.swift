import Synchronization

/// The last lines of all access logs, for `tandem proxy log`. Any thread may read; the loop adds many lines at once.
public final class LogRing: Sendable {
    /// Bytes of lines that are kept: some two thousand.
    static let byteMaximum = 256 << 10

    /// Whole lines that were added together.
    private struct Piece {
        /// The number of its first line, counted from 1 on.
        let first: UInt64
        let count: Int
        let bytes: [UInt8]
    }

    private struct State {
        var pieces: [Piece] = []
        var bytes = 0
        var next: UInt64 = 1
    }

    /// Lines, and how to go on after them.
    public struct Lines: Sendable, Equatable {
        /// Without their ends, oldest first.
        public var lines: [String]
        /// The number of the next line: read on from it.
        public var next: UInt64
        /// Lines between what was asked for and the oldest that is kept.
        public var missed: UInt64
    }

    private let state = Mutex(State())

    public init() {}

    /// Adds whole lines, `count` of them.
    func add(_ bytes: [UInt8], count: Int) {
        guard count > 0 else { return }
        state.withLock { state in
            // A copy of its own size: the caller goes on with its memory.
            state.pieces.append(Piece(first: state.next, count: count, bytes: Array(bytes[...])))
            state.next += UInt64(count)
            state.bytes += bytes.count
            var old = 0
            while state.bytes > Self.byteMaximum, old < state.pieces.count - 1 {
                state.bytes -= state.pieces[old].bytes.count
                old += 1
            }
            if old > 0 { state.pieces.removeFirst(old) }
        }
    }

    /// The last `count` lines.
    public func last(_ count: Int) -> Lines {
        let next = state.withLock { $0.next }
        var lines = from(next > UInt64(max(0, count)) ? next - UInt64(max(0, count)) : 1)
        lines.missed = 0
        return lines
    }

    /// The lines from the number `start` on, which an earlier answer named.
    public func from(_ start: UInt64) -> Lines {
        let (pieces, next) = state.withLock { state in
            (state.pieces.filter { $0.first + UInt64($0.count) > start }, state.next)
        }
        var lines: [String] = []
        for piece in pieces {
            let skipped = piece.first < start ? Int(start - piece.first) : 0
            let texts = piece.bytes.split(separator: 0x0A, omittingEmptySubsequences: false).dropLast()
            lines += texts.dropFirst(skipped).map { String(decoding: $0, as: UTF8.self) }
        }
        let oldest = pieces.first?.first ?? next
        return Lines(lines: lines, next: next, missed: oldest > start ? oldest - start : 0)
    }
}
