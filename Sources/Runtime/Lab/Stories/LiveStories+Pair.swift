import Basics
import Glibc

extension LiveStories {
    /// Two proxies behind one address.
    static func pairs() -> [LiveStory] {
        [
            LiveStory(
                "the proxy's machine dies: every sticky client keeps its server through the other proxy"
            ) {
                run throws(LabError) in try stickyThroughDeath(run)
            },
            LiveStory("a proxy that is dead, or hangs, does not keep the address") { run throws(LabError) in
                try deadProxy(run)
            },
            LiveStory(
                "the address leaves a proxy that has lost its servers for one that has them; where neither has any it"
                    + " stays"
            ) { run throws(LabError) in try emptyProxy(run) },
            LiveStory("what is ordered at one proxy holds at the other, also at one that was off") {
                run throws(LabError) in try ordersReach(run)
            },
            LiveStory("a proxy listens on an address that is elsewhere, with and without the sysctl") {
                run throws(LabError) in try absentAddress(run)
            },
        ]
    }

    private static func stickyThroughDeath(_ run: StoryRun) throws(LabError) {
        try run.beginPair()
        let clients = try run.startClients(8)
        let (before, outage) = try run.loseHolder("node1", thenOn: "node2", under: clients)
        try require(Set(before).count == 2, "clients are on both servers: \(before.joined(separator: " "))")
        run.note(
            "8 of 8 clients kept their server; the longest that one was without an answer: \(outage.text)")
        try require(outage < .seconds(5), "no client was without an answer for 5 s")
        try run.start("node1", writing: false)
        let back = LabClock.now()
        try run.wait("node1 takes part again", .seconds(20)) { () throws(LabError) -> Bool? in
            try peerIsHeard(LabWeb.group, on: "node1", run) ? true : nil
        }
        try run.waitForAnswers(20, of: clients, since: LabClock.now())
        try require(try run.holderOfPair() == "node2", "the address stays on node2: nobody preempts")
        try require(try run.serversHeld(by: clients, since: back) == before, "nobody moved when it came back")
    }

    private static func deadProxy(_ run: StoryRun) throws(LabError) {
        try run.beginPair()
        let clients = try run.startClients(4)
        func proxy(_ node: String) throws(LabError) -> Int32 {
            try run.wait("a proxy runs on \(node)", .seconds(5)) { () throws(LabError) in
                run.lab.proxyProcess(node)
            }
        }
        try waitForProxy("node2", run)
        var begin = LabClock.now()
        Glibc.kill(try proxy("node1"), SIGKILL)
        try run.waitForPair(on: "node2", .seconds(5))
        try run.waitForAnswers(10, of: clients, since: LabClock.now())
        var outage = clients.longestSilence(from: begin, to: LabClock.now())
        run.note("proxy killed: the longest that a client was without an answer: \(outage.text)")
        try require(outage < .seconds(4), "no client was without an answer for 4 s")
        try require(try run.holderOfPair() == "node2", "node1 has lowered the address")

        try run.lab.startProxy("node1")
        try waitForProxy("node1", times: 2, run)
        try require(try run.holderOfPair() == "node2", "the address does not go back by itself")
        begin = LabClock.now()
        let hung = try proxy("node2")
        Glibc.kill(hung, SIGSTOP)
        defer { Glibc.kill(hung, SIGCONT) }
        try run.waitForPair(on: "node1", .seconds(6))
        try run.waitForAnswers(10, of: clients, since: LabClock.now())
        outage = clients.longestSilence(from: begin, to: LabClock.now())
        run.note("proxy stopped: the longest that a client was without an answer: \(outage.text)")
        try require(outage < .seconds(5), "no client was without an answer for 5 s")
        try require(try run.holderOfPair() == "node1", "node2 has lowered the address")
    }

    /// Waits until a node has found so many times that its proxy serves.
    private static func waitForProxy(_ node: String, times: Int = 1, _ run: StoryRun) throws(LabError) {
        try run.wait("\(node)'s proxy serves", .seconds(10)) { () throws(LabError) -> Bool? in
            run.daemonLines(node).count { $0.contains("proxy") && $0.contains("serves") } >= times
                ? true : nil
        }
    }

    private static func emptyProxy(_ run: StoryRun) throws(LabError) {
        try run.beginPair()
        let clients = try run.startClients(4)
        try waitForProxy("node2", run)
        let begin = LabClock.now()
        try takeServers(from: "node1", run)
        try run.waitForPair(on: "node2", .seconds(15))
        try run.waitForAnswers(10, of: clients, since: LabClock.now())
        let outage = clients.longestSilence(from: begin, to: LabClock.now())
        run.note("servers lost to one proxy: the longest without an answer was \(outage.text)")
        // Three checks every 500 ms, the patience of 3 s, the elector.
        try require(outage < .seconds(8), "no client was without an answer for 8 s")
        try require(try run.holderOfPair() == "node2", "node1 has lowered the address")

        try takeServers(from: "node2", run)
        let ask = [run.lab.program, "ask", LabWeb.endpoint, "--count", "1", "--status"]
        try run.wait("who asks is told that there is no server", .seconds(10)) {
            () throws(LabError) -> Bool? in
            try run.lab.machine("client").run(ask).output.hasPrefix("503") ? true : nil
        }
        // As long as twice the patience: it would be gone by then.
        let end = LabClock.now() + .seconds(6)
        while LabClock.now() < end {
            try require(
                try run.holderOfPair() == "node2", "the address stays where neither proxy has a server")
            LabClock.nap(.milliseconds(300))
        }
        try giveServers(to: "node2", run)
        try run.waitForAnswers(10, of: clients, since: LabClock.now())
        try require(try run.holderOfPair() == "node2", "it has not moved")
        try giveServers(to: "node1", run)
    }

    /// The web servers refuse every connection from that machine, and answer everybody else.
    private static func takeServers(from node: String, _ run: StoryRun) throws(LabError) {
        let ports = LabWeb.servers.map { "\($0.port)" }.joined(separator: ", ")
        let commands = [
            "add table inet servers",
            "add chain inet servers out { type filter hook output priority 0; }",
            "add rule inet servers out tcp dport { \(ports) } reject with tcp reset",
        ]
        for command in commands {
            let done = try run.lab.machine(node).run(["nft", command])
            guard done.status == 0 else { throw LabError("nft on \(node): \(done.output)") }
        }
        run.say("\(node) reaches no web server")
    }

    private static func giveServers(to node: String, _ run: StoryRun) throws(LabError) {
        let done = try run.lab.machine(node).run(["nft", "delete table inet servers"])
        guard done.status == 0 else { throw LabError("nft on \(node): \(done.output)") }
        run.say("\(node) reaches the web servers")
    }

    private static func ordersReach(_ run: StoryRun) throws(LabError) {
        try run.beginPair()
        try waitForProxy("node2", run)
        func order(_ verb: String, _ server: String, on node: String) throws(LabError) {
            let words = [
                "proxy", verb, "\(LabWeb.group)/\(server)", "--settings", run.lab.directory.settings,
            ]
            let done = try run.lab.machine(node).run([run.lab.product] + words)
            guard done.status == 0 else { throw LabError("\(verb) \(server) on \(node): \(done.output)") }
            run.say("\(verb) \(server) on \(node)")
        }
        func waitFor(_ server: String, _ state: String, on node: String) throws(LabError) {
            try run.wait("\(server) is '\(state)' at \(node)'s proxy", .seconds(10)) {
                () throws(LabError) -> Bool? in
                try run.lab.adminState(of: server, on: node) == state ? true : nil
            }
        }
        try order("maintenance", "web1", on: "node1")
        try waitFor("web1", "maintenance", on: "node2")
        try order("ready", "web1", on: "node2")
        try waitFor("web1", "ready", on: "node1")
        try run.kill(["node2"])
        try order("drain", "web2", on: "node1")
        try run.start("node2", writing: false)
        try waitFor("web2", "drain", on: "node2")
        // It went on through node2's file while node1's proxy was off.
        try run.kill(["node1"])
        try order("ready", "web2", on: "node2")
        try run.start("node1", writing: false)
        try waitFor("web2", "ready", on: "node1")
    }

    private static func absentAddress(_ run: StoryRun) throws(LabError) {
        try run.beginPair()
        let node = run.lab.machine("node2")
        func listens() throws(LabError) -> Bool {
            try node.run(["ss", "-ltnH"]).output.contains("\(LabWeb.endpoint) ")
        }
        let sysctl = "/proc/sys/net/ipv4/ip_nonlocal_bind"
        try require(try node.run(["cat", sysctl]).output.hasPrefix("0"), "the sysctl is off")
        try require(try !holdsAddress("node2", LabWeb.address, run), "the address is on node1")
        try run.wait("node2's proxy listens on it all the same", .seconds(5)) {
            () throws(LabError) -> Bool? in
            try listens() ? true : nil
        }
        // A server without IP_FREEBIND, as most are: what the sysctl is for.
        let plain = [run.lab.program, "origin", "\(LabWeb.address):8099", "--name", "plain"]
        let refused = try node.run(plain, limit: .seconds(5))
        try require(
            refused.status != 0 && refused.output.contains("EADDRNOTAVAIL"),
            "another server cannot: \(refused.output)")
        try require(
            try node.run(["sh", "-c", "echo 1 > \(sysctl)"]).status == 0, "the sysctl can be turned on")
        let server = try node.launch(plain, log: run.lab.directory.path + "/plain.log")
        run.observe(with: server)
        try run.wait("with the sysctl it can", .seconds(5)) { () throws(LabError) -> Bool? in
            try node.run(["ss", "-ltnH"]).output.contains("\(LabWeb.address):8099 ") ? true : nil
        }
        guard let old = run.lab.proxyProcess("node2") else { throw LabError("no proxy on node2") }
        Glibc.kill(old, SIGTERM)
        try run.wait("node2's proxy has ended", .seconds(5)) { () throws(LabError) -> Bool? in
            run.lab.proxyProcess("node2") == nil ? true : nil
        }
        try run.lab.startProxy("node2")
        try run.wait("node2's proxy listens with the sysctl as well", .seconds(5)) {
            () throws(LabError) -> Bool? in try listens() ? true : nil
        }
    }
}
