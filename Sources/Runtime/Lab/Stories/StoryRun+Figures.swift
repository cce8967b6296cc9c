public import Basics

extension StoryRun {
    /// Notes the longest time in which the client's pings went unanswered.
    public func noteOutage(since begin: Instant, _ text: String) {
        let silence = pings.longestSilence(from: begin, to: LabClock.now())
        note("\(text) for \(silence.length.text)")
    }

    /// Notes how long two machines claimed the address.
    public func noteClaims(since begin: Instant) {
        let time = claims.doubleAnswers(from: begin)
        claimTime = time
        note("two machines answered for the address for \(time.text)")
    }

    /// Requires that two machines claimed the address for no longer than `limit`.
    public func requireClaimsWithin(_ limit: Interval, since begin: Instant) throws(LabError) {
        let time = claims.doubleAnswers(from: begin)
        guard time <= limit else {
            throw LabError(
                "two machines answered for the address for \(time.text); at most \(limit.text) is right")
        }
    }

    /// Requires that the client was never without an answer for longer than `limit`.
    public func requireOutageWithin(_ limit: Interval, since begin: Instant) throws(LabError) {
        let silence = pings.longestSilence(from: begin, to: LabClock.now())
        guard silence.length <= limit else {
            throw LabError("the client was without an answer for \(silence.length.text)")
        }
    }

    /// Notes what the resync sent, and requires that it is no more than it had to: what was dirty before the heal,
    /// the extents of the activity logs, and what the writers have written since (`writes` blocks, counted after).
    public func noteResync(before: [StoryStatus], writes: Int) throws(LabError) {
        // Each writer had one write under way when they were counted.
        try noteResync(before: before, written: UInt64(writes + 2 * shares) * UInt64(StampedBlock.size))
    }

    /// The same, where what was written since is known in bytes: a file system writes more than its files.
    func noteResync(before: [StoryStatus], written: UInt64) throws(LabError) {
        let after = ["node1", "node2"].compactMap { lab.status(of: $0) }
        let sent = after.map(\.resyncBytesSent).reduce(0, +)
        let dirty = before.map(\.dirtyBytes).max() ?? 0
        let logged = after.map(\.loggedBytes).max() ?? 0
        note(
            "resync sent \(sent) bytes; dirty before the heal \(dirty) bytes, logged extents \(logged) bytes,"
                + " written since at most \(written) bytes")
        let most = dirty + logged + written
        guard sent <= most else {
            throw LabError("the resync sent \(sent) bytes; at most \(most) may differ")
        }
    }

    /// Bytes that were written to the volume's device on a node since it was attached, as the kernel counts them.
    func bytesWritten(on node: String) throws(LabError) -> UInt64 {
        let link = LabSettings.device
        let counted = try lab.machine(node).run(
            [
                "sh", "-c",
                "awk -v d=$(basename $(readlink -f \(link))) '$3 == d { print $10 }' /proc/diskstats",
            ])
        guard let sectors = UInt64(counted.output.prefix { $0.isNumber }) else {
            throw LabError("how much was written to \(link) on \(node)? \(counted.output)")
        }
        return sectors * 512
    }

    /// Requires that no thread of a node waits in the kernel without end (state D).
    ///
    /// A thread that writes to a slow disk is in D each time one looks, and still gets on: what hangs is in the same
    /// wait for `limit`, which is seen by its context switches.
    public func requireNobodyStuck(within limit: Interval = .seconds(20)) throws(LabError) {
        for node in ["node1", "node2"] {
            guard let first = lab.machine(node).first else { continue }
            func waiting() -> [Int32: UInt64] {
                ProcessTable.sharing(namespaceOf: first.number).reduce(into: [:]) { waits, process in
                    waits.merge(ProcessTable.uninterruptible(of: process)) { first, _ in first }
                }
            }
            var stuck = waiting()
            let deadline = LabClock.now() + limit
            while !stuck.isEmpty, LabClock.now() < deadline {
                LabClock.nap(.milliseconds(20))
                let now = waiting()
                stuck = stuck.filter { now[$0.key] == $0.value }
            }
            if stuck.isEmpty { continue }
            let names = stuck.keys.sorted().map { "\($0) (\(ProcessTable.place(of: $0)))" }
            throw LabError(
                "on \(node), \(names.joined(separator: ", ")) hung in the kernel for \(limit.text)")
        }
    }
}
