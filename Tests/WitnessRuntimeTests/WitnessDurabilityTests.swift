import Basics
import Glibc
import LinuxSystem
import Quorum
import Synchronization
import Testing
import WireFormat

@testable import WitnessRuntime

/// What the witness did to its disk and what it told, in one order.
private final class WitnessLog: Sendable {
    enum Entry: Sendable {
        case disk(WitnessDiskCall)
        case told(ArbiterRecord)
    }

    private let entries = Mutex<[Entry]>([])

    func append(_ entry: Entry) { entries.withLock { $0.append(entry) } }
    var all: [Entry] { entries.withLock { $0 } }
}

/// The record's file as a power cut may leave it: a name that was not made durable may be the old one, and of bytes
/// that were not, nothing, a part or all may be there.
private struct WitnessImages {
    private struct Contents {
        var bytes: [UInt8]
        var isDurable = false
    }

    private var draft = Contents(bytes: [])
    /// What the name may mean; nil is no file.
    private var named: [Contents?] = [nil]

    mutating func take(_ call: WitnessDiskCall) {
        switch call {
        case .written(let bytes): draft = Contents(bytes: bytes)
        case .synced(.record): draft.isDurable = true
        case .renamed: named.append(draft)
        case .synced(.recordName): named.removeFirst(named.count - 1)
        }
    }

    var all: [[UInt8]?] {
        named.flatMap { contents -> [[UInt8]?] in
            guard let contents else { return [nil] }
            let bytes = contents.bytes
            return contents.isDurable ? [bytes] : [[], Array(bytes.prefix(bytes.count / 2)), bytes]
        }
    }
}

/// Looks at every image of every moment; knows what was told, and not which sync is missing.
private func finding(_ log: [WitnessLog.Entry]) -> String? {
    var images = WitnessImages()
    var told: ArbiterRecord?
    for entry in log {
        switch entry {
        case .disk(let call): images.take(call)
        case .told(let record): told = record
        }
        for image in images.all {
            let stored: ArbiterRecord?
            do throws(WitnessRecordError) {
                stored = try image.map { (bytes) throws(WitnessRecordError) in
                    try WitnessRecordFile.decode(bytes).record
                }
            } catch {
                return "the record cannot be read: \(error)"
            }
            guard let told else { continue }
            guard let stored else { return "epoch \(told.epoch) was told and there is no record" }
            if stored.epoch < told.epoch || stored.epoch == told.epoch && stored.grant != told.grant {
                return "epoch \(told.epoch) was told and the record is of epoch \(stored.epoch)"
            }
        }
    }
    return nil
}

/// A record is created, changed by both nodes, over a restart of the witness.
private func tell(_ log: WitnessLog, omitting omitted: Set<WitnessSync>) throws {
    let fixture = try WitnessFixture(name: "power")
    let disk = WitnessDisk(omitted: omitted) { log.append(.disk($0)) }
    try fixture.start(disk: disk)
    var known = ArbiterRecord(
        epoch: 1, grant: Mark(high: 1, low: 1), holder: .first, copies: NodeSet(.first))
    known = try fixture.client(.first).create("files", known)
    log.append(.told(known))
    func change(_ purpose: ArbiterPurpose, _ number: UInt64, copies: NodeSet) throws {
        known = try fixture.client(.first).change(
            ArbiterRequest(
                identifier: Mark(high: 7, low: number), purpose: purpose, asker: .first,
                expectedEpoch: known.epoch, expectedGrant: known.grant, holder: .first, copies: copies,
                restarted: false)
        ).record
        log.append(.told(known))
    }
    try change(.widen, 1, copies: .both)
    fixture.stop()
    try fixture.start(disk: disk)
    try change(.promote, 2, copies: .both)
    try change(.narrow, 3, copies: NodeSet(.first))
}

@Suite("the witness's record and a power cut", .serialized)
struct WitnessDurabilityTests {
    @Test("whatever a power cut leaves of its file can be read, and no record that was told is missing")
    func durable() throws {
        let log = WitnessLog()
        try tell(log, omitting: [])
        #expect(finding(log.all) == nil)
        let synced = log.all.compactMap { entry -> WitnessSync? in
            if case .disk(.synced(let sync)) = entry { sync } else { nil }
        }
        #expect(synced == Array(repeating: WitnessSync.allCases, count: 4).flatMap { $0 })
    }
}

/// `Tools/test breaks` counts these lines beside those of the volume's.
@Suite("an fsync of the witness that is left out", .serialized)
struct WitnessDurabilityBreakTests {
    private static let numbers: [WitnessSync] = {
        let wanted = getenv("TANDEM_SYNC").flatMap { UInt8(String(cString: $0)) }
        return WitnessSync.allCases.filter { wanted == nil || wanted == $0.rawValue }
    }()

    @Test("some image that a power cut can leave lacks what was told, or cannot be read", arguments: numbers)
    func omitted(sync: WitnessSync) throws {
        let start = Instant.now()
        let log = WitnessLog()
        try tell(log, omitting: [sync])
        guard let text = finding(log.all) else {
            print("not found  device-sync-\(sync.rawValue)")
            Issue.record("the fsync \(sync) can be left out, and no image shows it")
            return
        }
        let time = Instant.now().since(start).wholeMilliseconds
        print("found      device-sync-\(sync.rawValue)  I20  witness  \(time) ms  \(text)")
    }
}
