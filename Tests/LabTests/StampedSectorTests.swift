import Lab
import Testing

@Suite("What a power cut may leave of a block")
struct StampedSectorTests {
    /// Three writes of block 7 by one writer: the first flushed, the others answered only.
    private static let log: [StampRecord] = {
        let steps: [(StampRecord.Kind, UInt64)] = [
            (.opened, 0), (.writing, 1), (.written, 1), (.flushing, 1), (.flushed, 1),
            (.writing, 2), (.written, 2), (.writing, 3), (.written, 3),
        ]
        return steps.enumerated().map { index, step in
            StampRecord(step.0, writer: 1, block: 7, sequence: step.1, time: UInt64(index + 1))
        }
    }()

    /// A block whose sector `n` is that of write `writes[n]`; zeroes for write 0.
    private func block(_ writes: [UInt64]) -> [UInt64] {
        writes.enumerated().flatMap { sector, write -> ArraySlice<UInt64> in
            let words =
                write == 0
                ? [UInt64](repeating: 0, count: 512)
                : StampedBlock.words(of: Stamp(writer: 1, sequence: write, block: 7))
            return words[sector * 64..<sector * 64 + 64]
        }
    }

    private func holds(
        _ promise: StampedCheck.Promise, _ writes: [UInt64], log: [StampRecord] = StampedSectorTests.log
    ) -> Bool {
        var check = StampedCheck()
        check.add(log)
        return check.verifySectors(promise) { _ in block(writes) }.holds
    }

    @Test("lets sectors of answered writes be there or not, as long as none is older than what was flushed")
    func mixes() {
        #expect(holds(.flushed, [1, 1, 1, 1, 1, 1, 1, 1]))
        #expect(holds(.flushed, [3, 1, 2, 1, 3, 3, 2, 1]))
        #expect(!holds(.flushed, [3, 1, 2, 0, 3, 3, 2, 1]))
        #expect(!holds(.flushed, [0, 0, 0, 0, 0, 0, 0, 0]))
    }

    @Test("takes no mixture where every answered write must be there")
    func acknowledged() {
        #expect(holds(.acknowledged, [3, 3, 3, 3, 3, 3, 3, 3]))
        #expect(!holds(.acknowledged, [3, 3, 3, 3, 3, 3, 3, 2]))
    }

    @Test("lets a block be blank in part that nothing had to survive in")
    func neverFlushed() {
        let log = Array(Self.log.prefix(3))
        #expect(holds(.flushed, [0, 1, 0, 0, 1, 1, 1, 0], log: log))
        #expect(!holds(.flushed, [0, 1, 0, 2, 1, 1, 1, 0], log: log))
    }

    @Test("takes no sector of a write that was made good by a later one that was flushed")
    func hidden() {
        let more: [(StampRecord.Kind, UInt64)] = [
            (.writing, 4), (.written, 4), (.flushing, 2), (.flushed, 2),
        ]
        let log =
            Self.log
            + more.enumerated().map { index, step in
                StampRecord(step.0, writer: 1, block: 7, sequence: step.1, time: UInt64(100 + index))
            }
        #expect(holds(.flushed, [4, 4, 4, 4, 4, 4, 4, 4], log: log))
        #expect(!holds(.flushed, [4, 4, 4, 3, 4, 4, 4, 4], log: log))
    }
}
