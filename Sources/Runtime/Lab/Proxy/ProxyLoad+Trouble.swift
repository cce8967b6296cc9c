import Basics
import Glibc

// What is done to the servers while the load runs.
extension ProxyLoad {
    /// Makes servers ill and well again until the time is over, and samples the process. True when the proxy died.
    mutating func makeTrouble(_ proxy: ProcessMark, _ watch: inout LoadWatch) -> Bool {
        var generator = SeededGenerator(seed: seed, label: "proxy load")
        let begun = LabClock.now()
        let end = begun + length
        var nextReport = begun + .seconds(60)
        // Until all clients are under way.
        pass(.seconds(2), proxy, &watch)
        while LabClock.now() < end, proxy.lives {
            cycle(&generator, proxy, &watch)
            if LabClock.now() > nextReport {
                nextReport = nextReport + .seconds(60)
                let tallies = score.tallies.values
                ProxyProof.say(
                    "after \(LabClock.now().since(begun).wholeMilliseconds / 1000) s: "
                        + "\(tallies.reduce(0) { $0 + $1.all }) requests, \(deaths) deaths, "
                        + "\(watch.kilobytes.last ?? 0) KiB, \(watch.descriptors.last ?? 0) descriptors, "
                        + "\(tallies.reduce(0) { $0 + $1.wrong + $1.hung + $1.unexplained }) findings")
                // The log is turned over, too.
                unlink(place + "/access.log")
                proxy.signal(SIGUSR1)
            }
        }
        return !proxy.lives
    }

    /// Lets the time pass, with two samples a second.
    func pass(_ time: Interval, _ proxy: ProcessMark, _ watch: inout LoadWatch) {
        let end = LabClock.now() + time
        while LabClock.now() < end {
            let left = end.since(LabClock.now())
            LabClock.nap(min(left, .milliseconds(500)))
            watch.sample()
        }
    }

    /// One or two servers become ill; after `fall` checks they may get nothing; they return and must get their share.
    private mutating func cycle(
        _ generator: inout SeededGenerator, _ proxy: ProcessMark, _ watch: inout LoadWatch
    ) {
        var victims: [(LoadOrigin, LoadOrigin.Health)] = []
        let ills: [LoadOrigin.Health] = [.crashed, .ailing, .mute]
        let first = generator.below(origins.count)
        // Now and then all of them: then 503 is the honest answer.
        let count = generator.chance(in: 12) ? origins.count : 1 + generator.below(2)
        for step in 0..<count {
            victims.append((origins[(first + step) % origins.count], ills[generator.below(ills.count)]))
        }
        if generator.chance(in: 2) { victims.append((echoes[generator.below(2)], .crashed)) }
        deaths += victims.count

        let names = victims.map(\.0.name)
        score.disturb(true)
        for (origin, health) in victims { origin.health = health }
        slowest.fall = max(slowest.fall, see(names, up: false, after: Self.settle, proxy, &watch))
        let atFall = victims.map { $0.0.count }
        // With no server left every request fails, however long ago the last one died.
        if count < origins.count { score.disturb(false) }
        pass(.milliseconds(1500 + UInt64(generator.below(2000))), proxy, &watch)
        judgeSilence(victims, atFall)

        score.disturb(true)
        for (origin, _) in victims { origin.health = .well }
        slowest.rise = max(slowest.rise, see(names, up: true, after: Self.rise, proxy, &watch))
        judgeShares(of: names, proxy, &watch)
    }

    /// Waits until the proxy says that of all these servers, at least that long; how long it was.
    private mutating func see(
        _ names: [String], up: Bool, after least: Interval, _ proxy: ProcessMark, _ watch: inout LoadWatch
    ) -> Interval {
        let begun = LabClock.now()
        pass(least, proxy, &watch)
        let evidence = evidence
        func isSeen() -> Bool {
            let rows = evidence.servers.filter { row in names.contains { row.name.hasSuffix("/\($0)") } }
            return !rows.isEmpty && rows.allSatisfy { $0.isUp == up }
        }
        let deadline = begun + Self.patience
        var wasLate = false
        while !isSeen(), proxy.lives {
            wasLate = true
            guard LabClock.now() < deadline else {
                proof.check(
                    false,
                    "\(names) were seen \(up ? "to be back" : "to be gone") within \(Self.patience.text)"
                        + evidence.text(ofClient: nil))
                break
            }
            pass(.milliseconds(200), proxy, &watch)
        }
        // What was given to it before may still be on its way.
        if wasLate { pass(.milliseconds(1000), proxy, &watch) }
        return LabClock.now().since(begun)
    }

    /// Who is down and was seen to be gets nothing.
    private mutating func judgeSilence(_ victims: [(LoadOrigin, LoadOrigin.Health)], _ atFall: [UInt64]) {
        for (index, victim) in victims.enumerated() {
            guard victim.0.count != atFall[index] else {
                // One that does not listen could not be asked anyway.
                if victim.1 != .crashed { silences += 1 }
                continue
            }
            proof.check(
                false,
                "\(victim.0.name), \(victim.1), got \(victim.0.count - atFall[index]) requests after its checks failed"
            )
        }
    }

    /// Who is back gets its share, as long as it stays.
    private mutating func judgeShares(
        of names: [String], _ proxy: ProcessMark, _ watch: inout LoadWatch
    ) {
        let downs = evidence.servers
        let before = origins.map(\.balancedCount)
        score.disturb(false)
        let begun = LabClock.now()
        let end = begun + .seconds(20)
        var gained: [Int] = []
        var fair = 0
        // Enough of them that the requests of one moment, at most one a client, make no difference.
        repeat {
            pass(.milliseconds(2500), proxy, &watch)
            gained = zip(origins, before).map { Int($0.balancedCount - $1) }
            fair = gained.reduce(0, +) / origins.count
        } while fair < 400 && LabClock.now() < end && proxy.lives
        let fallen = zip(downs, evidence.servers).filter { $0.downs < $1.downs }.map(\.1)
        let starved = evidence.starved(within: LabClock.now().since(begun))
        for server in fallen {
            let name = server.name.drop { $0 != "/" }.dropFirst()
            if starved.contains(String(name)) {
                relapses += 1
            } else {
                proof.check(
                    false, "\(server.name) was well and stayed up" + evidence.text(ofClient: nil))
            }
        }
        guard fallen.isEmpty, fair > 50 else { return }
        for (origin, count) in zip(origins, gained) where names.contains(origin.name) {
            let share = count * 100 / fair
            shares.append(share)
            guard !(80...120).contains(share) else { continue }
            ProxyProof.say("  \(origin.name) got \(gained) of all" + evidence.text(ofClient: nil))
        }
    }
}
