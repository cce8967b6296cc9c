import Glibc

/// The directory of one lab: all that the lab keeps between two commands lies there, and nothing of it
/// elsewhere.
public struct LabDirectory: Sendable {
    public let path: String

    /// `path` is made absolute. Refused are places that a machine of the lab covers with its own.
    public init(_ path: String) throws(LabError) {
        var whole = path
        if !path.hasPrefix("/") {
            guard let current = TextFile.link("/proc/self/cwd") else {
                throw LabError("where are we?", code: errno)
            }
            whole = current + "/" + path
        }
        for covered in ["/run/", "/srv/", "/dev/", "/proc/", "/sys/"] where whole.hasPrefix(covered) {
            throw LabError("a lab cannot lie under \(covered): its machines have a \(covered) of their own")
        }
        self.path = whole
    }

    /// A short mark of this lab, for names that people see in lists of processes.
    public var mark: String {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in path.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        let text = String(hash >> 40, radix: 16)
        return String(repeating: "0", count: max(0, 6 - text.count)) + text
    }

    public var settings: String { path + "/tandem.yaml" }
    public var secret: String { path + "/secret" }
    /// Programs that the lab started inside its machines, one line each.
    public var started: String { path + "/started" }

    /// What belongs to one machine.
    public func machine(_ name: String) -> String { path + "/" + name }
    /// The machine's disk: what survives its death.
    public func disk(_ name: String) -> String { machine(name) + "/disk" }
    /// Where a machine sees its own disk.
    public static let diskInside = "/srv/disk"
    /// The backing file that `settings` name, of one node, seen from outside.
    public func backing(_ node: String) -> String { disk(node) + "/files.img" }
    /// What the daemon of a machine prints.
    public func daemonLog(_ name: String) -> String { machine(name) + "/daemon.log" }
}
