import Basics
import Glibc

/// How the lab reaches its virtual machines: a second bridge, in the machine that the hypervisors run in, and ssh over
/// it. It is not the cluster's network: cuts do not reach it, and the host has no address on either.
struct VirtualReach: Sendable {
    let place: VirtualPlace
    let host: LabMachine

    private static let prefix = "10.78.0."
    private static let bridge = "reach0"

    static func address(of name: String) -> String { prefix + "\(LabNetwork.hosts[name] ?? 0)" }
    static func port(of name: String) -> String { name + "-r" }
    static func hardwareAddress(of name: String) -> String {
        LabNetwork.hardwareAddress(of: name).replacingPrefix("02:54:4e:44:4d", with: "02:54:4e:44:52")
    }

    /// Makes the second bridge, and the ports of all machines on both.
    func build(_ names: [String]) throws(LabError) {
        var lines = ["link add \(Self.bridge) type bridge", "link set \(Self.bridge) up"]
        lines.append("address add \(Self.prefix)1/24 dev \(Self.bridge)")
        for name in names {
            for (port, bridge) in [(name, "br0"), (Self.port(of: name), Self.bridge)] {
                lines += ["tuntap add \(port) mode tap", "link set \(port) master \(bridge) up"]
            }
        }
        for line in lines {
            let words = ["ip"] + line.split(separator: " ").map { String($0) }
            let done = try host.run(words)
            guard done.status == 0 else { throw LabError("ip \(line): \(done.output)") }
        }
    }

    private var options: [String] {
        [
            "-i", place.key, "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o",
            "LogLevel=ERROR", "-o", "ConnectTimeout=3", "-o", "ServerAliveInterval=5", "-o",
            "ServerAliveCountMax=6", "-o", "BatchMode=yes",
        ]
    }

    /// One for each life of a machine: a dying connection removes its path, which must not be its successor's.
    private func controlPath(_ name: String, _ life: ProcessMark) -> String {
        "/run/lab/\(name).\(life.number)"
    }

    /// Opens the connection that all commands to the machine share; false when the machine does not answer yet.
    func open(_ name: String, _ life: ProcessMark) throws(LabError) -> Bool {
        let words =
            ["ssh"] + options + [
                // `-M` beside ControlMaster=yes would ask a person at each use.
                "-o", "ControlPath=\(controlPath(name, life))", "-MNf",
                "root@" + Self.address(of: name),
            ]
        return try host.run(["sh", "-c", "\"$@\" </dev/null >/dev/null 2>&1", "sh"] + words).status == 0
    }

    /// Ends that connection, and with it every command that waits for a machine that is gone.
    func close(_ name: String, _ life: ProcessMark) throws(LabError) {
        let words = ["ssh", "-o", "ControlPath=\(controlPath(name, life))", "-O", "exit", "lab"]
        _ = try host.run(words, limit: .seconds(5))
    }

    /// What runs a shell command on a machine; nil runs a shell for a person. Its process numbers are the host's, so
    /// that the terminal works.
    func command(_ name: String, _ life: ProcessMark, _ shell: String?) throws(LabError) -> [String] {
        let words =
            ["ssh"] + options + [
                "-o", "ControlMaster=no", "-o", "ControlPath=\(controlPath(name, life))",
                "root@" + Self.address(of: name),
            ]
        return try host.inside(words + (shell.map { ["--", $0] } ?? []), only: ["--net", "--mount"])
    }

    /// One word for a shell, whatever is in it.
    static func quote(_ word: String) -> String {
        let isPlain = word.utf8.allSatisfy { byte in
            byte >= 0x61 && byte <= 0x7A || byte >= 0x41 && byte <= 0x5A || byte >= 0x2B && byte <= 0x3A
                || byte == 0x5F || byte == 0x3D || byte == 0x40
        }
        if isPlain && !word.isEmpty { return word }
        return "'" + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''")
            + "'"
    }
}

extension String {
    fileprivate func replacingPrefix(_ old: String, with new: String) -> String {
        hasPrefix(old) ? new + dropFirst(old.count) : self
    }
}
