import Basics
import DiskFormat
import Testing

@Suite struct SuperblockSlotsTests {
    let older = Sample.superblock.encoded(sequence: 8)
    let newer: [UInt8] = {
        var superblock = Sample.superblock
        superblock.condition = .consistent
        return superblock.encoded(sequence: 9)
    }()

    @Test("the newer of two whole slots counts, in either place, and the next store goes to the other")
    func newest() throws {
        let inFirst = try SuperblockSlots.newest(newer, older)
        #expect(inFirst.sequence == 9 && inFirst.slot == 0 && inFirst.nextSlot == 1)
        let inSecond = try SuperblockSlots.newest(older, newer)
        #expect(inSecond.sequence == 9 && inSecond.slot == 1 && inSecond.nextSlot == 0)
        #expect(inSecond.superblock.condition == .consistent)
    }

    @Test("a slot torn at any byte leaves the other slot's superblock")
    func torn() throws {
        let stale = Sample.superblock.encoded(sequence: 7)
        for length in 0..<newer.count {
            let slot = Array(newer[..<length] + stale[length...])
            let stored = try SuperblockSlots.newest(slot, older)
            // Past the last byte that differs the store is whole, and before the first it has not begun.
            #expect(stored.sequence == (slot == newer ? 9 : 8))
            guard stored.sequence == 8 || slot == newer else { return }
        }
    }

    @Test("two slots of zero bytes were never initialized")
    func neverInitialized() {
        #expect(newestError(Sample.blank, Sample.blank) == .neverInitialized)
    }

    @Test("two bad slots are damaged if one was ours, foreign if none was")
    func bothBad() {
        var bad = newer
        bad[100] ^= 1
        #expect(newestError(bad, Sample.blank) == .damaged(.superblock))
        #expect(newestError(Sample.blank, bad) == .damaged(.superblock))
        #expect(newestError(bad, bad) == .damaged(.superblock))
        let foreign = [UInt8](repeating: 0x53, count: MetadataLayout.blockSize)
        #expect(newestError(foreign, foreign) == .foreign(.superblock))
        #expect(newestError(foreign, Sample.blank) == .foreign(.superblock))
    }

    @Test("a whole slot of a newer version is refused although the other could be read")
    func newerVersion() {
        var future = newer
        future[9] = 2
        let expected = DiskFormatError.unsupportedVersion(.superblock, found: 2, supported: 1)
        #expect(newestError(Sample.sealed(future), older) == expected)
        #expect(newestError(older, Sample.sealed(future)) == expected)
    }

    @Test("two different superblocks of one sequence are refused, two equal ones are not")
    func oneSequence() throws {
        var other = Sample.superblock
        other.ownership = 1
        #expect(newestError(older, other.encoded(sequence: 8)) == .contradictorySuperblocks)
        #expect(try SuperblockSlots.newest(older, older).sequence == 8)
    }

    @Test("a slot of another length is refused")
    func length() {
        #expect(
            newestError(Array(newer.dropLast()), older)
                == .wrongLength(.superblock, found: 4095, expected: 4096))
    }

    private func newestError(_ first: [UInt8], _ second: [UInt8]) -> DiskFormatError? {
        failure { () throws(DiskFormatError) in _ = try SuperblockSlots.newest(first, second) }
    }
}
