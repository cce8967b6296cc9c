import Basics
import DiskFormat
import Quorum
import Replication
import Testing

@Suite("A holder whose disk has failed goes on through the peer")
struct DisklessStoryTests {
    /// Serving, one write on both, and the holder's disk has failed.
    private func diskless() -> Pair {
        let pair = Pair.serving()
        pair.write(3, 7, slot: 0)
        pair[.first].failsDisk = true
        pair.write(4, 8, slot: 1)
        return pair
    }

    @Test("it stays Primary; writes, zeroes, flushes and reads go to the peer and are answered by it")
    func goesOn() {
        let pair = diskless()
        #expect(pair.witness.record?.holder == .first)
        #expect(pair.witness.record?.copies == NodeSet(.second))
        #expect(pair[.first].replica.isDiskless)
        #expect(pair[.first].answers[1] == .done)
        #expect(pair.write(5, 9, slot: 2) == .done)
        #expect(pair[.second].blocks[5] == 9)
        #expect(pair[.first].blocks[5] == 0)
        #expect(pair.read(5, slot: 3) == 9)
        #expect(pair.read(3, slot: 3) == 7)
        pair[.first].values[4] = 0
        pair.tell(.first, .zero(slot: 4, ByteRange(offset: 5 * BlockSize.block, length: BlockSize.block)))
        pair.settle()
        #expect(pair[.first].answers[4] == .done)
        #expect(pair.read(5, slot: 3) == 0)
        #expect(pair.write(6, 10, slot: 4) == .done)
        #expect(pair[.second].durable[6] == 0)
        #expect(pair.flush(slot: 5) == .done)
        #expect(pair[.second].durable == pair[.second].blocks)
    }

    @Test("nothing is answered before the record has changed and the peer has stored it, all blocks marked")
    func recordFirst() {
        let pair = Pair.serving()
        pair.write(3, 7, slot: 0)
        pair[.first].failsDisk = true
        pair.held = [.arbiter]
        #expect(pair.write(4, 8, slot: 1) == nil)
        #expect(pair.read(3, slot: 2) == nil)
        #expect(pair.flush(slot: 3) == nil)
        #expect(pair[.first].replica.openRequest?.copies == NodeSet(.second))
        // The connection stands: who reads the journal must not look for the reason there.
        #expect(pair[.first].story.contains("frozen by its own disk"))
        // The grant is here, the peer's disk is slow.
        pair.held = [.disk(.second)]
        pair.settle()
        #expect(pair[.first].replica.isDiskless)
        #expect([1, 2, 3].allSatisfy { pair[.first].answers[$0] == nil })
        #expect(pair[.first].story.last != "through the peer")
        pair.held = []
        pair.settle()
        #expect(pair[.first].story.contains("through the peer"))
        #expect([1, 2, 3].allSatisfy { pair[.first].answers[$0] == .done })
        #expect(pair[.second].superblock.record == pair.witness.record)
        #expect(pair[.second].bitmap[0] == .max)
    }

    @Test("while the record still names its copy, the holder asks the peer for nothing")
    func recordDecides() {
        let pair = Pair.serving()
        pair.write(3, 7, slot: 0)
        pair[.first].failsDisk = true
        pair.held = [.arbiter]
        #expect(pair.read(3, slot: 1) == nil)
        #expect(pair.read(3, slot: 2) == nil)
        #expect(!pair[.first].replica.isDiskless)
        #expect(pair[.second].freePeerSlots.count == SlotLayout.peer.count)
        #expect(pair[.first].story.last == "frozen by its own disk")
    }

    @Test("a read that its own disk failed is asked of the peer, and the device sees no error")
    func failedRead() {
        let pair = Pair.serving()
        pair.write(3, 7, slot: 0)
        pair[.first].failsDisk = true
        pair[.first].blocks[3] = 666
        #expect(pair.read(3, slot: 1) == 7)
        #expect(!pair[.first].story.contains("failed"))
    }

    @Test("a flush never tells the peer's marks to go: the other copy has nothing of it")
    func marksStay() {
        let pair = diskless()
        for slot in 2..<6 {
            pair.write(slot, UInt32(slot), slot: slot)
            pair.flush(slot: 10 + slot)
        }
        #expect(pair[.second].replica.dirty.count == Pair.blockCount)
        #expect(pair[.second].bitmap[0] == .max)
    }

    @Test("overlapping requests keep their order at the peer")
    func order() {
        let pair = diskless()
        pair.held = [.disk(.second)]
        pair.write(6, 1, slot: 2)
        #expect(pair.read(6, slot: 3) == nil)
        pair.write(6, 2, slot: 4)
        // One of the three is there: the others wait for its answer.
        #expect(pair[.second].freePeerSlots.count == SlotLayout.peer.count - 1)
        pair.held = []
        pair.settle()
        #expect(pair[.first].read[3] == 1)
        #expect(pair[.second].blocks[6] == 2)
        #expect([2, 3, 4].allSatisfy { pair[.first].answers[$0] == .done })
    }

    @Test("a peer that blinked gets everything again, in its order")
    func blink() {
        let pair = diskless()
        pair.held = [.link(.second), .link(.first)]
        pair.write(6, 1, slot: 2)
        #expect(pair.read(7, slot: 3) == nil)
        #expect(pair.flush(slot: 4) == nil)
        pair.held = []
        pair.disconnect()
        #expect(pair[.first].replica.isFrozen)
        #expect(pair.witness.record?.copies == NodeSet(.second))
        pair.connect()
        #expect([2, 3, 4].allSatisfy { pair[.first].answers[$0] == .done })
        #expect(pair[.second].blocks[6] == 1)
        #expect(pair[.second].resynced.isEmpty)
    }

    @Test("without the peer it never goes on: EIO when the time is over, after the address has gone")
    func neverAlone() {
        let pair = diskless()
        pair.disconnect()
        #expect(pair.write(6, 1, slot: 2) == nil)
        pair.tell(.first, .timer(.askAgain))
        pair.settle()
        #expect(pair[.first].replica.openRequest == nil)
        pair[.first].story = []
        pair.tell(.first, .timer(.freeze))
        pair.settle()
        #expect(pair[.first].story == ["mute", "failed", "Secondary"])
        #expect(pair.witness.record?.copies == NodeSet(.second))
    }

    @Test("a copy that crashed with what it had acknowledged, unflushed, ends the holder's device")
    func restartedCopy() {
        let pair = diskless()
        pair.write(6, 1, slot: 2)
        pair.crash(.second)
        pair.disconnect([.first])
        pair.restart(.second)
        #expect(pair[.second].blocks[6] == 0)
        pair[.first].story = []
        pair.connect()
        #expect(!pair[.first].replica.isPrimary)
        #expect(pair[.first].story.contains("mute"))
        // What the arbiter promised the holder ends.
        pair.now = pair.now + .seconds(1)
        pair.tell(.second, .timer(.waitForPeer))
        pair.tell(.second, .promote)
        pair.settle()
        let isPrimary = pair[.second].replica.isPrimary
        #expect(isPrimary)
    }

    @Test("a copy that crashed with all of it flushed goes on serving the holder")
    func restartedFlushed() {
        let pair = diskless()
        pair.write(6, 1, slot: 2)
        pair.flush(slot: 3)
        pair.crash(.second)
        pair.disconnect([.first])
        #expect(pair.write(7, 2, slot: 2) == nil)
        pair.restart(.second)
        #expect(pair[.second].replica.isRestarted)
        pair.connect()
        #expect(pair[.first].answers[2] == .done)
        #expect(pair.read(6, slot: 3) == 1)
        #expect(pair.read(7, slot: 3) == 2)
    }

    @Test("it hands over with nothing lost")
    func handOver() {
        let pair = diskless()
        pair.write(6, 1, slot: 2)
        pair.tell(.first, .handOver)
        pair.settle()
        #expect(pair[.first].story.last == "closed: recordChanged")
        #expect(!pair[.first].replica.isPrimary)
        #expect(pair.witness.record?.holder == .second)
        #expect(pair.witness.record?.copies == NodeSet(.second))
        #expect(pair[.second].durable[6] == 1)
        pair.tell(.second, .recordRead(pair.witness.record))
        pair.settle()
        pair.tell(.second, .promote)
        pair.settle()
        #expect(pair.write(6, 2, slot: 0, on: .second) == .done)
    }

    @Test("a disk that works again after a restart gets everything, and counts only then")
    func comesBack() {
        let pair = diskless()
        pair.write(6, 1, slot: 2)
        pair.crash(.first)
        pair.disconnect([.second])
        pair[.first].failsDisk = false
        pair.restart(.first)
        pair.tell(.first, .promote)
        pair.settle()
        #expect(!pair[.first].replica.isPrimary)
        pair.connect()
        #expect(pair[.first].resynced.count == Pair.blockCount)
        #expect(pair[.first].blocks == pair[.second].blocks)
        #expect(pair.witness.record?.copies == .both)
    }
}
