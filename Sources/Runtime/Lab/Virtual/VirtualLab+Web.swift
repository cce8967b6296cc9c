extension VirtualLab {
    /// Where nginx finds its settings in the client, and writes what it must.
    private static let serverSettings = "/etc/tandem/web.conf"
    static let serverDirectory = "/run/tandem-web"

    /// Whether the nodes run the pair of proxies.
    var hasPair: Bool { LabWeb.isNamed(in: place.directory.settings) }

    /// Has each node run the proxies, and the client the web servers, now and at each start of their machines, before their
    /// daemons. The servers are the distribution's nginx: it is in the image.
    func installPair() throws(LabError) {
        let client = machine("client")
        let directory = Self.serverDirectory
        let text = LabWeb.serverText(host: Self.address(of: "client"), directory: directory)
        try client.write(text, to: Self.serverSettings)
        try client.write(
            "/usr/sbin/nginx -c \(Self.serverSettings) -e \(directory)/nginx.log\n", to: "/etc/tandem/before")
        for node in ["node1", "node2"] {
            try machine(node).write(
                "/opt/tandem/tandem proxy --settings \(Self.settingsInside)\n", to: "/etc/tandem/before")
        }
        try client.require("/usr/local/sbin/lab-init before")
    }

    /// Whether the proxies' address is on that node, which is on.
    func holdsPairAddress(_ node: String) throws(LabError) -> Bool {
        try machine(node).run("ip -o address show").output.contains(" \(LabWeb.address)/")
    }

    /// A line about the pair for the status; nil without one.
    func pairLine() throws(LabError) -> String? {
        guard hasPair else { return nil }
        var holders: [String] = []
        for node in ["node1", "node2"] where machine(node).life != nil {
            if try holdsPairAddress(node) { holders.append(node) }
        }
        return LabWeb.statusLine(holders: holders)
    }
}
