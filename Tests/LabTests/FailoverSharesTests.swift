import Testing

@testable import Lab

@Suite("What a demo tells of a promotion's steps")
struct FailoverSharesTests {
    private let log = """
        2026-11-21T11:00:00.000Z notice tandem: promote-begins group=files
        2026-11-21T11:00:01.000Z notice tandem: promote-step group=files detail="grant: done in 900 ms"
        2026-11-21T11:00:01.000Z notice tandem: promote-ends group=files detail="in 900 ms"
        2026-11-21T11:20:52.000Z notice tandem: promote-begins group=files
        2026-11-21T11:20:52.407Z notice tandem: promote-step group=files detail="grant: done in 209 ms"
        2026-11-21T11:20:52.410Z notice tandem: peer-lost reason="silent for 1501 ms"
        2026-11-21T11:20:52.500Z notice tandem: promote-begins group=web
        2026-11-21T11:20:52.501Z notice tandem: promote-step group=web detail="raise 192.168.56.101/24: done in 1 ms"
        2026-11-21T11:20:52.502Z notice tandem: promote-ends group=web detail="in 2 ms"
        2026-11-21T11:20:52.579Z notice tandem: promote-step group=files detail="link data: done in 10 ms"
        2026-11-21T11:20:54.315Z notice tandem: promote-step group=files detail="raise 192.168.56.100/24: done in 0 ms"
        2026-11-21T11:20:54.345Z notice tandem: promote-ends group=files detail="in 265 ms"

        """

    @Test("only the last plan counts, and of its steps those that took a twentieth or more are named")
    func lastPlan() {
        let shares = FailoverShares(log: log, phase: "promote")
        #expect(shares.total == 265)
        #expect(shares.steps.map(\.name) == ["grant", "link data", "raise 192.168.56.100/24"])
        #expect(shares.lines == ["3 steps in 265 ms: grant 209"])
    }

    @Test("a journal without such a plan, or with one that has not ended, has nothing to tell")
    func noPlan() {
        #expect(FailoverShares(log: log, phase: "demote").lines.isEmpty)
        let cut = log.split(separator: "\n").dropLast().joined(separator: "\n")
        #expect(FailoverShares(log: cut, phase: "promote").lines.isEmpty)
    }
}
