extension Settings {
    /// What the settings ask for and this version does not do yet, a sentence each. Whoever runs by the settings
    /// refuses them: a promise that is read and not kept is worse than none.
    public var notInThisVersion: [String] {
        var found: [String] = []
        if witness?.afterRestart == .both {
            found.append("'witness.after-restart: both' is not in this version; remove it or write 'normal'")
        }
        for group in groups {
            let path = "groups.\(group.name)"
            if group.resync == .keepOlder {
                found.append(
                    "'\(path).resync: keep-older' is not in this version; remove it or write 'direct'")
            }
            if group.onStuck == .reboot {
                found.append("'\(path).on-stuck: reboot' is not in this version; remove it or write 'wait'")
            }
        }
        return found
    }
}
