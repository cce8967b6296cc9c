import Basics
import ControlPlane
import Glibc

/// Web clients of a story, each with a log of who answered it.
struct StoryClients {
    let program: LabProgram
    let log: String
    let count: Int

    /// What the client with that number saw, from 1 on.
    func seen(_ number: Int) -> ObserverLog { ObserverLog(path: "\(log).\(number)") }

    /// Everything that all of them saw.
    var all: [ObserverLog] { (1...count).map { seen($0) } }

    /// The answers of a log from `begin` on.
    static func answers(_ log: ObserverLog, since begin: Instant) -> [ObserverLog.Entry] {
        log.entries.filter { $0.word != "?" && $0.time > begin }
    }

    /// The longest time without an answer that any of them had.
    func longestSilence(from begin: Instant, to end: Instant) -> Interval {
        all.map { $0.longestSilence(from: begin, to: end).length }.max() ?? Interval(nanoseconds: 0)
    }
}

// The pair of proxies.
extension StoryRun {
    /// Starts a lab of the pair alone: no volume, no witness; waits until node1 has the address and a request is answered.
    /// `more` are lines of the settings before the groups.
    func beginPair(more: String = "") throws(LabError) {
        var settings = LabSettings()
        settings.more = more
        settings.hasVolume = false
        settings.hasPair = true
        _ = try lab.wipe()
        try lab.raise()
        try lab.install(settings)
        try waitForPair(on: "node1")
    }

    /// Waits until the proxies' address is on that node.
    func waitForPair(on node: String, _ limit: Interval = .seconds(20)) throws(LabError) {
        try wait("\(node) has the proxies' address \(LabWeb.address)", limit) {
            () throws(LabError) -> Bool? in
            try LiveStories.holdsAddress(node, LabWeb.address, self) ? true : nil
        }
    }

    /// Requires that exactly one node has the proxies' address, and gives it.
    @discardableResult
    func holderOfPair() throws(LabError) -> String {
        var holders: [String] = []
        for node in ["node1", "node2"] where lab.machine(node).first != nil {
            if try LiveStories.holdsAddress(node, LabWeb.address, self) { holders.append(node) }
        }
        guard holders.count == 1 else {
            throw LabError(
                "the proxies' address is on \(holders.count) nodes: \(holders.joined(separator: ", "))")
        }
        return holders[0]
    }

    /// Starts web clients on the client's machine. They end with the story's observers.
    func startClients(_ count: Int, forgetful: Bool = false) throws(LabError) -> StoryClients {
        let log = "\(lab.directory.path)/\(forgetful ? "forgetful" : "sticky")"
        let words = [
            lab.program, "browse", LabWeb.endpoint, "--log", log, "--clients", "\(count)",
        ]
        let program = try lab.machine("client").launch(
            words + (forgetful ? ["--forgetful"] : []), log: log + ".errors")
        let clients = StoryClients(program: program, log: log, count: count)
        observe(with: program)
        try waitForAnswers(5, of: clients, since: LabClock.now())
        return clients
    }

    /// Waits until each client has had so many answers since.
    func waitForAnswers(_ count: Int, of clients: StoryClients, since begin: Instant) throws(LabError) {
        try wait("each of \(clients.count) clients has \(count) answers more", .seconds(20)) {
            () throws(LabError) -> Bool? in
            clients.all.allSatisfy { StoryClients.answers($0, since: begin).count >= count } ? true : nil
        }
    }

    /// The server that each client is on since; an error names the client that saw two.
    func serversHeld(by clients: StoryClients, since begin: Instant) throws(LabError) -> [String] {
        var held: [String] = []
        for (index, log) in clients.all.enumerated() {
            let names = Set(StoryClients.answers(log, since: begin).map(\.word))
            guard names.count == 1, let name = names.first else {
                throw LabError(
                    "client \(index + 1) was answered by \(names.sorted().joined(separator: " and "))")
            }
            held.append(name)
        }
        return held
    }
}

extension LabTopology {
    /// What the operator wants of a server at a node's proxy, in the proxy's word; nil while it does not answer.
    func adminState(of server: String, on node: String) throws(LabError) -> String? {
        let words = [product, "proxy", "status", "--json", "--settings", directory.settings]
        let answer = try machine(node).run(words, limit: .seconds(5))
        guard answer.status == 0 else { return nil }
        let status: JSONValue
        do { status = try JSONValue.decode(Array(answer.output.utf8)) } catch { return nil }
        let rows = status["rows"].elements
        guard let row = rows.first(where: { $0["svname"].string == server }), let text = row["status"].string
        else { return nil }
        if text.hasPrefix("MAINT") { return "maintenance" }
        return text.hasPrefix("DRAIN") ? "drain" : "ready"
    }
}
