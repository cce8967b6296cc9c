import Lab
import Testing

/// A device in memory that a writer of stamps writes to, and that a test may break.
private struct SyntheticVolume {
    var image: [UInt64: [UInt64]] = [:]
    var log: [StampRecord] = []
    var time: UInt64 = 0
    let writer: UInt16

    init(writer: UInt16 = 1, startingAt time: UInt64 = 0) {
        self.writer = writer
        self.time = time
    }

    mutating func record(_ kind: StampRecord.Kind, block: UInt64 = 0, sequence: UInt64 = 0) {
        time += 1
        log.append(StampRecord(kind, writer: writer, block: block, sequence: sequence, time: time))
    }

    mutating func write(
        _ sequence: UInt64, to block: UInt64, answer: StampRecord.Kind? = .written, lands: Bool = true
    ) {
        record(.writing, block: block, sequence: sequence)
        if lands {
            image[block] = StampedBlock.words(of: Stamp(writer: writer, sequence: sequence, block: block))
        }
        if let answer { record(answer, block: block, sequence: sequence) }
    }

    mutating func flush(_ number: UInt64 = 1, answer: StampRecord.Kind = .flushed) {
        record(.flushing, sequence: number)
        record(answer, sequence: number)
    }

    func report(_ promise: StampedCheck.Promise, others: [[StampRecord]] = []) -> StampedCheck.Report {
        var check = StampedCheck()
        check.add(log)
        for other in others { check.add(other) }
        return check.verify(promise) { block in image[block].map { StampedBlock.content(of: $0) } ?? .blank }
    }
}

@Suite("The stamped-block checker")
struct StampedCheckTests {
    @Test("passes an image that holds the last write of every block")
    func passesWholeImage() {
        var volume = SyntheticVolume()
        volume.write(1, to: 7)
        volume.write(2, to: 9)
        volume.write(3, to: 7)
        volume.flush()
        let report = volume.report(.acknowledged)
        #expect(report.holds)
        #expect(report.blocks == 2)
        #expect(report.required == 3)
    }

    @Test("finds a flushed write that is not there, and says which")
    func findsLostFlushedWrite() throws {
        var volume = SyntheticVolume()
        volume.write(1, to: 7)
        volume.write(2, to: 7, lands: false)
        volume.flush()
        let finding = try #require(volume.report(.flushed).findings.first)
        #expect(finding.expected == Stamp(writer: 1, sequence: 2, block: 7))
        #expect(finding.found == .stamp(Stamp(writer: 1, sequence: 1, block: 7)))
    }

    @Test("finds a flushed write whose block was never written at all")
    func findsBlankBlock() {
        var volume = SyntheticVolume()
        volume.write(1, to: 3, lands: false)
        volume.flush()
        #expect(!volume.report(.flushed).holds)
    }

    @Test(
        "lets an acknowledged write be missing that no flush covered, unless acknowledged ones are promised")
    func unflushedMayBeMissing() {
        var volume = SyntheticVolume()
        volume.write(1, to: 7)
        volume.flush()
        volume.write(2, to: 7, lands: false)
        #expect(volume.report(.flushed).holds)
        #expect(!volume.report(.acknowledged).holds)
    }

    @Test("does not count a flush that failed, nor one before the device was opened again")
    func flushCountsOnlyForItsOwnSession() {
        var volume = SyntheticVolume()
        volume.write(1, to: 7, lands: false)
        volume.flush(1, answer: .flushFailed)
        volume.record(.opened)
        volume.flush(2)
        #expect(volume.report(.flushed).holds)
        #expect(!volume.report(.acknowledged).holds)
    }

    @Test("accepts a later attempt that was never answered in place of a flushed write")
    func acceptsLaterAttempt() {
        var volume = SyntheticVolume()
        volume.write(1, to: 7)
        volume.flush()
        volume.write(2, to: 7, answer: nil)
        #expect(volume.report(.acknowledged).holds)
    }

    @Test("finds a failed write that came back over a later one")
    func findsResurrectedWrite() {
        var volume = SyntheticVolume()
        volume.write(1, to: 7, answer: .writeFailed)
        let old = volume.image[7]
        volume.write(2, to: 7)
        volume.flush()
        volume.image[7] = old
        #expect(!volume.report(.flushed).holds)
    }

    @Test("judges two writers of one block by the times of their writes")
    func twoWriters() {
        var first = SyntheticVolume(writer: 1)
        first.write(1, to: 7)
        first.flush()
        var second = SyntheticVolume(writer: 2, startingAt: first.time)
        second.write(1, to: 7)
        second.flush()
        #expect(second.report(.flushed, others: [first.log]).holds)
        // The older write is there: that of the second machine is lost.
        let report = first.report(.flushed, others: [second.log])
        #expect(report.findings.first?.expected?.writer == 2)
    }

    @Test("finds a block that somebody else wrote, one that was meant for another place, and a torn one")
    func findsForeignMisdirectedTorn() {
        var volume = SyntheticVolume()
        volume.write(1, to: 7)
        volume.write(2, to: 8)
        volume.write(3, to: 9)
        volume.image[7]?[0] = 42
        volume.image[8] = StampedBlock.words(of: Stamp(writer: 1, sequence: 1, block: 7))
        volume.image[9]?[511] ^= 1
        #expect(volume.report(.flushed).findings.map(\.block) == [7, 8, 9])
    }

    @Test("lets a write be torn that was never answered, but not what it overwrote be older than promised")
    func tornInFlight() {
        var volume = SyntheticVolume()
        volume.write(1, to: 7)
        volume.flush()
        volume.write(2, to: 7, answer: nil)
        volume.image[7]?[511] ^= 1
        #expect(volume.report(.acknowledged).holds)
        volume.record(.ended)
        volume.time += 10
        volume.write(3, to: 7, lands: false)
        volume.flush()
        #expect(!volume.report(.flushed).holds)
    }

    @Test("reads back every record it writes, and drops a torn one at the end")
    func recordsRoundTrip() {
        let records = [
            StampRecord(.opened, writer: 1, time: 5),
            StampRecord(.writing, writer: 65535, block: 1 << 40, sequence: 1 << 50, time: .max - 1),
            StampRecord(.writeFailed, writer: 2, block: 3, sequence: 4, time: 6, code: 5),
        ]
        let bytes = records.flatMap(\.bytes)
        #expect(bytes.count == 96)
        #expect(StampRecord.decode(bytes) == records)
        #expect(StampRecord.decode(bytes.dropLast()) == Array(records.dropLast()))
    }
}
