import Simulation
import Testing

@Suite("The simulator judges, repeats itself and goes on where it stood")
struct SimulationTests {
    @Test("the same seed gives the same run")
    func deterministic() {
        for kind in Profile.Kind.allCases {
            let campaign = Campaign(kind: kind)
            #expect(campaign.traceHash(of: 3) == campaign.traceHash(of: 3))
            #expect(campaign.traceHash(of: 3) != campaign.traceHash(of: 4))
        }
    }

    @Test("a few seeds of each world are clean", arguments: Profile.Kind.allCases)
    func clean(_ kind: Profile.Kind) {
        var campaign = Campaign(kind: kind)
        for seed in 1...4 {
            let violation = campaign.run(UInt64(seed))
            #expect(violation == nil, "\(campaign.replayLine(of: UInt64(seed)))")
        }
        #expect(campaign.coverage.seeds == 4)
    }

    @Test(
        "a break is found by what it breaks",
        arguments: [
            ("acknowledgeWithoutPeer", "I4"), ("sync-1", "I17"), ("sync-12", "I14"), ("sync-3", "I10"),
            ("sync-6", "R3"),
        ])
    func finds(_ name: String, _ invariant: String) {
        var campaign = Campaign(kind: .arbiter, fault: DeliberateBreak(named: name))
        let found = (100...110).lazy.compactMap { campaign.run($0) }.first
        #expect(found?.invariant == invariant)
    }

    @Test("progress survives as text")
    func progress() throws {
        var campaign = Campaign(kind: .arbiter)
        _ = campaign.run(1)
        var progress = Progress(next: 2)
        progress.coverage = campaign.coverage
        let read = try #require(Progress(text: progress.text))
        #expect(read.next == 2)
        #expect(read.text == progress.text)
        #expect(Progress(text: "next seed: 2\nno such line: 3\n") == nil)
        #expect(Progress(text: "") == nil)
    }

    @Test("a violation can be run again by the line that names it")
    func replay() {
        let campaign = Campaign(fault: DeliberateBreak(named: "sync-4"))
        #expect(campaign.replayLine(of: 7) == "tandem-simulate --profile none --seed 7 --break sync-4")
        #expect(DeliberateBreak(named: "nothing") == nil)
    }
}
