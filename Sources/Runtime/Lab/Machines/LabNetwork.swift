/// The lab's network: one bridge in a machine of its own, one link to each of the others, and cuts between
/// them.
///
/// Cuts are made in the bridge, by the ports of sender and receiver: whatever crosses there is dropped, of
/// any protocol, and nothing that a node does to its own rules changes it. Links stay up, as with a failed
/// switch.
public struct LabNetwork: Sendable {
    /// Last byte of each machine's address.
    public static let hosts: [String: Int] = ["node1": 11, "node2": 12, "witness": 13, "client": 20]
    /// The network that all of them are in.
    public static let prefix = "192.168.56."
    /// All of it.
    static let range = prefix + "0/24"
    /// The address that moves.
    public static let virtualAddress = "192.168.56.100"

    let bridge: LabMachine

    /// A machine's address.
    public static func address(of name: String) -> String { prefix + "\(hosts[name] ?? 0)" }
    /// A machine's hardware address: the same after each start, as a network card's is.
    public static func hardwareAddress(of name: String) -> String {
        let last = String(hosts[name] ?? 0, radix: 16)
        return "02:54:4e:44:4d:" + (last.count == 1 ? "0" + last : last)
    }

    /// Runs a program in the network namespace of `machine` alone.
    func perform(_ arguments: [String], in machine: LabMachine) throws(LabError) {
        let outcome = try ChildProcess.run(try machine.inside(arguments, only: ["--net"]))
        guard outcome.status == 0 else {
            throw LabError("\(arguments.joined(separator: " ")): \(outcome.output)")
        }
    }

    /// Makes the bridge.
    func build() throws(LabError) {
        try perform(["ip", "link", "set", "lo", "up"], in: bridge)
        try perform(
            ["ip", "link", "add", "br0", "type", "bridge", "stp_state", "0", "mcast_snooping", "0"],
            in: bridge)
        try perform(["ip", "link", "set", "br0", "up"], in: bridge)
        try perform(["nft", "add", "table", "bridge", "lab"], in: bridge)
        try perform(
            ["nft", "add", "chain", "bridge", "lab", "cuts", "{ type filter hook forward priority 0; }"],
            in: bridge)
    }

    /// Links a machine to the bridge and gives it its address.
    func attach(_ machine: LabMachine) throws(LabError) {
        guard let first = machine.first else { throw LabError("\(machine.name) is not up") }
        let address = Self.address(of: machine.name) + "/24"
        try detach(machine.name)
        try perform(
            [
                "ip", "link", "add", machine.name, "type", "veth", "peer", "name", "eth0", "netns",
                "\(first.number)",
            ], in: bridge)
        try perform(["ip", "link", "set", machine.name, "master", "br0", "up"], in: bridge)
        try perform(["ip", "link", "set", "lo", "up"], in: machine)
        let hardware = Self.hardwareAddress(of: machine.name)
        try perform(["ip", "link", "set", "eth0", "address", hardware, "up"], in: machine)
        try perform(["ip", "address", "add", address, "dev", "eth0"], in: machine)
    }

    /// Takes away a dead machine's link. The kernel would as well, some time after the machine's end.
    func detach(_ name: String) throws(LabError) {
        guard bridge.first != nil else { return }
        _ = try ChildProcess.run(try bridge.inside(["ip", "link", "delete", name], only: ["--net"]))
    }

    /// Drops what `name` sends to `others` and, unless `oneWay`, what they send to it.
    func cut(_ name: String, from others: [String], oneWay: Bool) throws(LabError) {
        for other in others where other != name {
            try perform(rule(from: name, to: other), in: bridge)
            if !oneWay { try perform(rule(from: other, to: name), in: bridge) }
        }
    }

    private func rule(from sender: String, to receiver: String) -> [String] {
        ["nft", "add", "rule", "bridge", "lab", "cuts", "iifname", sender, "oifname", receiver, "drop"]
    }

    /// Takes back every cut.
    func heal() throws(LabError) {
        try perform(["nft", "flush", "chain", "bridge", "lab", "cuts"], in: bridge)
    }

    /// The cuts in force, as "A -> B".
    var cuts: [String] {
        get throws(LabError) {
            let outcome = try ChildProcess.run(
                try bridge.inside(["nft", "list", "chain", "bridge", "lab", "cuts"], only: ["--net"]))
            return outcome.output.split(separator: "\n").filter { $0.contains("drop") }.compactMap { line in
                let words = line.split(separator: "\"")
                return words.count >= 4 ? "\(words[1]) -> \(words[3])" : nil
            }
        }
    }
}
