import Basics

/// A story about the pair of proxies, whatever its lab's machines are.
protocol PairStory: AnyObject {
    /// How long that is waited for which takes a second or two on an idle host.
    var pairPatience: Interval { get }
    /// Notes a line with the time since the story began.
    func say(_ text: String)
    /// Notes a figure.
    func note(_ text: String)
    /// Waits for what `what` names, and says how long it took.
    @discardableResult
    func wait<Result>(
        _ what: String, _ limit: Interval, _ condition: () throws(LabError) -> Result?
    ) throws(LabError) -> Result
    /// Whether the machine is on.
    func isOn(_ node: String) -> Bool
    /// Whether the proxies' address is on that node, which is on.
    func holdsPairAddress(_ node: String) throws(LabError) -> Bool
    /// Runs `tandem-lab ask` with these words on the client's machine.
    func askAsClient(_ words: [String]) throws(LabError) -> ChildProcess.Outcome
    /// Starts web clients on the client's machine, and waits until they are answered.
    func startClients(_ count: Int, forgetful: Bool) throws(LabError) -> StoryClients
    /// Ends them.
    func stopClients() throws(LabError)
    func cutPowerOfPair(_ node: String) throws(LabError)
    /// Starts a machine that was off, its proxy and its node.
    func returnToPair(_ node: String) throws(LabError)
}

/// Web clients of a story, each with a log of who answered it.
struct StoryClients {
    let logs: [String]

    var count: Int { logs.count }

    /// What the client with that number saw, from 1 on.
    func seen(_ number: Int) -> ObserverLog { ObserverLog(path: logs[number - 1]) }

    /// Everything that all of them saw.
    var all: [ObserverLog] { logs.map { ObserverLog(path: $0) } }

    /// The time of the last line of any of them: their machine may have a clock of its own.
    var now: Instant { all.compactMap { $0.entries.last?.time }.max() ?? Instant(nanoseconds: 0) }

    /// The answers of a log from `begin` on.
    static func answers(_ log: ObserverLog, since begin: Instant) -> [ObserverLog.Entry] {
        log.entries.filter { $0.word != "?" && $0.time > begin }
    }

    /// The longest time without an answer that any of them had.
    func longestSilence(from begin: Instant, to end: Instant) -> Interval {
        all.map { $0.longestSilence(from: begin, to: end).length }.max() ?? Interval(nanoseconds: 0)
    }
}

extension PairStory {
    /// Clients that send the cookie back that was set.
    func startClients(_ count: Int) throws(LabError) -> StoryClients {
        try startClients(count, forgetful: false)
    }

    /// Waits until the proxies' address is on that node.
    func waitForPair(on node: String, _ limit: Interval? = nil) throws(LabError) {
        try wait("\(node) has the proxies' address \(LabWeb.address)", limit ?? pairPatience) {
            () throws(LabError) -> Bool? in
            try holdsPairAddress(node) ? true : nil
        }
    }

    /// Requires that exactly one node has the proxies' address, and gives it.
    @discardableResult
    func holderOfPair() throws(LabError) -> String {
        var holders: [String] = []
        for node in ["node1", "node2"] where isOn(node) {
            if try holdsPairAddress(node) { holders.append(node) }
        }
        guard holders.count == 1 else {
            throw LabError(
                "the proxies' address is on \(holders.count) nodes: \(holders.joined(separator: ", "))")
        }
        return holders[0]
    }

    /// Waits until each client has had so many answers since.
    func waitForAnswers(_ count: Int, of clients: StoryClients, since begin: Instant) throws(LabError) {
        try wait("each of \(clients.count) clients has \(count) answers more", pairPatience) {
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

    /// Cuts the power of the holder's machine under sticky clients; the other node must serve each from its server.
    /// Gives the server of each, and the longest time that one was without an answer.
    func loseHolder(_ node: String, thenOn other: String, under clients: StoryClients) throws(LabError)
        -> (servers: [String], outage: Interval)
    {
        let settled = clients.now
        try waitForAnswers(20, of: clients, since: settled)
        let before = try serversHeld(by: clients, since: settled)
        let killed = clients.now
        try cutPowerOfPair(node)
        try waitForPair(on: other)
        try waitForAnswers(20, of: clients, since: clients.now)
        let after = try serversHeld(by: clients, since: killed)
        guard after == before else {
            throw LabError("the clients were on \(before), and are on \(after)")
        }
        return (after, clients.longestSilence(from: killed, to: clients.now))
    }
}
