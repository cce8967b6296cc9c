extension StampedCheck {
    /// Bytes that a disk writes whole or not at all.
    public static let sectorSize = 512

    /// Compares, sector by sector, every block that somebody tried to write with what `words` says the image holds.
    ///
    /// For images from which a power cut has taken what disks had not flushed: of a write that need not have survived
    /// any sectors may be there, beside those of an earlier one. Each sector must be that of an attempt which nothing
    /// that had to survive has hidden.
    public func verifySectors<Failure: Error>(
        _ promise: Promise, words: (UInt64) throws(Failure) -> [UInt64]
    ) throws(Failure) -> Report {
        try judgeBlocks(promise) { block, all, required, report throws(Failure) in
            let found = try words(block)
            let may = all.filter { attempt in !required.contains { $0.begin > attempt.end } }
            let wrong = Self.sectors.filter { sector in
                if required.isEmpty && sector.allSatisfy({ found[$0] == 0 }) { return false }
                return !may.contains { attempt in
                    sector.allSatisfy { found[$0] == StampedBlock.word($0, of: attempt.stamp) }
                }
            }
            switch StampedBlock.content(of: found) {
            case .torn, .foreign: report.torn += 1
            case .blank, .stamp: break
            }
            guard !wrong.isEmpty else { return }
            let numbers = wrong.map { "\($0.lowerBound * 8 / Self.sectorSize)" }.joined(separator: ", ")
            report.findings.append(
                Finding(
                    block: block, expected: required.max { $0.begin < $1.begin }?.stamp,
                    found: StampedBlock.content(of: found), detail: "Wrong are its sectors \(numbers)."))
        }
    }

    /// The words of each sector of a block.
    private static var sectors: [Range<Int>] {
        let words = sectorSize / 8
        return stride(from: 0, to: StampedBlock.wordCount, by: words).map { $0..<$0 + words }
    }
}
