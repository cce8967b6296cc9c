import Basics

extension Settings {
    /// A 64-bit mark (FNV-1a) of the cluster's name: what a witness refuses a foreign node by, and how its stored
    /// records say whose they are.
    public var clusterMark: UInt64 {
        cluster.utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    }

    /// The cluster-wide part as lines `key = value`, sorted by key, with every default written out: what both nodes
    /// must agree on. Paths that belong to one machine (secret, state, run and device directories, backing files)
    /// are not in it.
    public var canonicalLines: [String] {
        var lines = [
            "cluster = \(cluster)", "transport = \(transport.rawValue)", "lease = \(lease.rawValue)",
            "freeze-timeout = \(Quantity.text(freezeTimeout))",
            "wait-for-peer = \(Quantity.text(waitForPeer))",
            "elector = \(elector.rawValue)", "arbiter = \(witness == nil ? "none" : "witness")",
        ]
        for node in nodes {
            lines.append("nodes.\(node.name).address = \(node.address)")
            lines.append("nodes.\(node.name).port = \(node.port)")
        }
        if let witness {
            lines.append("witness.address = \(witness.address)")
            lines.append("witness.port = \(witness.port)")
            lines.append("witness.after-restart = \(witness.afterRestart.rawValue)")
        }
        for group in groups { lines += canonicalLines(of: group) }
        for proxy in proxies { lines += proxy.canonicalLines }
        return lines.sorted()
    }

    private func canonicalLines(of group: Group) -> [String] {
        let head = "groups.\(group.name)."
        var lines = [
            "virtual-router-id = \(group.virtualRouterID)", "priority = \(group.priority)",
            "on-stuck = \(group.onStuck.rawValue)", "resync = \(group.resync.rawValue)",
        ]
        if let address = group.address { lines.append("address = \(address)") }
        if let interface = group.interface { lines.append("interface = \(interface)") }
        if let prefer = group.prefer { lines.append("prefer = \(self[prefer].name)") }
        if let volume = group.volume {
            lines.append("volume.name = \(volume.name)")
            lines.append("volume.size = \(Quantity.text(bytes: volume.size))")
            lines.append("volume.activity-log-extents = \(volume.activityLogExtents)")
            lines.append("volume.direct-io = \(volume.directIO)")
        }
        if let mount = group.mount {
            lines.append("mount.path = \(mount.path)")
            lines.append("mount.type = \(mount.type.rawValue)")
            lines.append("mount.options = [\(mount.options.joined(separator: ", "))]")
        }
        if let export = group.export {
            lines.append("export.to = [\(export.to.joined(separator: ", "))]")
            lines.append("export.options = [\(export.options.joined(separator: ", "))]")
            lines.append("export.versions = [\(export.versions.map(\.rawValue).joined(separator: ", "))]")
        }
        return lines.map { head + $0 }
    }

    /// A 64-bit mark of ``canonicalLines`` (FNV-1a): equal when both nodes have the same cluster-wide part. It
    /// finds a mistake, not a forger; who may connect is decided by the secret.
    public func clusterHash() -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for line in canonicalLines {
            for byte in line.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
            hash = (hash ^ 0x0A) &* 0x100_0000_01B3
        }
        return hash
    }

    /// The first of the two nodes' canonical lines that differ, each nil where that side has no such key; nil when
    /// they are the same. It takes lines, not settings, because the other side's come over the network.
    public static func firstDifference(_ ours: [String], _ theirs: [String]) -> (
        ours: String?, theirs: String?
    )? {
        var (left, right) = (ours.makeIterator(), theirs.makeIterator())
        var (ourLine, theirLine) = (left.next(), right.next())
        while ourLine != nil || theirLine != nil {
            guard ourLine != theirLine else {
                (ourLine, theirLine) = (left.next(), right.next())
                continue
            }
            guard let our = ourLine, let their = theirLine else { return (ourLine, theirLine) }
            if key(of: our) == key(of: their) { return (our, their) }
            return our < their ? (our, nil) : (nil, their)
        }
        return nil
    }

    /// The same for two settings, as one sentence for people; nil when they agree.
    public static func firstDifference(_ ours: Settings, _ theirs: Settings) -> String? {
        guard let difference = firstDifference(ours.canonicalLines, theirs.canonicalLines) else { return nil }
        return "here: \(difference.ours ?? "not set"); there: \(difference.theirs ?? "not set")"
    }

    private static func key(of line: String) -> Substring { line.prefix { $0 != " " } }
}
