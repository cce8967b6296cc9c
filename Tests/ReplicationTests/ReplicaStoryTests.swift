import Basics
import DiskFormat
import Quorum
import Replication
import Testing

@Suite("Two replicas, one writer")
struct ReplicaStoryTests {
    @Test("a write is answered when both have it")
    func answeredByBoth() {
        let pair = Pair.serving()
        #expect(pair.write(3, 7, slot: 0) == .done)
        #expect(pair[.first].blocks[3] == 7)
        #expect(pair[.second].blocks[3] == 7)
        pair.held = [.disk(.second)]
        #expect(pair.write(3, 8, slot: 1) == nil)
        #expect(pair[.first].blocks[3] == 8)
        pair.held = []
        pair.settle()
        #expect(pair[.first].answers[1] == .done)
    }

    @Test("an acknowledgement of the peer alone does not answer either")
    func ownDiskCounts() {
        let pair = Pair.serving()
        pair.write(3, 7, slot: 0)
        pair.held = [.disk(.first)]
        #expect(pair.write(4, 8, slot: 1) == nil)
        #expect(pair[.second].blocks[4] == 8)
        pair.held = []
        pair.settle()
        #expect(pair[.first].answers[1] == .done)
    }

    @Test("a flush waits for the peer's flush")
    func flushOnBoth() {
        let pair = Pair.serving()
        pair.write(3, 7, slot: 0)
        pair.held = [.disk(.second)]
        #expect(pair.flush(slot: 1) == nil)
        #expect(pair[.first].durable[3] == 7)
        pair.held = []
        pair.settle()
        #expect(pair[.first].answers[1] == .done)
        #expect(pair[.second].durable[3] == 7)
    }

    @Test("overlapping writes keep their order on both")
    func overlapping() {
        let pair = Pair.serving()
        pair.write(3, 1, slot: 0)
        pair.held = [.disk(.first), .disk(.second)]
        for value in UInt32(10)...14 { pair.write(3, value, slot: Int(value)) }
        pair.held = [.disk(.first)]
        pair.settle()
        pair.held = []
        pair.settle()
        #expect((10...14).allSatisfy { pair[.first].answers[$0] == .done })
        #expect(pair[.first].blocks[3] == 14)
        #expect(pair[.second].blocks[3] == 14)
    }

    @Test("an extent is in the log, durably, before its write is issued or sent")
    func logFirst() {
        let pair = Pair.serving()
        pair.held = [.disk(.first)]
        pair.write(0, 7, slot: 0)
        #expect(pair[.first].stores.last == .logTransaction)
        pair.settle()
        #expect(pair[.second].blocks[0] == 0)
        pair.held = []
        pair.settle()
        #expect(pair[.second].blocks[0] == 7)
        #expect(pair[.first].logged == [0])
    }

    @Test("an extent is evicted after its data, then its bitmap, and only then is its slot used again")
    func evictionOrder() {
        let pair = Pair.serving(logCapacity: 1)
        pair.write(0, 7, slot: 0)
        pair.disconnect()
        #expect(pair.write(1, 8, slot: 1) == .done)
        pair[.first].stores = []
        #expect(pair.write(8, 9, slot: 2) == .done)
        #expect(pair[.first].stores == [.evictionBitmap, .logTransaction])
        #expect(pair[.first].bitmap[0] & 0b10 == 0b10)
        #expect(pair[.first].logged == [1])
    }

    @Test("while both are copies an extent is evicted only when it is durable on both")
    func evictionFlushes() {
        let pair = Pair.serving(logCapacity: 1)
        pair.write(0, 7, slot: 0)
        pair.held = [.disk(.second)]
        #expect(pair.write(8, 9, slot: 1) == nil)
        #expect(pair[.first].logged == [0])
        pair.held = []
        pair.settle()
        #expect(pair[.second].durable[0] == 7)
        #expect(pair[.first].logged == [1])
        #expect(pair[.first].answers[1] == .done)
    }

    @Test("the holder freezes when the peer is lost and goes on alone with a grant, marked before it answers")
    func goesAlone() {
        let pair = Pair.serving()
        pair.write(3, 7, slot: 0)
        pair.held = [.arbiter]
        pair.disconnect()
        #expect(pair[.first].story.last == "frozen")
        #expect(pair.write(4, 8, slot: 1) == nil)
        #expect(pair.flush(slot: 2) == nil)
        pair.held = []
        pair.settle()
        #expect(pair[.first].answers[1] == .done)
        #expect(pair[.first].answers[2] == .done)
        #expect(pair.witness.record?.copies == NodeSet(.first))
        #expect(pair[.first].superblock.record == pair.witness.record)
        #expect(pair[.first].superblock.generations.bitmap == .zeroes)
        #expect(pair[.first].bitmap[0] & 1 << 3 != 0)
    }

    @Test("a request to the arbiter is stored before it is sent, and what it is given for is durable")
    func asksDurably() {
        let pair = Pair.serving()
        pair.write(3, 7, slot: 0)
        pair.held = [.arbiter]
        pair[.first].stores = []
        pair.disconnect()
        #expect(pair[.first].durable[3] == 7)
        #expect(pair[.first].superblock.intent?.purpose == .narrow)
        #expect(pair.witness.record?.epoch == pair[.first].superblock.intent?.expectedEpoch)
    }

    @Test("a deposed holder marks, mutes, then fails, in that order")
    func deposed() {
        let pair = Pair.serving()
        pair.write(3, 7, slot: 0)
        pair.held = [.disk(.second)]
        #expect(pair.write(5, 8, slot: 1) == nil)
        pair.held = [.arbiter]
        pair.disconnect([.first])
        pair[.first].story = []
        let known =
            pair.witness.record ?? ArbiterRecord(epoch: 0, grant: .none, holder: .first, copies: .both)
        let next = ArbiterRecord(
            epoch: known.epoch + 1, grant: Mark(high: 5, low: 5), holder: .second, copies: NodeSet(.second))
        pair.tell(.first, .recordRead(next))
        pair.settle()
        #expect(pair[.first].story == ["mute"])
        #expect(pair[.first].bitmap[0] & 1 << 5 != 0)
        #expect(pair[.first].superblock.record == next)
        pair.held = []
        pair.settle()
        #expect(pair[.first].story == ["mute", "failed", "Secondary"])
    }

    @Test("without a verdict the holder is deposed when the time is over")
    func freezeTimeout() {
        let pair = Pair.serving()
        pair.held = [.arbiter]
        pair.disconnect()
        #expect(pair.write(3, 7, slot: 0) == nil)
        pair[.first].story = []
        pair.tell(.first, .timer(.freeze))
        pair.settle()
        #expect(pair[.first].story == ["mute"])
        pair.tell(.first, .muted)
        #expect(pair[.first].story == ["mute", "failed", "Secondary"])
    }

    @Test("a returning peer gets what was written meanwhile and nothing else")
    func deltaResync() {
        let pair = Pair.serving(logCapacity: 7)
        pair.write(1, 1, slot: 0)
        pair.flush(slot: 1)
        pair.disconnect()
        pair.write(20, 2, slot: 0)
        pair.write(40, 3, slot: 0)
        pair.connect()
        #expect(pair[.second].resynced.sorted() == [1, 20, 40])
        #expect(pair[.first].replica.resyncBytesSent == 3 * BlockSize.block)
        #expect(pair[.first].blocks == pair[.second].blocks)
        #expect(pair.witness.record?.copies == .both)
        #expect(pair[.second].superblock.condition == .consistent)
        #expect(pair[.second].superblock.generations.current == pair[.first].superblock.generations.current)
        #expect(pair.write(2, 4, slot: 0) == .done)
        #expect(pair[.second].blocks[2] == 4)
    }

    @Test("a target calls itself whole when the record says so, not before")
    func targetWaits() {
        let pair = Pair.serving()
        pair.disconnect()
        pair.write(20, 2, slot: 0)
        pair.held = [.arbiter]
        pair.connect()
        #expect(pair[.second].blocks[20] == 2)
        #expect(pair[.second].superblock.condition == .awaitingRecord)
        // Until the widening is answered, both records are obeyed: what is written needs both.
        #expect(pair[.first].replica.openRequest?.purpose == .widen)
        pair.held = [.arbiter, .disk(.second)]
        #expect(pair.write(21, 3, slot: 0) == nil)
        pair.held = []
        pair.settle()
        #expect(pair[.second].superblock.condition == .consistent)
        #expect(pair[.first].answers[0] == .done)
    }

    @Test("a peer that blinked gets the frames again and nothing is copied")
    func blink() {
        let pair = Pair.serving()
        pair.write(3, 7, slot: 0)
        pair.tell(.first, .arbiterLost)
        pair.held = [.link(.second)]
        #expect(pair.write(4, 8, slot: 1) == nil)
        pair.held = []
        pair.disconnect()
        #expect(pair[.first].replica.isFrozen)
        pair.connect()
        #expect(pair[.first].answers[1] == .done)
        #expect(pair[.second].resynced.isEmpty)
        #expect(pair.witness.record?.copies == .both)
        #expect(pair[.first].blocks == pair[.second].blocks)
    }

    @Test("a restarted member waits for its peer before it asks to hold")
    func restartedWaits() {
        let pair = Pair.serving()
        pair.write(3, 7, slot: 0)
        pair.crash(.second)
        pair.held = [.arbiter]
        pair.tell(.first, .linkLost)
        pair.restart(.second)
        pair.held = []
        #expect(pair[.second].replica.isRestarted)
        pair.tell(.second, .promote)
        #expect(pair[.second].story.last == "refused: waitingForPeer")
    }

    @Test("what a crashed member lost comes back to it from the one whose memory is unbroken")
    func memoryDecides() {
        let pair = Pair.serving()
        pair.write(3, 7, slot: 0)
        pair.flush(slot: 1)
        // Without the arbiter nobody narrows: the two meet again as they were.
        pair.tell(.first, .arbiterLost)
        pair.write(4, 8, slot: 0)
        pair.crash(.second)
        pair.disconnect([.first])
        pair.restart(.second)
        #expect(pair[.second].blocks[4] == 0)
        pair.connect()
        #expect(pair[.second].resynced.contains(4))
        #expect(pair[.second].blocks[4] == 8)
        #expect(pair[.second].blocks[3] == 7)
    }

    @Test("after a crash every logged extent is marked, durably, before the first greeting")
    func logReplayed() {
        let pair = Pair.serving()
        pair.write(3, 7, slot: 0)
        pair.crash(.first)
        pair[.first].stores = []
        pair.restart(.first)
        #expect(pair[.first].stores.prefix(2) == [.logReplay, .logCleared])
        #expect(pair[.first].bitmap[0] & 0xFF == 0xFF)
        #expect(pair[.first].logged.isEmpty)
    }

    @Test("a log is not cleared by a disk that has just refused the bitmap which takes its place")
    func replayNotStored() {
        let pair = Pair.serving()
        pair.write(9, 5, slot: 0)
        pair.crash(.first)
        let logged = pair[.first].logged
        pair[.first].failsDisk = true
        pair[.first].stores = []
        pair.restart(.first)
        #expect(!logged.isEmpty)
        #expect(pair[.first].stores.first == .logReplay)
        #expect(!pair[.first].stores.contains(.logCleared))
    }

    @Test("an own disk error is answered when the record has changed, by what the peer has")
    func ownDiskError() {
        let pair = Pair.serving()
        pair.write(3, 7, slot: 0)
        pair[.first].failsDisk = true
        pair.held = [.arbiter]
        #expect(pair.write(3, 8, slot: 1) == nil)
        #expect(pair[.second].blocks[3] == 8)
        pair.held = []
        pair.settle()
        #expect(pair.witness.record?.copies == NodeSet(.second))
        #expect(pair[.first].answers[1] == .done)
        #expect(pair[.first].replica.isPrimary)
    }

    @Test("the peer's disk error answers nothing before the peer has left the copies")
    func peerDiskError() {
        let pair = Pair.serving()
        pair.write(3, 7, slot: 0)
        pair[.second].failsDisk = true
        pair.held = [.arbiter]
        #expect(pair.write(3, 8, slot: 1) == nil)
        pair.held = []
        pair.settle()
        #expect(pair.witness.record?.copies == NodeSet(.first))
        #expect(pair[.first].answers[1] == .done)
    }

    @Test("a switchover loses nothing: the old holder flushes, the new one is granted")
    func switchover() {
        let pair = Pair.serving()
        pair.write(3, 7, slot: 0)
        pair.tell(.first, .handOver)
        pair.settle()
        #expect(pair[.first].story.last == "Secondary")
        pair.tell(.second, .promote)
        pair.settle()
        #expect(pair[.second].replica.isPrimary)
        #expect(pair[.second].durable[3] == 7)
        #expect(pair.write(3, 8, slot: 0, on: .second) == .done)
        #expect(pair[.first].blocks[3] == 8)
    }

    @Test("who asks to become holder takes no frame of the old one from then on")
    func oldFrames() {
        let pair = Pair.serving()
        pair.write(3, 7, slot: 0)
        pair.held = [.arbiter]
        pair.tell(.second, .takeOver)
        pair.settle()
        pair.write(3, 8, slot: 1)
        #expect(pair[.second].blocks[3] == 7)
        #expect(pair[.second].story.contains("closed: oldEpoch"))
        #expect(pair[.first].answers[1] == nil)
    }

    @Test("a request that is open survives a restart, and an unchanged record does not close it")
    func openRequest() {
        let pair = Pair.serving()
        pair.held = [.arbiter]
        pair.disconnect()
        let asked = pair[.first].replica.openRequest
        #expect(asked?.purpose == .narrow)
        pair.crash(.first)
        pair.restart(.first)
        #expect(pair[.first].replica.openRequest?.identifier == asked?.identifier)
        pair.tell(.first, .recordRead(pair.witness.record))
        #expect(pair[.first].replica.openRequest?.identifier == asked?.identifier)
    }

    @Test("an arbiter that has lost its record cannot refuse what it may have granted before")
    func emptiedArbiter() throws {
        let pair = Pair.serving()
        pair.held = [.arbiter]
        pair.disconnect()
        let asked = try #require(pair[.first].replica.openRequest)
        pair.tell(.first, .timer(.askAgain))
        pair.tell(.first, .arbiterAnswered(identifier: asked.identifier, .refused(.noRecord, nil)))
        #expect(pair[.first].replica.openRequest == asked)
        pair.tell(
            .first,
            .arbiterAnswered(identifier: asked.identifier, .refused(.notTheHolder, pair.witness.record)))
        #expect(pair[.first].replica.openRequest == nil)
    }
}
