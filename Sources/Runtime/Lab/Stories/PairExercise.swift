public import Basics

/// Exercise 4: two proxies with one address and a statistics page behind user and password; reboot one, then the other.
public struct PairExercise {
    private let story: StoryRun
    private var record: ExerciseRecord
    /// How long the client looks on after each step.
    public var look = Interval.seconds(3)

    private static let page = 8404
    private static let user = (name: "admin", password: "exercise")
    /// "admin:exercise" as RFC 7617 sends it.
    private static let authorization = "Authorization: Basic YWRtaW46ZXhlcmNpc2U="

    /// `output` is the directory that the client's answers and their drawing are left in.
    public init(lab: LabTopology, output: String) {
        story = StoryRun(lab: lab, full: false)
        story.isTalking = true
        record = ExerciseRecord(output: output)
    }

    /// Performs it, and leaves `answers.txt` and `answers.svg`; the lab is wiped.
    public mutating func run() throws(LabError) {
        try story.perform { () throws(LabError) in try perform() }
    }

    private mutating func perform() throws(LabError) {
        try story.beginPair(
            more: "statistics: { listen: 0.0.0.0:\(Self.page), user: \(Self.user.name),"
                + " password: \(Self.user.password) }\n")
        try story.wait("node2's proxy serves as well", .seconds(10)) { () throws(LabError) -> Bool? in
            try servers(of: LabNetwork.address(of: "node2")).filter { $0.contains(" UP ") }.count == 2
                ? true : nil
        }
        try showAddress()
        let refused = try ask(LabWeb.address, "/", ["--status"])
        story.say("the statistics page without user and password answers \(refused)")
        guard refused == "401" else { throw LabError("the page is not behind user and password") }
        try showStatistics()

        let clients = try story.startClients(1)
        let begin = LabClock.now()
        LabClock.nap(look)
        let server = try story.serversHeld(by: clients, since: begin)
        story.say("the client is on \(server[0])")
        for (node, other) in [("node1", "node2"), ("node2", "node1")] {
            try reboot(node, thenOn: other, clients)
            let now = try story.serversHeld(by: clients, since: begin)
            story.say("the client is still on \(now[0])")
        }
        try showStatistics()
        story.stopObservers()
        try record.leave(
            clients.seen(1), from: begin,
            title: "Exercise 4: a web client of two proxies behind one address")
    }

    private mutating func reboot(
        _ node: String, thenOn other: String, _ clients: StoryClients
    ) throws(LabError) {
        let begin = LabClock.now()
        record.mark("reboot \(node)")
        try story.kill([node])
        try story.waitForPair(on: other)
        LabClock.nap(.seconds(1))
        try story.start(node, writing: false)
        record.mark("\(node) is back")
        try story.wait("\(node)'s proxy serves again", .seconds(20)) { () throws(LabError) -> Bool? in
            try servers(of: LabNetwork.address(of: node)).filter { $0.contains(" UP ") }.count == 2
                ? true : nil
        }
        LabClock.nap(look)
        try showAddress()
        let silence = clients.longestSilence(from: begin, to: LabClock.now())
        story.note("reboot \(node): the longest time without an answer was \(silence.text)")
    }

    private func showAddress() throws(LabError) {
        story.say("the address \(LabWeb.address) is on \(try story.holderOfPair()), and on no other")
    }

    private func showStatistics() throws(LabError) {
        for node in ["node1", "node2"] {
            let rows = try servers(of: LabNetwork.address(of: node))
            story.say("statistics of \(node): \(rows.joined(separator: "; "))")
        }
    }

    /// The rows of the servers in the CSV that a machine's page gives, as "web1 UP 12 requests".
    private func servers(of host: String) throws(LabError) -> [String] {
        let table = try ask(host, "/;csv", ["--header", Self.authorization, "--body"])
        var lines = table.split(separator: "\n").map {
            $0.split(separator: ",", omittingEmptySubsequences: false).map { String($0) }
        }
        guard let head = lines.first, head.first == "# pxname" else { return [] }
        lines.removeFirst()
        func place(_ name: String) -> Int? { head.firstIndex(of: name) }
        guard let name = place("svname"), let status = place("status"), let total = place("stot") else {
            return []
        }
        return lines.compactMap { line in
            guard line.count > max(name, status, total),
                LabWeb.servers.contains(where: { $0.name == line[name] })
            else { return nil }
            return "\(line[name]) \(line[status]) \(line[total]) requests"
        }
    }

    private func ask(_ host: String, _ path: String, _ words: [String]) throws(LabError) -> String {
        let command =
            [story.lab.program, "ask", "\(host):\(Self.page)", "--count", "1", "--path", path] + words
        let answer = try story.lab.machine("client").run(command)
        return answer.output.trimmed
    }
}

extension String {
    /// Without newlines at its end.
    fileprivate var trimmed: String {
        var text = self
        while text.last?.isNewline == true { text.removeLast() }
        return text
    }
}
