import Basics

/// Two proxies behind one address, in machines that lose their power.
enum VirtualPairStories {
    static var all: [VirtualStory] {
        [
            VirtualStory(
                name: "the proxy's machine loses power: sticky clients keep their servers through the other"
            ) {
                run throws(LabError) in try stickyThroughPowerCut(run)
            }
        ]
    }

    private static func stickyThroughPowerCut(_ run: VirtualStoryRun) throws(LabError) {
        try run.beginPair()
        let clients = try run.startClients(3)
        var (holder, other) = ("node1", "node2")
        for round in 1...2 {
            let (servers, outage) = try run.loseHolder(holder, thenOn: other, under: clients)
            guard Set(servers).count == 2 else {
                throw LabError("all clients are on \(servers[0]): round robin gives them to both")
            }
            run.note(
                "\(holder)'s power was cut (\(round) of 2): 3 of 3 clients kept their servers \(servers);"
                    + " the longest that one was without an answer: \(outage.text)")
            let back = clients.now
            try run.returnToPair(holder)
            try run.wait("\(holder)'s proxy and node take part again", run.pairPatience) {
                () throws(LabError) -> Bool? in
                try takesPart(holder, run) ? true : nil
            }
            guard try run.holderOfPair() == other else {
                throw LabError("the address went back to \(holder), and nobody preempts")
            }
            try run.waitForAnswers(20, of: clients, since: clients.now)
            guard try run.serversHeld(by: clients, since: back) == servers else {
                throw LabError("clients moved when \(holder) came back")
            }
            (holder, other) = (other, holder)
        }
        try run.stopClients()
    }

    /// Whether its proxy finds both servers up, and its node hears the other one.
    private static func takesPart(_ node: String, _ run: VirtualStoryRun) throws(LabError) -> Bool {
        let words = "tandem proxy status --settings \(VirtualLab.settingsInside)"
        let proxy = try run.lab.machine(node).run(words, limit: .seconds(20))
        guard proxy.status == 0, run.lab.status(of: node)?.connection == "Connected" else { return false }
        let lines = proxy.output.split(separator: "\n")
        return LabWeb.servers.allSatisfy { server in
            lines.contains { $0.contains(server.name) && $0.contains(" UP") }
        }
    }
}
