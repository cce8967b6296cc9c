import Basics

/// What no single key can tell: values that do not fit one another.
extension SettingsReader {
    mutating func noteContradictions(in settings: Settings, top: Section) {
        noteAddresses(in: settings)
        noteFamilies(in: settings)
        noteTimes(in: settings)
        for group in settings.groups { noteContradictions(in: group) }
        for group in settings.groups { noteProxy(of: group, in: settings) }
        notePairs(of: settings)
        noteExports(of: settings.groups)
    }

    private mutating func noteAddresses(in settings: Settings) {
        var owners: [Settings.IPAddress: String] = [:]
        for node in settings.nodes {
            if let other = owners.updateValue("nodes.\(node.name)", forKey: node.address) {
                note(
                    place("nodes.\(node.name).address"),
                    "'nodes.\(node.name)' has the address of '\(other)', \(node.address); two machines have two"
                )
            }
        }
        if let witness = settings.witness, let other = owners.updateValue("witness", forKey: witness.address)
        {
            note(
                place("witness.address"),
                "the witness has the address of '\(other)', \(witness.address); it must be on a third machine, or"
                    + " the loss of that node would take both")
        }
        for group in settings.groups {
            guard let address = group.address.flatMap({ Settings.IPAddress(bytes: $0.address.bytes) }) else {
                continue
            }
            if let other = owners.updateValue("groups.\(group.name)", forKey: address) {
                note(
                    place("groups.\(group.name).address"),
                    "'groups.\(group.name).address' is already the address of '\(other)', \(address); expected one"
                        + " that no machine has")
            }
        }
    }

    /// The elector advertises over IPv4, between the nodes' own addresses.
    private mutating func noteFamilies(in settings: Settings) {
        guard settings.elector == .vrrp, settings.groups.contains(where: { $0.address != nil }) else {
            return
        }
        for node in settings.nodes where !node.address.isVersion4 {
            note(
                place("nodes.\(node.name).address"),
                "'nodes.\(node.name).address' is IPv6, and a group has an address: expected IPv4, or"
                    + " 'elector: external'")
        }
    }

    private mutating func noteTimes(in settings: Settings) {
        guard settings.freezeTimeout <= settings.lease.duration else { return }
        note(
            place(isWritten("freeze-timeout") ? "freeze-timeout" : "lease"),
            "'freeze-timeout' (\(Quantity.text(settings.freezeTimeout))) must be longer than the lease"
                + " (\(Quantity.text(settings.lease.duration))): no verdict can come sooner")
    }

    private mutating func noteContradictions(in group: Settings.Group) {
        let path = "groups.\(group.name)"
        // Written, not understood: a section that was refused by itself must not be called missing as well.
        let (hasVolume, hasMount) = (isWritten("\(path).volume"), isWritten("\(path).mount"))
        if hasMount, !hasVolume {
            note(
                place("\(path).mount"), "'\(path)' has a mount and no volume; add 'volume' or remove 'mount'")
        }
        if isWritten("\(path).export"), !hasMount {
            note(
                place("\(path).export"),
                "'\(path)' has an export and no mount; add 'mount' or remove 'export'")
        }
        if !hasVolume, !isWritten("\(path).address") {
            note(place(path), "'\(path)' has nothing to do; expected 'volume', 'address' or both")
        }
        if !hasVolume, isWritten("\(path).resync") {
            note(place("\(path).resync"), "'\(path)' has 'resync' and no volume; remove it")
        }
        if let mount = group.mount, let volume = group.volume, volume.backing.hasPrefix(mount.path + "/") {
            note(
                place("\(path).volume.backing"),
                "the backing file \(volume.backing) lies inside the volume's own mount \(mount.path)")
        }
    }

    /// A group's proxy is there, and can be reached at the group's address.
    private mutating func noteProxy(of group: Settings.Group, in settings: Settings) {
        guard let name = group.proxy else { return }
        let path = "groups.\(group.name)"
        guard isWritten("proxies.\(name)") else {
            let hint = NearestWord.hint(for: name, in: settings.proxies.map(\.name))
            return note(place("\(path).proxy"), "'\(path).proxy' names no proxy: '\(name)'\(hint)")
        }
        if isWritten("\(path).volume") {
            note(
                place("\(path).proxy"),
                "'\(path)' has a volume and a proxy; data does not move because a proxy fails: give the proxy a group"
                    + " with an address of its own")
        }
        guard isWritten("\(path).address") else {
            return note(
                place("\(path).proxy"),
                "'\(path)' has a proxy and no address; expected 'address', which moves when the proxy fails")
        }
        guard let address = group.address.flatMap({ Settings.IPAddress(bytes: $0.address.bytes) }),
            let listen = settings.proxies.first(where: { $0.name == name })?.listen.address
        else { return }
        guard listen != address, !listen.isUnspecified else { return }
        note(
            place("proxies.\(name).listen"),
            "'proxies.\(name).listen' is \(listen) and clients come to \(address), the address of '\(path)'; expected"
                + " that one, or 0.0.0.0")
    }

    /// Notes what two groups may not share.
    private mutating func notePairs(of settings: Settings) {
        var backings: [String: String] = [:]
        var mounts: [String: String] = [:]
        var routers: [UInt8: String] = [:]
        for group in settings.groups {
            let path = "groups.\(group.name)"
            if let backing = group.volume?.backing,
                let other = backings.updateValue(group.name, forKey: backing)
            {
                note(
                    place("\(path).volume.backing"),
                    "groups '\(other)' and '\(group.name)' have the same backing \(backing); each needs its own"
                )
            }
            if let mount = group.mount?.path, let other = mounts.updateValue(group.name, forKey: mount) {
                note(
                    place("\(path).mount.path"),
                    "groups '\(other)' and '\(group.name)' have the same mount path \(mount); each needs its own"
                )
            }
            guard group.address != nil else { continue }
            if let other = routers.updateValue(group.name, forKey: group.virtualRouterID) {
                let written = isWritten("\(path).virtual-router-id")
                note(
                    place(written ? "\(path).virtual-router-id" : path),
                    "groups '\(other)' and '\(group.name)' have the same virtual-router-id"
                        + " \(group.virtualRouterID)"
                        + (written ? "" : " (derived from the names)")
                        + "; write 'virtual-router-id' with another number, 1 to 255, in one of them")
            }
        }
    }

    private mutating func noteExports(of groups: [Settings.Group]) {
        let exporting = groups.filter { isWritten("groups.\($0.name).export") }
        guard let first = exporting.first else { return }
        for group in exporting.dropFirst() {
            note(
                place("groups.\(group.name).export"),
                "groups '\(first.name)' and '\(group.name)' both have an export; nfsd, its client records and its"
                    + " grace period are one for a machine, so at most one group may have one")
        }
    }
}
