import Basics
import BlockStore
import DiskFormat
import Glibc
import NodeRuntime
import Quorum
import Replication
import Testing

/// Stories that between them reach every fdatasync of a volume.
enum DurabilityTale: String, CaseIterable, CustomTestStringConvertible {
    /// A peer is lost, the holder goes on alone and evicts extents, the peer is resynced, the role changes sides, the
    /// new holder's power is cut, it comes back.
    case exchange
    /// A log whose transactions name half of its slots each is filled and emptied again.
    case longLog

    var testDescription: String { rawValue }

    private var logCapacity: UInt32 { self == .exchange ? 3 : 1000 }

    /// `parent`: where the files are; on a disk they are written past the page cache, through the ring.
    func make(
        omitting omitted: Set<SyncPoint> = [], in parent: String = "/dev/shm"
    ) throws -> DurabilityStory {
        try DurabilityStory(logCapacity: logCapacity, omitting: omitted, in: parent)
    }

    func tell(_ story: DurabilityStory) throws {
        try story.connect()
        try story.promote(.first)
        switch self {
        case .exchange: try tellExchange(story)
        case .longLog:
            for extent in 0..<8 { try story.write(extent * BlockSize.blocksPerExtent) }
            try story.demote()
            try story.promote(.first)
            try story.write(1)
            try story.demote()
        }
    }

    private func tellExchange(_ story: DurabilityStory) throws {
        let extent = BlockSize.blocksPerExtent
        // More extents than the log holds, and a flush.
        for number in 0..<5 { try story.write(number * extent + 1) }
        try story.flush()
        // The peer goes with writes that nobody has flushed.
        try story.write(7)
        try story.write(extent + 8, count: 3)
        try story.disconnect()
        try story.waitAlone(.first)
        // Alone, and extents are evicted whose blocks differ.
        for number in 0..<7 { try story.write(number * extent + 5, count: 2) }
        try story.flush()
        // Two extents at once, so that one is evicted which was written to since the last transaction.
        for number in [1, 3, 5] { try story.write(number * extent - 1, count: 2) }
        for number in [6, 2] { try story.write(number * extent + 9) }
        // The peer is back, writes go on.
        try story.connect()
        for number in 0..<3 { try story.write(number * extent + 12) }
        try story.waitBoth(.first)
        try story.write(3 * extent + 20)
        try story.flush()
        // The other one holds, and loses its power with writes that nobody has flushed.
        try story.handOver()
        for number in 0..<4 { try story.write(number * extent + 30) }
        try story.flush()
        try story.write(4 * extent + 31)
        try story.write(4 * extent + 40, count: 2)
        try story.checkpoint()
        try story.cutPower(.second)
        try story.connect()
        try story.waitResync(.first)
        try story.waitResync(.second)
        try story.promote(.second)
        try story.write(5 * extent + 50)
        try story.flush()
        try story.demote()
    }
}

@Suite(
    "what a power cut leaves", .serialized, .enabled(if: Can.mountFuse, "fuse: needs root and /dev/fuse"))
struct DurabilityTests {
    @Test(
        "every image that a power cut can leave is one that the rules allow",
        arguments: DurabilityTale.allCases, [false, true])
    func images(tale: DurabilityTale, isDirect: Bool) throws {
        let story = try tale.make(in: isDirect ? "/var/tmp" : "/dev/shm")
        try tale.tell(story)
        #expect(try story.end())
        expectNothing(story, "\(tale)")
    }

    /// Rebuilds and judges; on a finding, tells what came before it.
    private func expectNothing(_ story: DurabilityStory, _ name: String) {
        let entries = story.log.all
        var judge = story.judge(entries)
        guard let finding = judge.judge(entries) else {
            print(
                "\(name): \(entries.count) entries, \(judge.imageCount) images, \(judge.openedCount) opened")
            return
        }
        let history = entries[...judge.position].suffix(60).map { "\($0)" }.joined(separator: "\n")
        Issue.record("\(name), entry \(judge.position): \(finding)\n\(history)")
    }

    /// TANDEM_SEED and TANDEM_SEEDS: where to begin and how many, to look for more.
    private static let seeds: Range<UInt64> = {
        func number(_ name: String) -> UInt64? { getenv(name).flatMap { UInt64(String(cString: $0)) } }
        let first = number("TANDEM_SEED") ?? 1
        return first..<first + (number("TANDEM_SEEDS") ?? 2)
    }()

    @Test(
        "whatever happens in whatever order, nothing flushed is lost and both copies end alike",
        arguments: seeds)
    func walk(seed: UInt64) throws {
        let story = try DurabilityStory(
            logCapacity: seed % 2 == 0 ? 3 : 1000, omitting: [], in: "/dev/shm")
        var walk = DurabilityWalk(story, seed: seed)
        try walk.walk(steps: 8)
        expectNothing(story, "seed \(seed)")
        #expect(try story.end())
    }

    @Test(
        "the stories reach every fdatasync, and none follows a write that may be late or that the next one covers"
    )
    func points() throws {
        var synced: Set<SyncPoint> = []
        var written: Set<SyncPoint> = []
        for tale in DurabilityTale.allCases {
            let story = try tale.make()
            try tale.tell(story)
            for case .machine(_, _, .disk(let call)) in story.log.all {
                switch call {
                case .sync(_, let point): synced.insert(point)
                case .write(.metadata, _, _, _, let point): if let point { written.insert(point) }
                case .write, .zero, .written, .synced: break
                }
            }
        }
        #expect(synced == Set(SyncPoint.allCases.filter(\.isSynced)))
        // A bitmap is written where it need not be durable at once.
        #expect(written.contains(.bitmapGoingAlone) && written.contains(.bitmapCleared))
    }
}
