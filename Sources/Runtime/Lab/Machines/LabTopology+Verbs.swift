import Glibc

extension LabTopology {
    /// The product's binary: TANDEM_BINARY, or the one beside this program.
    public static func findProduct() throws(LabError) -> String {
        if let named = environmentVariable("TANDEM_BINARY") { return named }
        guard let own = TextFile.link("/proc/self/exe") else {
            throw LabError("which program is this?", code: errno)
        }
        return beside(own, "tandem")
    }

    static func beside(_ program: String, _ name: String) -> String {
        (program.lastIndex(of: "/").map { String(program[...$0]) } ?? "") + name
    }

    /// Refuses a name that no machine has.
    public static func checkName(_ name: String) throws(LabError) {
        guard machineNames.contains(name) else {
            throw LabError("there is no machine '\(name)'; there are \(machineNames.joined(separator: ", "))")
        }
    }

    /// Drops what `name` and `others` send to each other, or only what `name` sends.
    public func cut(_ name: String, from others: [String], oneWay: Bool = false) throws(LabError) {
        try network.cut(name, from: others, oneWay: oneWay)
    }

    /// Takes back every cut.
    public func heal() throws(LabError) { try network.heal() }

    /// What a person wants to know at a glance.
    public func statusLines() throws(LabError) -> [String] {
        var lines: [String] = []
        for name in Self.machineNames {
            let one = machine(name)
            guard one.first != nil else {
                lines.append("\(name): off")
                continue
            }
            let processes = Self.daemonNames.contains(name) ? daemonProcesses(name) : []
            let daemon =
                processes.isEmpty
                ? "" : ", tandem runs as \(processes.map { "\($0)" }.joined(separator: " "))"
            lines.append("\(name): on, \(LabNetwork.address(of: name))\(daemon)")
        }
        if bridge.first != nil {
            let cuts = try network.cuts
            lines.append(cuts.isEmpty ? "no cuts" : "cut: " + cuts.joined(separator: ", "))
        }
        if hasPair {
            var holders: [String] = []
            for node in ["node1", "node2"] where machine(node).first != nil {
                if try holdsPairAddress(node) { holders.append(node) }
            }
            lines.append(LabWeb.statusLine(holders: holders))
        }
        for node in ["node1", "node2"] where !daemonProcesses(node).isEmpty {
            let status = try verb(["status"], on: node)
            lines.append("\(node) says:")
            lines += status.output.split(separator: "\n").map { "  \($0)" }
        }
        return lines
    }
}
