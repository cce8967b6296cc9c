import Basics
import ControlPlane
import Glibc

// The pair of proxies.
extension StoryRun: PairStory {
    var pairPatience: Interval { .seconds(20) }

    func isOn(_ node: String) -> Bool { lab.machine(node).first != nil }

    func holdsPairAddress(_ node: String) throws(LabError) -> Bool {
        try lab.holdsPairAddress(node)
    }

    func askAsClient(_ words: [String]) throws(LabError) -> ChildProcess.Outcome {
        try lab.machine("client").run([lab.program, "ask"] + words)
    }

    func cutPowerOfPair(_ node: String) throws(LabError) { try kill([node]) }

    func returnToPair(_ node: String) throws(LabError) { try start(node, writing: false) }

    func stopClients() { stopObservers() }

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

    /// Starts web clients on the client's machine. They end with the story's observers.
    func startClients(_ count: Int, forgetful: Bool) throws(LabError) -> StoryClients {
        let log = "\(lab.directory.path)/\(forgetful ? "forgetful" : "sticky")"
        let words = [
            lab.program, "browse", LabWeb.endpoint, "--log", log, "--clients", "\(count)",
        ]
        let program = try lab.machine("client").launch(
            words + (forgetful ? ["--forgetful"] : []), log: log + ".errors")
        let clients = StoryClients(logs: (1...max(1, count)).map { "\(log).\($0)" })
        observe(with: program)
        try waitForAnswers(5, of: clients, since: LabClock.now())
        return clients
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
