import Basics
import Quorum
import Replication
import Testing

@Suite("What waits for what, and what waits for nothing")
struct WaitingTests {
    /// A read of the first node's device that its disk does not answer while `reads` are held.
    private func beginRead(_ pair: Pair, slot: SlotIndex = 9) {
        pair.held.insert(.reads(.first))
        pair.tell(.first, .read(slot: slot, ByteRange(offset: 0, length: BlockSize.block)))
    }

    @Test("readers that never pause do not keep a holder from going alone")
    func narrowsUnderReads() {
        let pair = Pair.serving()
        beginRead(pair)
        pair.disconnect()
        #expect(pair[.first].replica.record?.copies == NodeSet(.first))
        #expect(pair.write(3, 7, slot: 0) == .done)
    }

    @Test("nor a peer from coming back, nor its resync from ending")
    func resyncsUnderReads() {
        let pair = Pair.serving()
        pair.disconnect()
        pair.write(3, 7, slot: 0)
        beginRead(pair)
        pair.connect()
        #expect(pair.witness.record?.copies == .both)
        #expect(pair[.first].replica.sync == .none)
        #expect(pair[.second].blocks[3] == 7)
        #expect(pair[.first].answers[9] == nil)
    }

    @Test("the only copy's disk fails: nobody sees an error before the address is gone, nor who comes later")
    func errorsAfterMute() {
        let pair = Pair.serving()
        pair.disconnect()
        pair[.first].failsDisk = true
        pair[.first].story = []
        pair.held = [.arbiter]
        #expect(pair.write(3, 7, slot: 0) == nil)
        #expect(pair[.first].story == ["mute"])
        #expect(pair.write(4, 7, slot: 1) == nil)
        #expect(pair.read(3, slot: 2) == nil)
        #expect(pair.flush(slot: 3) == nil)
        #expect(pair[.first].story == ["mute"])
        pair.held = []
        pair.settle()
        #expect((0...3).allSatisfy { pair[.first].answers[$0] == .failed })
        #expect(pair[.first].story == ["mute", "failed", "failed", "failed", "failed", "Secondary"])
    }

    @Test("a read that the only copy fails waits for the address too")
    func readErrorAfterMute() {
        let pair = Pair.serving()
        pair.disconnect()
        pair[.first].failsDisk = true
        pair.held = [.arbiter]
        pair[.first].story = []
        _ = pair.read(3, slot: 2)
        #expect(pair[.first].story == ["mute"])
        pair.held = []
        pair.settle()
        #expect(pair[.first].answers[2] == .failed)
    }

    @Test("a demotion that loses its peer while the arbiter is away ends when the peer is back")
    func demotionMeetsPeerAgain() {
        let pair = Pair.serving()
        pair.write(3, 7, slot: 0)
        pair.tell(.first, .arbiterLost)
        pair.held = [.link(.second)]
        pair.tell(.first, .demote)
        pair.disconnect()
        #expect(pair[.first].replica.isFrozen)
        pair.held = []
        pair.connect()
        #expect(pair[.first].story.last == "Secondary")
        #expect(!pair[.first].story.contains("mute"))
        #expect(pair[.second].durable[3] == 7)
    }

    @Test("a demotion does not wait for the end of a resync, which goes on behind it")
    func demotesDuringResync() throws {
        let pair = Pair.serving()
        pair.disconnect()
        // Every other block: each is a run of its own, and there are more than are copied at a time.
        let blocks = Array(stride(from: 0, to: Pair.blockCount, by: 2))
        for block in blocks { pair.write(block, 7, slot: 0) }
        for node in NodeIndex.allCases { pair[node].isConnected = true }
        for node in NodeIndex.allCases { pair.tell(node, .linkUp) }
        while pair[.second].resynced.isEmpty { try #require(pair.step()) }
        pair.tell(.first, .demote)
        while pair[.first].story.last != "Secondary" { try #require(pair.step()) }
        #expect(pair[.second].resynced.count < blocks.count)
        pair.settle()
        #expect(pair[.second].resynced == blocks)
        #expect(pair[.first].replica.sync == .none)
        #expect(pair.witness.record?.copies == .both)
    }

    @Test("the time to wait for a verdict goes on when it ends in the moment in which a record is stored")
    func freezeTimerReturns() {
        let pair = Pair.serving()
        pair.held = [.arbiter]
        pair.disconnect()
        pair.held = [.disk(.first)]
        pair.settle()
        var actions: [ReplicaAction] = []
        pair[.first].replica.handle(.timer(.freeze), at: pair.now, into: &actions)
        let timers = actions.compactMap { action -> Instant? in
            if case .setTimer(.freeze, let at) = action { at } else { nil }
        }
        #expect(pair[.first].replica.isFrozen)
        #expect(timers.count == 1)
        #expect(timers.allSatisfy { $0 > pair.now })
    }
}
