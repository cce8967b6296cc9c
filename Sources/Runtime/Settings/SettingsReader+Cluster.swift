import Basics

extension SettingsReader {
    static let topKeys = [
        "cluster", "secret", "nodes", "witness", "arbiter", "transport", "lease", "freeze-timeout",
        "wait-for-peer", "elector", "state-directory", "run-directory", "device-directory", "groups",
        "proxies", "statistics",
    ]

    static let nodeKeys = ["address", "port"]
    static let witnessKeys = ["address", "port", "after-restart"]

    private enum ArbiterWord: String, CaseIterable {
        case witness
        case none
    }

    /// The settings in `root`; meaningless once a problem is noted.
    mutating func settings(_ root: YamlNode, file: String) -> Settings? {
        guard let top = section(root, path: "", keys: Self.topKeys) else { return nil }
        let cluster = cluster(in: top)
        let nodes = nodes(in: top)
        var settings = Settings(
            file: file, cluster: cluster,
            secretPath: path("secret", in: top, otherwise: Settings.Default.secretPath), nodes: nodes,
            witness: witness(in: top), transport: word("transport", in: top, otherwise: .sealed),
            lease: word("lease", in: top, otherwise: .normal),
            freezeTimeout: duration(
                "freeze-timeout", in: top, range: .seconds(1) ... .seconds(3600),
                otherwise: Settings.Default.freezeTimeout),
            waitForPeer: duration(
                "wait-for-peer", in: top, range: .seconds(0) ... .seconds(3600),
                otherwise: Settings.Default.waitForPeer),
            elector: word("elector", in: top, otherwise: .vrrp),
            stateDirectory: path("state-directory", in: top, otherwise: Settings.Default.stateDirectory),
            runDirectory: path("run-directory", in: top, otherwise: Settings.Default.runDirectory),
            deviceDirectory: path("device-directory", in: top, otherwise: Settings.Default.deviceDirectory),
            groups: [])
        settings.groups = groups(in: top, of: settings)
        settings.proxies = proxies(in: top)
        settings.statistics = statistics(in: top, proxies: settings.proxies)
        noteContradictions(in: settings, top: top)
        return settings
    }

    /// A file of a machine that only runs proxies: no groups, and nothing that groups need.
    func isProxyOnly(_ top: Section) -> Bool {
        top.entries["groups"] == nil && top.entries["proxies"] != nil
    }

    private mutating func cluster(in top: Section) -> String {
        if top.entries["cluster"] == nil, isProxyOnly(top) { return Settings.Default.cluster }
        let expected = "the name of the cluster"
        guard let node = required("cluster", in: top, expected: expected),
            let name = text(node, "cluster", expected: expected),
            isName(name, what: "the cluster's name", at: node.position)
        else { return "" }
        return name
    }

    private mutating func nodes(in top: Section) -> [Settings.Node] {
        if top.entries["nodes"] == nil, isProxyOnly(top) { return [] }
        let expected =
            "two nodes, such as { node1: { address: 192.168.56.11 }, node2: { address: 192.168.56.12 } }"
        guard let node = required("nodes", in: top, expected: expected),
            let section = openSection(node, path: "nodes")
        else { return [] }
        if section.entries.count != 2 {
            note(node.position, "'nodes' must name exactly two nodes, found \(section.entries.count)")
        }
        return section.entries.keys.sorted().compactMap { name in
            guard isName(name, what: "the node's name", dots: true, at: place("nodes.\(name)")),
                let value = section.entries[name],
                let entry = self.section(value, path: "nodes.\(name)", keys: Self.nodeKeys),
                let addressNode = required("address", in: entry, expected: "the node's own address"),
                let address = address(addressNode, "nodes.\(name).address")
            else { return nil }
            let port = port(in: entry, otherwise: Settings.Default.dataPort)
            return Settings.Node(name: name, address: address, port: port)
        }
    }

    private mutating func port(in section: Section, otherwise standard: UInt16) -> UInt16 {
        UInt16(number("port", in: section, range: 1...65535, otherwise: Int(standard)))
    }

    private mutating func witness(in top: Section) -> Settings.Witness? {
        let arbiter = word("arbiter", in: top, otherwise: ArbiterWord.witness)
        guard let node = top.entries["witness"] else {
            if arbiter == .witness, !isProxyOnly(top) {
                note(
                    top.position,
                    "'witness' is missing; expected { address: ... } of a third machine, or 'arbiter: none', which"
                        + " makes a split brain possible")
            }
            return nil
        }
        if arbiter == .none {
            note(place("arbiter"), "'arbiter: none' and 'witness' contradict each other; remove one of them")
        }
        guard let section = section(node, path: "witness", keys: Self.witnessKeys),
            let addressNode = required("address", in: section, expected: "the witness's own address"),
            let address = address(addressNode, "witness.address")
        else { return nil }
        return Settings.Witness(
            address: address, port: port(in: section, otherwise: Settings.Default.witnessPort),
            afterRestart: word("after-restart", in: section, otherwise: .normal))
    }
}
