import Basics

extension SettingsReader {
    static let groupKeys = [
        "address", "interface", "prefer", "virtual-router-id", "priority", "volume", "mount", "export",
        "on-stuck",
        "resync", "proxy",
    ]

    static let volumeKeys = ["name", "size", "backing", "activity-log-extents", "direct-io"]
    static let mountKeys = ["path", "type", "options"]
    static let exportKeys = ["to", "options"]

    /// The limits of a volume's size: one metadata unit at least, what ext4 holds at most.
    static let sizeRange: ClosedRange<UInt64> = 1 << 20...16 << 40

    mutating func groups(in top: Section, of settings: Settings) -> [Settings.Group] {
        if isProxyOnly(top) { return [] }
        let expected = "at least one group, such as { files: { volume: { size: 1GiB } } }"
        guard let node = required("groups", in: top, expected: expected),
            let section = openSection(node, path: "groups")
        else { return [] }
        if section.entries.isEmpty { note(node.position, "'groups' is empty; expected \(expected)") }
        return section.entries.keys.sorted().compactMap { name in
            guard isName(name, what: "the group's name", at: place("groups.\(name)")),
                let value = section.entries[name],
                let entry = self.section(value, path: "groups.\(name)", keys: Self.groupKeys)
            else { return nil }
            return group(name, entry, of: settings)
        }
    }

    private mutating func group(_ name: String, _ section: Section, of settings: Settings) -> Settings.Group {
        let derived = Self.virtualRouterID(cluster: settings.cluster, group: name)
        return Settings.Group(
            name: name, address: prefix("address", in: section), interface: interface(in: section),
            prefer: prefer(in: section, of: settings),
            virtualRouterID: UInt8(
                number("virtual-router-id", in: section, range: 1...255, otherwise: Int(derived))),
            priority: UInt8(
                number("priority", in: section, range: 1...254, otherwise: Int(Settings.Default.priority))),
            volume: volume(in: section, group: name, of: settings), mount: mount(in: section),
            export: export(in: section), onStuck: word("on-stuck", in: section, otherwise: .wait),
            resync: word("resync", in: section, otherwise: .direct), proxy: proxyName(in: section))
    }

    /// Which proxies there are is looked at when all are read.
    private mutating func proxyName(in section: Section) -> String? {
        section.entries["proxy"].flatMap {
            text($0, section.path(of: "proxy"), expected: "the name of one of 'proxies'")
        }
    }

    /// The number of a group that does not write one: 1...255, from the names alone, so that adding a group does not
    /// change another's.
    static func virtualRouterID(cluster: String, group: String) -> UInt8 {
        var hash: UInt32 = 0x811C_9DC5
        for byte in "\(cluster)/\(group)".utf8 { hash = (hash ^ UInt32(byte)) &* 0x0100_0193 }
        return UInt8(hash % 255) + 1
    }

    private mutating func prefix(_ key: String, in section: Section) -> IPv4Prefix? {
        guard let node = section.entries[key] else { return nil }
        let path = section.path(of: key)
        let expected = "an address with its prefix length, such as 192.168.56.100/24"
        guard let text = text(node, path, expected: expected) else { return nil }
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        if let head = parts.first, Settings.IPAddress(String(head))?.isVersion4 == false {
            note(node.position, "'\(path)' is IPv6, which is not in this version; expected \(expected)")
            return nil
        }
        guard parts.count == 2, parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let prefix = IPv4Prefix(parsing: text), prefix.length > 0, prefix.address.rawValue != 0,
            !prefix.address.isMulticast
        else {
            note(node.position, "'\(path)' must be \(expected), found '\(text)'")
            return nil
        }
        return prefix
    }

    private mutating func interface(in section: Section) -> String? {
        guard let node = section.entries["interface"] else { return nil }
        let path = section.path(of: "interface")
        let expected = "the name of a network interface, 1 to 15 characters without spaces, '/' and ':'"
        guard let text = text(node, path, expected: expected) else { return nil }
        let valid = text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != 0x2F && $0 != 0x3A }
        guard valid, text.utf8.count <= 15, text != ".", text != ".." else {
            note(node.position, "'\(path)' must be \(expected), found '\(text)'")
            return nil
        }
        return text
    }

    private mutating func prefer(in section: Section, of settings: Settings) -> NodeIndex? {
        guard let node = section.entries["prefer"],
            let text = text(node, section.path(of: "prefer"), expected: "the name of a node")
        else { return nil }
        // A node that was refused by itself has no number here; that it is named is not a second problem.
        if isWritten("nodes.\(text)") { return settings.nodeIndex(named: text) }
        let hint = NearestWord.hint(for: text, in: settings.nodes.map(\.name))
        note(node.position, "'\(section.path(of: "prefer"))' names no node: '\(text)'\(hint)")
        return nil
    }

    private mutating func volume(in group: Section, group name: String, of settings: Settings) -> Settings
        .Volume?
    {
        guard let node = group.entries["volume"],
            let section = section(node, path: group.path(of: "volume"), keys: Self.volumeKeys)
        else { return nil }
        var volumeName = Settings.Default.volumeName
        if let written = section.entries["name"],
            let text = text(written, section.path(of: "name"), expected: "the name of the volume"),
            isName(text, what: "the volume's name", at: written.position)
        {
            volumeName = text
        }
        return Settings.Volume(
            name: volumeName, size: size(in: section),
            backing: path("backing", in: section, otherwise: "\(settings.stateDirectory)/\(name).img"),
            activityLogExtents: number(
                "activity-log-extents", in: section, range: 7...3676,
                otherwise: Settings.Default.activityLogExtents),
            directIO: boolean("direct-io", in: section, otherwise: true))
    }

    private mutating func size(in section: Section) -> UInt64 {
        let range = Self.sizeRange
        let limits = "\(Quantity.text(bytes: range.lowerBound)) to \(Quantity.text(bytes: range.upperBound))"
        let expected =
            "a size from \(limits), a multiple of 4096 bytes, with its unit (B, KiB, MiB, GiB, TiB)"
        guard let node = required("size", in: section, expected: expected),
            let text = text(node, section.path(of: "size"), expected: expected)
        else { return 0 }
        guard let (number, word) = Quantity.parts(text),
            let unit = Quantity.sizeUnits.first(where: { $0.word == word }),
            case let (bytes, overflow) = number.multipliedReportingOverflow(by: unit.bytes), !overflow,
            range.contains(bytes), bytes % BlockSize.block == 0
        else {
            note(
                node.position,
                "'\(section.path(of: "size"))' must be \(expected), found '\(text)'" + Self.unitHint(text))
            return 0
        }
        return bytes
    }

    /// `; did you mean '1GiB'?` for a number with another unit.
    private static func unitHint(_ text: String) -> String {
        guard let (number, word) = Quantity.parts(text),
            !Quantity.sizeUnits.contains(where: { $0.word == word }),
            let letter = word.uppercased().first,
            let unit = Quantity.sizeUnits.first(where: { $0.word.first == letter })
        else { return "" }
        return "; did you mean '\(number)\(unit.word)'?"
    }
}

extension SettingsReader {
    private mutating func mount(in group: Section) -> Settings.Mount? {
        guard let node = group.entries["mount"],
            let section = section(node, path: group.path(of: "mount"), keys: Self.mountKeys)
        else { return nil }
        let type = word("type", in: section, otherwise: Settings.FileSystem.ext4)
        guard let pathNode = required("path", in: section, expected: "the directory to mount the volume on"),
            let path = path(pathNode, section.path(of: "path"))
        else { return nil }
        var options: [String] = []
        if let node = section.entries["options"] {
            options = words(node, section.path(of: "options"), expected: "a list of mount options").map(
                \.text)
        }
        return Settings.Mount(path: path, type: type, options: options)
    }

    /// The options of exports(5) that may be written.
    static let exportOptions = [
        "rw", "ro", "sync", "wdelay", "no_wdelay", "root_squash", "no_root_squash", "all_squash",
        "no_all_squash",
        "secure", "insecure", "subtree_check", "no_subtree_check", "crossmnt", "no_acl", "acl", "anonuid",
        "anongid",
        "sec",
    ]

    private mutating func export(in group: Section) -> Settings.Export? {
        guard let node = group.entries["export"],
            let section = section(node, path: group.path(of: "export"), keys: Self.exportKeys),
            let toNode = required("to", in: section, expected: "who may mount it, such as 192.168.56.0/24")
        else { return nil }
        let toPath = section.path(of: "to")
        let expected = "networks or addresses, such as 192.168.56.0/24"
        let targets = words(toNode, toPath, expected: expected)
        if targets.isEmpty { note(toNode.position, "'\(toPath)' must be \(expected), found none") }
        for target in targets where !Self.isNetwork(target.text) {
            note(target.place, "'\(toPath)' must be \(expected), found '\(target.text)'")
        }
        var options = ["rw", "sync", "no_subtree_check"]
        if let node = section.entries["options"] {
            let path = section.path(of: "options")
            let written = words(node, path, expected: "a list of export options")
            for option in written { checkExportOption(option.text, path, at: option.place) }
            options = written.map(\.text)
        }
        return Settings.Export(to: targets.map(\.text), options: options)
    }

    private static func isNetwork(_ text: String) -> Bool {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard let address = Settings.IPAddress(String(parts[0])), parts.count <= 2 else { return false }
        guard parts.count == 2 else { return true }
        guard parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }), let length = Int(parts[1]) else {
            return false
        }
        return (0...address.bitCount).contains(length)
    }

    private mutating func checkExportOption(_ option: String, _ path: String, at position: Position) {
        let name = String(option.prefix { $0 != "=" })
        switch name {
        case "async":
            note(position, "'async' in '\(path)' would answer clients before the data is safe; write 'sync'")
        case "fsid":
            note(position, "'fsid' in '\(path)' is set by Tandem, the same on both nodes; remove it")
        default:
            guard !Self.exportOptions.contains(name) else { return }
            note(
                position,
                "unknown export option '\(name)' in '\(path)'"
                    + NearestWord.hint(for: name, in: Self.exportOptions + ["async"]))
        }
    }
}
