import Glibc
import Basics
import LinuxSystem
import NodeRuntime
import Replication
import Testing

/// Every fdatasync of a volume by its number; TANDEM_SYNC names one alone (`Tools/test breaks`).
private let numbers: [SyncPoint] = {
    let wanted = getenv("TANDEM_SYNC").flatMap { UInt8(String(cString: $0)) }
    return SyncPoint.allCases.filter { $0.isSynced && (wanted == nil || wanted == $0.rawValue) }
}()

@Suite(
    "an fdatasync that is left out", .serialized,
    .enabled(if: Can.mountFuse, "fuse: needs root and /dev/fuse"))
struct DurabilityBreakTests {
    /// The judge is the one that finds nothing in `DurabilityTests`, and is told nothing of the number.
    @Test("some image that a power cut can leave is one that the rules do not allow", arguments: numbers)
    func omitted(point: SyncPoint) throws {
        let start = Instant.now()
        for tale in DurabilityTale.allCases {
            let story = try tale.make(omitting: [point])
            story.checkpoint = { [unowned story] in
                if let finding = story.finding() { throw finding }
            }
            // What was never durable may also stop the story itself: that alone counts for nothing.
            withKnownIssue("the story may not come to its end", isIntermittent: true) { try tale.tell(story) }
            guard let finding = story.finding() else { continue }
            let time = Instant.now().since(start).wholeMilliseconds
            print(
                "found      device-sync-\(point.rawValue)  \(finding.rule)  \(tale)  \(time) ms  \(finding.text)"
            )
            return
        }
        print("not found  device-sync-\(point.rawValue)")
        Issue.record("the fdatasync \(point) can be left out, and no image shows it")
    }
}
