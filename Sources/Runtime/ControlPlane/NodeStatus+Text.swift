// What people read: first whether they are safe now and what would happen if either machine failed now.

extension NodeStatus {
    /// One sentence a group: safe or not, and what follows if either machine failed now.
    public var summary: String {
        groups.map { "\($0.group): \(summary(of: $0))" }.joined(separator: " ")
    }

    private func summary(of group: GroupStatus) -> String {
        if let stuck = group.failover.stuck { return "STUCK on \(node): \(stuck)." }
        if group.isFrozen {
            return "FROZEN: requests wait for a verdict; \(freezeReason(of: group))."
        }
        guard group.volume != nil else { return addressSummary(of: group) }
        let isWhole = group.disk == "UpToDate" && group.peer.disk == "UpToDate"
        if isWhole, group.connection == "Connected", group.replication == "Established" {
            return wholeSummary(of: group)
        }
        if group.replication == "SyncTarget" || group.replication == "SyncSource" {
            let (target, source) = group.replication == "SyncTarget" ? (node, peer) : (peer, node)
            let percent = Int(group.volume?.donePercent ?? 0)
            return "NOT safe yet: \(target) is being copied from \(source) (\(percent) % done);"
                + " if \(source) failed now the service would stop, if \(target) failed now it would go on."
        }
        return aloneSummary(of: group)
    }

    /// Why requests wait, and for whom.
    private func freezeReason(of group: GroupStatus) -> String {
        let arbiter = group.arbiter.isReachable ? "the witness is being asked" : "the witness is out of reach"
        let broken = "the disk of \(node) has failed"
        switch group.disk {
        case "Failed": return "\(broken), it can go on through \(peer) only, and \(arbiter)"
        case "Diskless" where group.connection == "Connected":
            return "\(broken), and \(peer) has not confirmed yet that it has the only copy"
        case "Diskless": return "\(broken), and \(peer), which has the only copy, is gone"
        default: return "the peer is gone and \(arbiter)"
        }
    }

    private func addressSummary(of group: GroupStatus) -> String {
        guard let address = group.address else { return "there is nothing to move." }
        let obstacle = group.failover.obstacle.map { ": \($0)" } ?? ""
        return address.isPresent
            ? "\(address.value) is on \(node)\(obstacle)."
            : "\(address.value) is not on this node (\(node))\(obstacle)."
    }

    private func wholeSummary(of group: GroupStatus) -> String {
        if group.arbiter.kind != "none", !group.arbiter.isReachable {
            return "the data is safe on both nodes, but the witness is out of reach:"
                + " if either machine failed now, the service would stop until the witness is back."
        }
        if group.arbiter.hasLostRecords {
            return
                "the data is safe on both nodes, but the witness has lost its record and grants nothing: if either"
                + " machine failed now, the service would stop until `tandem witness reseed` is run there."
        }
        let split = group.arbiter.kind == "none" ? " (no arbiter: split brain is possible)" : ""
        let names = [node, peer]
        guard let primary = group.role == "Primary" ? node : group.peer.role == "Primary" ? peer : nil else {
            return idleSummary(of: group) + split + "."
        }
        let other = names.first { $0 != primary } ?? peer
        if other == node ? group.failover.obstacle != nil : group.peer.isBlocked {
            return
                "NOT safe: both copies are UpToDate, but \(other) cannot serve now (see `tandem status` there):"
                + " if \(primary) failed now the service would stop, if \(other) failed now \(primary) would go on."
        }
        return "safe: both copies are UpToDate; if \(primary) failed now \(other) would take over,"
            + " if \(other) failed now \(primary) would go on\(split)."
    }

    private func idleSummary(of group: GroupStatus) -> String {
        let isBlocked = group.failover.obstacle != nil
        switch (isBlocked, group.peer.isBlocked) {
        case (false, false):
            return
                "safe: both copies are UpToDate and nobody is Primary; if either machine failed now the other could"
                + " serve"
        case (true, true):
            return "NOT safe: both copies are UpToDate, nobody is Primary and neither node can serve now (see"
                + " `tandem status` on each)"
        case (true, false), (false, true):
            let (bad, good) = isBlocked ? (node, peer) : (peer, node)
            return "NOT safe: both copies are UpToDate, nobody is Primary and \(bad) cannot serve now (see"
                + " `tandem status` there): if \(good) failed now nobody could"
        }
    }

    private func aloneSummary(of group: GroupStatus) -> String {
        let copies = group.record?.copies ?? []
        if group.disk == "Diskless" {
            return "NOT safe: the disk of \(node) has failed, it reads and writes through \(peer);"
                + " if \(peer) failed now the service would stop, if \(node) failed now \(peer) would take over."
        }
        if group.peer.disk == "Diskless" {
            return "NOT safe: the disk of \(peer) has failed, it reads and writes through this node;"
                + " if \(node) failed now the service would stop, if \(peer) failed now \(node) would take over."
        }
        if group.disk == "UpToDate" || group.role == "Primary" {
            return
                "NOT safe: only \(node) is known to hold current data; if \(node) failed now the service would stop"
                + (copies.contains(peer)
                    ? " unless \(peer) is granted." : ", if \(peer) failed now nothing would change.")
        }
        if copies == [peer] {
            return "NOT safe: only \(peer) holds current data; if \(peer) failed now the service would stop,"
                + " if \(node) failed now nothing would change."
        }
        return "NOT safe: \(node) is \(group.disk) and \(group.connection); it cannot serve before it has met"
            + " \(peer) or been granted by the arbiter."
    }

    /// The whole screen.
    public var screen: String {
        var lines = [summary, ""]
        for group in groups {
            let address = group.address.map { "\($0.value) \($0.isPresent ? "here" : "not here")" }
            lines.append("\(group.group)  on \(node)  (cluster \(cluster))")
            lines.append(Self.line("role", "\(group.role), peer \(peer) \(group.peer.role)"))
            lines.append(Self.line("disk", "\(group.disk), peer \(group.peer.disk)"))
            lines.append(Self.line("connection", "\(group.connection), \(group.replication)"))
            if let record = group.record {
                let copies = record.copies.joined(separator: " ")
                let text =
                    "epoch \(record.epoch), holder \(record.holder), copies \(copies), grant \(record.grant)"
                lines.append(Self.line("record", text))
            }
            lines.append(Self.line("arbiter", Self.text(of: group.arbiter)))
            if let volume = group.volume { lines.append(Self.line("volume", Self.text(of: volume))) }
            if let address { lines.append(Self.line("address", address)) }
            lines.append(Self.line("failover", Self.text(of: group.failover)))
            lines.append("")
        }
        lines += events.suffix(5).map { "\($0["time"].string ?? "")  \($0["text"].string ?? "")" }
        return lines.joined(separator: "\n")
    }

    private static func line(_ name: String, _ text: String) -> String {
        "  " + name + String(repeating: " ", count: max(1, 12 - name.count)) + text
    }

    private static func text(of arbiter: GroupStatus.Arbiter) -> String {
        let reach =
            arbiter.kind == "none"
            ? "none"
            : !arbiter.isReachable
                ? "witness OUT OF REACH"
                : arbiter.hasLostRecords
                    ? "witness reachable, but it has LOST RECORDS (`tandem witness reseed` there)"
                    : "witness reachable"
        return arbiter.openRequest.map { "\(reach), open request: \($0)" } ?? reach
    }

    private static func text(of volume: GroupStatus.Volume) -> String {
        var text = "\(volume.size >> 20) MiB"
        if volume.dirtyBlocks > 0 {
            text += ", \(volume.dirtyBlocks * 4) KiB out of sync"
            if volume.donePercent < 100 { text += ", \(Int(volume.donePercent)) % done" }
        }
        if volume.resyncBytesSent > 0 { text += ", \(volume.resyncBytesSent >> 10) KiB sent by resync" }
        return volume.device.map { "\(text), \($0)" } ?? text
    }

    private static func text(of failover: GroupStatus.Failover) -> String {
        // What is stuck names its step itself.
        [failover.state, failover.stuck ?? failover.step, failover.obstacle].compactMap { $0 }.joined(
            separator: ": ")
    }
}
