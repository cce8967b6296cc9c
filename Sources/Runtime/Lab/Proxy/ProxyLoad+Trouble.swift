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

        score.disturb(true)
        for (origin, health) in victims { origin.health = health }
        pass(Self.settle, proxy, &watch)
        let atFall = victims.map { $0.0.count }
        // With no server left every request fails, however long ago the last one died.
        if count < origins.count { score.disturb(false) }
        pass(.milliseconds(1500 + UInt64(generator.below(2000))), proxy, &watch)
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

        score.disturb(true)
        for (origin, _) in victims { origin.health = .well }
        pass(Self.rise, proxy, &watch)
        let before = origins.map(\.balancedCount)
        score.disturb(false)
        pass(.milliseconds(2500), proxy, &watch)
        let gained = zip(origins, before).map { Int($0.balancedCount - $1) }
        let fair = gained.reduce(0, +) / origins.count
        for (origin, _) in victims where !origin.echoes {
            guard let index = origins.firstIndex(where: { $0 === origin }), fair > 50 else { continue }
            shares.append(gained[index] * 100 / fair)
        }
    }
}
