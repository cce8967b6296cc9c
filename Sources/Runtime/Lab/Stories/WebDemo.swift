import Basics

/// The end of the demo: two web servers behind the pair of proxies. Round robin, then sticky, then the proxy's machine is
/// killed and the same client is still on its server.
struct WebDemo<Story: PairStory> {
    private let run: Story

    init(_ run: Story) { self.run = run }

    /// Tells it; the machine that was killed is on again at the end.
    func tell() throws(LabError) {
        let first = try run.holderOfPair()
        let other = first == "node1" ? "node2" : "node1"
        run.say("two web servers run on the client's machine; the proxy on \(first) has \(LabWeb.address)")
        run.note("round robin, a client that keeps no cookie: \(try ask(sticky: false))")
        run.note("sticky, a client that keeps its cookie:     \(try ask(sticky: true))")

        let clients = try run.startClients(1)
        let (servers, outage) = try run.loseHolder(first, thenOn: other, under: clients)
        run.note(
            "\(first) was killed: the same client is still on \(servers[0]), through the proxy on \(other); it was"
                + " without an answer for \(outage.text)")
        try run.stopClients()
        try run.returnToPair(first)
    }

    private func ask(sticky: Bool) throws(LabError) -> String {
        let answers = try run.askAsClient([LabWeb.endpoint] + (sticky ? ["--sticky"] : []))
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
