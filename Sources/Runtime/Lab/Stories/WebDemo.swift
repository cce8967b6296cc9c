import Basics

/// The end of the demo: two web servers behind the pair of proxies. Round robin, then sticky, then the proxy's machine is
/// killed and the same client is still on its server.
struct WebDemo {
    private let run: StoryRun

    init(_ run: StoryRun) { self.run = run }

    func tell() throws(LabError) {
        let first = try run.holderOfPair()
        let other = first == "node1" ? "node2" : "node1"
        run.say("two web servers run on the client's machine; the proxy on \(first) has \(LabWeb.address)")
        run.note("round robin, a client that keeps no cookie: \(try ask(sticky: false))")
        run.note("sticky, a client that keeps its cookie:     \(try ask(sticky: true))")

        let clients = try run.startClients(1)
        let settled = LabClock.now()
        try run.waitForAnswers(20, of: clients, since: settled)
        let server = try run.serversHeld(by: clients, since: settled)
        let killed = LabClock.now()
        try run.kill([first])
        try run.waitForPair(on: other)
        try run.waitForAnswers(20, of: clients, since: LabClock.now())
        let after = try run.serversHeld(by: clients, since: killed)
        guard after == server else { throw LabError("the client was on \(server[0]) and is on \(after[0])") }
        let outage = clients.longestSilence(from: killed, to: LabClock.now())
        run.note(
            "\(first) was killed: the same client is still on \(after[0]), through the proxy on \(other); it was"
                + " without an answer for \(outage.text)")
        run.stopObservers()
        try run.start(first, writing: false)
        try run.waitSettled()
    }

    private func ask(sticky: Bool) throws(LabError) -> String {
        let words = [run.lab.program, "ask", LabWeb.endpoint] + (sticky ? ["--sticky"] : [])
        let answers = try run.lab.machine("client").run(words)
        let names = answers.output.split(separator: "\n").first.map { String($0) } ?? ""
        let list = names.split(separator: " ")
        // Two in turn, or one alone.
        let isRight =
            sticky
            ? Set(list).count == 1 : zip(list, list.dropFirst()).allSatisfy { $0 != $1 }
        guard answers.status == 0, list.count == 8, !list.contains("-"), isRight else {
            throw LabError(
                "8 requests \(sticky ? "with" : "without") a cookie were answered by: \(answers.output)")
        }
        return names
    }
}
