import Basics
import Glibc

// Ten reloads in eight seconds under load, each with other settings than the last: nobody may notice.
extension ProxyLoad {
    private static let reloads = 10

    mutating func reloadUnderLoad(_ proxy: ProcessMark) throws(LabError) {
        let score = LoadScore()
        let clients = LoadThreads()
        defer { clients.end() }
        let counts: [(LoadClientKind, Int, UInt64)] = [
            (.new, 4, 20), (.keepAlive, 4, 20), (.idle, 8, 0), (.post, 2, 20), (.chunked, 2, 20),
            (.sticky, 3, 20),
            (.webSocket, 4, 20), (.tcp, 3, 20),
        ]
        for (kind, count, pace) in counts {
            for number in 1...count {
                // A connection that speaks for longer than all reloads take.
                let client = LoadClient(
                    kind, ports: ports, score: score, evidence: evidence, pace: .milliseconds(pace),
                    turns: kind == .tcp ? 300 : 180)
                try clients.add("\(kind) \(number)", client.stop) { client.run() }
            }
        }
        LabClock.nap(.milliseconds(1500))
        let quiet = try reloadTenTimes(proxy)
        // What began before the last reload may end after it.
        LabClock.nap(.milliseconds(2500))
        clients.end()
        report(score)
        let tallies = score.tallies.values
        let lost = tallies.reduce(0) { $0 + $1.cut + $1.refused + $1.hung + $1.wrong }
        proof.check(
            lost == 0 && score.tallies.count == counts.count,
            "ten reloads in eight seconds: of \(tallies.reduce(0) { $0 + $1.all }) requests and connections \(lost) were"
                + " cut, refused or wrong")
        proof.check(quiet, "each reload took effect: a server that was taken out got no new request")
        proof.check(proxy.lives, "it is still the same process")
    }

    /// One server is taken out and put back by turns; false when it was asked while it was out.
    private mutating func reloadTenTimes(_ proxy: ProcessMark) throws(LabError) -> Bool {
        guard let last = origins.last else { return false }
        var quiet = true
        for turn in 1...Self.reloads {
            let isOut = turn % 2 == 1
            try TextFile.write(settingsText(without: isOut ? last.name : ""), to: place + "/settings.yaml")
            proxy.signal(SIGHUP)
            LabClock.nap(.milliseconds(400))
            let before = last.balancedCount
            LabClock.nap(.milliseconds(400))
            let isQuiet = last.balancedCount == before
            if isOut, !isQuiet { quiet = false }
        }
        // After the last one it takes part again.
        let before = last.balancedCount
        let returns: Bool? = LabClock.wait(.seconds(5)) { () -> Bool? in
            last.balancedCount > before ? true : nil
        }
        return quiet && returns == true
    }
}
