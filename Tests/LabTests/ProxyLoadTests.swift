import Basics
import Testing

@testable import Lab

@Suite("What the load on the proxy is judged by")
struct ProxyLoadTests {
    @Test("memory that grows is found, memory that rose while it warmed up is not")
    func growth() throws {
        let warm = (0..<20).map { 10_000 + $0 * 200 }
        let flat = warm + [Int](repeating: 14_000, count: 80)
        let settled = try #require(LoadGrowth(kilobytes: flat))
        #expect(settled.isAllowed && settled.first == 14_000 && settled.last == 14_000)
        let leaking = try #require(LoadGrowth(kilobytes: warm + (0..<80).map { 14_000 + $0 * 20 }))
        #expect(!leaking.isAllowed && leaking.last > leaking.first)
        // A sample or two of another size is no growth.
        var spike = flat
        spike[99] = 90_000
        #expect(LoadGrowth(kilobytes: spike)?.isAllowed == true)
        #expect(LoadGrowth(kilobytes: [Int](repeating: 1, count: 11)) == nil, "too little to say")
    }

    @Test("an answer that does not come in time is one that hung, and a finding")
    func hung() throws {
        let listener = try LabSocket.listen(on: 0)
        let connection = try LoadConnection(port: listener.port, patience: .milliseconds(50))
        #expect(connection.send("GET / HTTP/1.1\r\nHost: load\r\n\r\n"))
        guard case .late = connection.answer(to: "GET") else {
            Issue.record("an answer of nobody")
            return
        }
        let score = LoadScore()
        score.add(.hung, of: "new", since: LabClock.now(), note: "(request 7)") { "\n    why" }
        #expect(score.tallies["new"]?.hung == 1)
        let finding = try #require(score.findings.first)
        #expect(finding.hasPrefix("new: no answer after ") && finding.hasSuffix(" (request 7)\n    why"))
    }

    @Test("who is refused while servers change is not a finding; who is refused in the calm is")
    func calm() {
        let score = LoadScore()
        score.disturb(true)
        score.add(.refused(503), of: "new", since: LabClock.now())
        score.disturb(false)
        #expect(score.findings.isEmpty && score.tallies["new"]?.refused == 1)
        let begun = LabClock.now()
        score.add(.cut, of: "new", since: begun)
        #expect(score.tallies["new"]?.unexplained == 1 && score.findings.count == 1)
        score.add(.starved("moved"), of: "sticky", since: begun)
        #expect(score.tallies["sticky"]?.starved == 1 && score.tallies["sticky"]?.wrong == 0)
    }

    @Test("a server that got no processor knows for how long: two turns, because an answer takes two")
    func absence() {
        let origin = LoadOrigin(name: "web1", port: 0, echoes: false)
        origin.takeTurn()
        #expect(origin.absence(within: .seconds(60)) < .milliseconds(300))
        LabClock.nap(.milliseconds(350))
        #expect(origin.absence(within: .seconds(60)) >= .milliseconds(350), "it is away now")
        origin.takeTurn()
        LabClock.nap(.milliseconds(50))
        origin.takeTurn()
        origin.takeTurn()
        #expect(origin.absence(within: .seconds(60)) >= .milliseconds(400))
        #expect(origin.absence(within: .seconds(0)) < .milliseconds(350), "that was before")
    }
}
