import Basics

extension LiveStories {
    /// What a node finds when it starts. They need a host that is not very busy: at full length only.
    static func boots(full: Bool) -> [LiveStory] {
        guard full else { return [] }
        return [
            LiveStory("nodes that start before their proxies: the preferred one gets the address at once") {
                run throws(LabError) in try proxiesAfterNodes(run)
            }
        ]
    }

    private static func proxiesAfterNodes(_ run: StoryRun) throws(LabError) {
        try run.beginPair()
        let nodes = ["node1", "node2"]
        for node in nodes { run.lab.killDaemon(node) }
        try run.wait("nothing of the product runs, and the address is gone", .seconds(10)) {
            () throws(LabError) -> Bool? in
            for node in nodes {
                if !run.lab.daemonProcesses(node).isEmpty { return nil }
                if try run.holdsPairAddress(node) { return nil }
            }
            return true
        }
        func promotions() -> Int {
            run.daemonLines("node2").filter { $0.contains("promote-begins group=\(LabWeb.group)") }.count
        }
        let before = promotions()
        for node in nodes { try run.lab.startNode(node) }
        // The preferred one's last, and so late that the other could have taken the address twice over.
        for node in nodes.reversed() {
            if node == "node1" { LabClock.nap(.seconds(2)) }
            try run.lab.startProxy(node)
            run.say("the proxy on \(node) answers")
        }
        try run.waitForPair(on: "node1")
        try require(promotions() == before, "node2 did not take the address first")
        try require(try run.holderOfPair() == "node1", "the address is on node1 alone")
        let clients = try run.startClients(1)
        try run.waitForAnswers(5, of: clients, since: clients.now)
    }
}
