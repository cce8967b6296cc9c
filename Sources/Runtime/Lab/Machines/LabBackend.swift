/// What can be done to a lab, whatever its machines are made of.
public protocol LabBackend: Sendable {
    /// The machines.
    var names: [String] { get }
    /// Refuses a name that no machine has.
    func check(_ name: String) throws(LabError)
    /// What a person wants to know at a glance.
    func statusLines() throws(LabError) -> [String]
    /// Cuts a machine's power.
    func kill(_ name: String) throws(LabError)
    /// Kills the product's processes of a machine at once; what they had made there remains.
    func killDaemon(_ name: String) throws(LabError)
    /// Starts a machine that was killed, and its daemon.
    func start(_ name: String) throws(LabError)
    /// Drops what `name` and `others` send to each other, or only what `name` sends.
    func cut(_ name: String, from others: [String], oneWay: Bool) throws(LabError)
    /// Takes back every cut.
    func heal() throws(LabError)
    /// Ends all machines; disks and logs stay.
    func down() throws(LabError)
    /// Ends all machines and removes the lab's directory; gives what remains, which must be nothing.
    func wipe() throws(LabError) -> [String]
}

extension LabTopology: LabBackend {
    /// The machines.
    public var names: [String] { Self.machineNames }
    /// Refuses a name that no machine has.
    public func check(_ name: String) throws(LabError) { try Self.checkName(name) }
}
