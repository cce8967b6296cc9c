public import Basics
import Glibc
import LinuxSystem

/// Load of all kinds on a real proxy, while its servers die and return.
///
/// Afterwards: each request was answered or honestly failed, and none failed while no server changed; a server that was
/// down for `fall` checks got no request, one that came back its share; memory did not grow; no descriptor is left.
public struct ProxyLoad {
    let place: String
    let product: String
    let length: Interval
    let seed: UInt64
    let ports: LoadClient.Ports
    let score = LoadScore()
    let origins: [LoadOrigin]
    let echoes: [LoadOrigin]
    let evidence: LoadEvidence
    var proof = ProxyProof()
    /// How often servers that were down got nothing.
    var silences = 0
    /// Shares of servers that came back, of what is fair: in hundredths.
    var shares: [Int] = []
    /// Servers that came back and fell again of themselves, because they had no processor.
    var relapses = 0
    var deaths = 0
    /// The longest that the proxy took to see a server's end, and its return.
    var slowest = (fall: Interval.seconds(0), rise: Interval.seconds(0))
    /// The proxy's checks: every 300 ms, down after 2 that failed, each at most 1.5 s: so long because a machine with much
    /// other work starves a server that is well. What this makes of each, on a machine with nothing else to do:
    static let settle = Interval.milliseconds(4500)
    static let rise = Interval.milliseconds(2500)
    /// How long the proxy may take to see either, on a machine that has other work.
    static let patience = Interval.seconds(30)

    /// `place` is an empty directory; nine ports from `port` on are used. Without length there are only the reloads.
    public init(place: String, product: String, length: Interval, seed: UInt64, port: Int) {
        (self.place, self.product, self.length, self.seed) = (place, product, length, seed)
        ports = LoadClient.Ports(web: port, sticky: port + 1, tcp: port + 2)
        origins = (1...4).map { LoadOrigin(name: "web\($0)", port: port + 2 + $0, echoes: false) }
        echoes = (1...2).map { LoadOrigin(name: "echo\($0)", port: port + 6 + $0, echoes: true) }
        evidence = LoadEvidence(
            socketPath: place + "/run/proxy", logPath: place + "/proxy.log", origins: origins + echoes)
    }

    /// Runs it all; every thread and process that it started has ended afterwards.
    public mutating func run() throws(LabError) -> ProxyProof {
        let threads = LoadThreads()
        for origin in origins + echoes { try threads.add(origin.name, origin.stop) { origin.run() } }
        defer { threads.end() }
        let proxy = try raise()
        defer { lower(proxy) }
        let before = LoadWatch.descriptors(of: proxy.number)
        if length > .seconds(0) {
            var watch = LoadWatch(proxy)
            let clients = LoadThreads()
            defer { clients.end() }
            try startClients(clients)
            let killed = makeTrouble(proxy, &watch)
            clients.end()
            judge(watch, killed: killed)
            judgeDescriptors(proxy, before)
        }
        try reloadUnderLoad(proxy)
        judgeDescriptors(proxy, before)
        return proof
    }

    private func startClients(_ threads: LoadThreads) throws(LabError) {
        let counts: [(LoadClientKind, Int, UInt64)] = [
            (.keepAlive, 4, 15), (.new, 3, 25), (.post, 3, 25), (.chunked, 3, 25), (.untilClose, 2, 40),
            (.drip, 3, 50), (.slow, 3, 50), (.sticky, 5, 25), (.aborting, 2, 60), (.idle, 4, 0),
            (.webSocket, 3, 50), (.tcp, 3, 50),
        ]
        for (kind, count, pace) in counts {
            for number in 1...count {
                let client = LoadClient(
                    kind, ports: ports, score: score, evidence: evidence, pace: .milliseconds(pace))
                try threads.add("\(kind) \(number)", client.stop) { client.run() }
            }
        }
    }

    // The proxy.

    /// `settings` without a server is what a reload is given.
    func settingsText(without absent: String = "") -> String {
        func servers(_ list: [LoadOrigin]) -> String {
            list.map { "\($0.name): 127.0.0.1:\($0.port)" }.joined(separator: ", ")
        }
        let check = "check: { http: /health, interval: 300ms, timeout: 1500ms, rise: 2, fall: 2 }"
        let times = "timeouts: { server: 3s, head: 3s, idle: 5s, client: 5s, tunnel: 8s, connect: 2s }"
        return """
            cluster: load
            secret: \(place)/secret
            state-directory: \(place)/state
            run-directory: \(place)/run
            nodes: { node1: { address: 127.0.0.1 }, node2: { address: 127.0.0.2 } }
            witness: { address: 127.0.0.3 }
            groups: { files: { volume: { size: 64MiB, backing: \(place)/files.img } } }
            proxies:
              web:
                listen: 127.0.0.1:\(ports.web)
                log: \(place)/access.log
                \(check)
                \(times)
                servers: { \(servers(origins.filter { $0.name != absent })) }
              sticky:
                listen: 127.0.0.1:\(ports.sticky)
                log: \(place)/access.log
                sticky: cookie
                \(check)
                \(times)
                servers: { \(servers(origins)) }
              echo:
                listen: 127.0.0.1:\(ports.tcp)
                mode: tcp
                log: \(place)/access.log
                check: { interval: 300ms, timeout: 1500ms, rise: 2, fall: 2 }
                \(times)
                servers: { \(servers(echoes)) }

            """
    }

    func raise() throws(LabError) -> ProcessMark {
        try TextFile.makeDirectory(place)
        let made = try ChildProcess.run([product, "secret", "--out", place + "/secret"])
        guard made.status == 0 else { throw LabError("tandem secret: \(made.output)") }
        let file = place + "/settings.yaml"
        for name in ["state", "run"] { try TextFile.makeDirectory("\(place)/\(name)") }
        try TextFile.write(settingsText(), to: file)
        let log = place + "/proxy.log"
        let number = try ChildProcess.start(
            [product, "proxy", "--settings", file], output: .file(log))
        guard let process = ProcessMark(number) else {
            throw LabError("the proxy ended at once: \(TextFile.read(log) ?? "")")
        }
        let serves: Bool? = try LabClock.wait(.seconds(15)) { () throws(LabError) -> Bool? in
            guard process.lives else { return false }
            for port in [ports.web, ports.sticky] {
                let connection = try LoadConnection(port: port)
                _ = connection.send("GET /length/0/1 HTTP/1.1\r\nHost: load\r\nConnection: close\r\n\r\n")
                guard case .whole(let message) = connection.answer(to: "GET"), message.status == 200 else {
                    return nil
                }
            }
            return true
        }
        // Those kept connections are gone after the idle time, and every server is up.
        guard serves == true, process.lives else {
            lower(process)
            throw LabError("the proxy does not serve: \(TextFile.read(log) ?? "")")
        }
        _ = rest(process)
        return process
    }

    /// Waits until the proxy holds as few descriptors as it did over two seconds.
    private func rest(_ process: ProcessMark) -> Int {
        var least = Int.max
        var since = LabClock.now()
        _ = LabClock.wait(.seconds(20), every: .milliseconds(50)) { () -> Bool? in
            let count = LoadWatch.descriptors(of: process.number)
            if count < least { (least, since) = (count, LabClock.now()) }
            return LabClock.now().since(since) > .seconds(6) ? true : nil
        }
        return least
    }

    func lower(_ process: ProcessMark) {
        process.signal(SIGTERM)
        let ended: Int32? = LabClock.wait(.seconds(5)) { () -> Int32? in ChildProcess.ended(process.number) }
        guard ended == nil else { return }
        process.signal(SIGKILL)
        _ = ChildProcess.reap(process.number)
    }

    // The verdict.

    private mutating func judge(_ watch: LoadWatch, killed: Bool) {
        report(score)
        let tallies = score.tallies.values
        let all = tallies.reduce(0) { $0 + $1.all }
        proof.check(!killed, "the proxy lived to the end")
        proof.check(
            tallies.allSatisfy { $0.wrong == 0 },
            "of \(all) requests, none was answered with what is not true")
        proof.check(tallies.allSatisfy { $0.hung == 0 }, "none was left without an answer")
        proof.check(
            tallies.allSatisfy { $0.unexplained == 0 }, "none failed while no server changed")
        proof.check(
            score.tallies.count == LoadClientKind.allCases.count
                && tallies.allSatisfy { $0.answered + $0.left > 0 },
            "every kind of client was answered")
        proof.check(
            silences > 0, "a server that was down got no request after its checks failed, \(silences) times")
        if shares.isEmpty {
            proof.check(false, "a server came back")
        } else {
            // Two turns of a few hundred requests: retries of the moment and pipelines make a few of difference.
            let outside = shares.count { !(80...120).contains($0) }
            let range = "\(shares.min() ?? 0) to \(shares.max() ?? 0) %"
            proof.check(
                outside == 0,
                "each server that came back got its share: \(range) of what is fair, \(shares.count) times,"
                    + " \(outside) of them outside 80 to 120 %")
        }
        let starved = tallies.reduce(0) { $0 + $1.starved }
        proof.check(
            starved * 1000 <= all, "\(starved) requests failed or moved because a server had no processor")
        ProxyProof.say(
            "servers were seen to be gone after \(slowest.fall.text), back after \(slowest.rise.text) at most;"
                + " \(relapses) that were back fell again because they had no processor")
        guard let growth = LoadGrowth(kilobytes: watch.kilobytes) else { return }
        proof.check(
            growth.isAllowed,
            "memory did not grow: \(growth.first) KiB in the first fifth after the warm-up, \(growth.last) KiB in the last"
        )
    }

    func report(_ score: LoadScore) {
        func pad(_ text: String, _ width: Int) -> String {
            text + String(repeating: " ", count: max(0, width - text.count))
        }
        func line(_ words: [String]) {
            ProxyProof.say(words.enumerated().map { pad($0.element, $0.offset == 0 ? 14 : 10) }.joined())
        }
        line(["client", "answered", "refused", "cut", "left", "unexpl.", "hung", "wrong", "starved"])
        for (kind, tally) in score.tallies.sorted(by: { $0.key < $1.key }) {
            let counts = [
                tally.answered, tally.refused, tally.cut, tally.left, tally.unexplained, tally.hung,
                tally.wrong, tally.starved,
            ]
            line([kind] + counts.map { "\($0)" })
        }
    }

    private mutating func judgeDescriptors(_ proxy: ProcessMark, _ before: Int) {
        let after = rest(proxy)
        proof.check(after == before, "no descriptor is left: \(before) before, \(after) after")
    }
}
