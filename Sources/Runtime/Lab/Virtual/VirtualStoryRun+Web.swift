import Basics

// The pair of proxies.
extension VirtualStoryRun: PairStory {
    var pairPatience: Interval { .seconds(120) }

    func isOn(_ node: String) -> Bool { lab.machine(node).life != nil }

    func holdsPairAddress(_ node: String) throws(LabError) -> Bool { try lab.holdsPairAddress(node) }

    func askAsClient(_ words: [String]) throws(LabError) -> ChildProcess.Outcome {
        let shell = (["/opt/tandem/tandem-lab", "ask"] + words).joined(separator: " ")
        return try lab.machine("client").run(shell, limit: .seconds(60))
    }

    func cutPowerOfPair(_ node: String) throws(LabError) { try cutPower([node]) }

    func returnToPair(_ node: String) throws(LabError) { try turnOn([node]) }

    /// Starts a lab of the pair alone: no volume, no witness; waits until node1 has the address.
    func beginPair() throws(LabError) {
        var settings = LabSettings()
        settings.hasVolume = false
        settings.hasPair = true
        _ = try lab.wipe()
        try lab.raise { say($0) }
        try lab.install(settings)
        try waitForPair(on: "node1")
    }

    /// Their logs leave the machine through its ports: three clients at most, and nobody else who uses those.
    func startClients(_ count: Int, forgetful: Bool) throws(LabError) -> StoryClients {
        let ports = Array([3, 4, 2].prefix(max(1, count)))
        let links = ports.enumerated().map { "ln -sf /dev/lab-port\($1) /run/web.\($0 + 1)" }
        // Emulated, an answer may take longer than a real one's silence.
        try lab.machine("client").require(
            "\(links.joined(separator: " && ")) && (setsid /opt/tandem/tandem-lab browse \(LabWeb.endpoint)"
                + " --log /run/web --clients \(ports.count) --limit 1000\(forgetful ? " --forgetful" : "")"
                + " </dev/null >/run/web.errors 2>&1 &)")
        let clients = StoryClients(logs: ports.map { lab.place.port($0, of: "client") })
        try waitForAnswers(5, of: clients, since: clients.now)
        return clients
    }

    func stopClients() throws(LabError) { try stopPrograms(on: "client") }
}
