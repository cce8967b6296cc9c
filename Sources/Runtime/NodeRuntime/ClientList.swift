import Basics
import ControlPlane
import HostServices
import LinuxSystem
import Netlink

/// The connections of NFS clients, in a file on the volume itself: the next holder reads it after it has mounted.
///
/// A line each: `192.168.56.13:892`, and `192.168.56.13:892:32803` for a connection to lockd. A list that is lost costs a client some seconds and nothing else.
struct ClientList {
    private static let port: UInt16 = 2049
    private static let ports = [port, LockRecords.lockPort]
    private static let name = "nfs-connections"
    /// What the file says; nil when that is not known.
    private var written: String?

    /// Writes the list of a served address into a directory on the volume, if it is another than before.
    mutating func update(of address: IPv4Address, in directory: String) {
        do throws(SystemError) {
            let text = Self.text(try TCPConnections.of(address))
            guard text != written else { return }
            try FileTree.replace("\(directory)/\(Self.name)", with: Array(text.utf8))
            written = text
        } catch {
            // A full or failing file system tells it elsewhere; the list is tried again.
            written = nil
        }
    }

    /// The list as it is written.
    static func text(_ connections: [TCPConnection]) -> String {
        connections.filter { ports.contains($0.localPort) }.map { one in
            "\(one.remote):\(one.remotePort)\(one.localPort == port ? "" : ":\(one.localPort)")\n"
        }.sorted().joined()
    }

    /// The connections that the last holder wrote down; none when there is no list.
    static func known(in directory: String, of address: IPv4Address) -> [TCPConnection] {
        // Without a list nobody is told: clients find out by themselves.
        guard let text = try? SmallFile.read("\(directory)/\(name)") else { return [] }
        return parse(text, of: address)
    }

    /// Lines that are no connection are left out.
    static func parse(_ text: String, of address: IPv4Address) -> [TCPConnection] {
        text.split(separator: "\n").compactMap { line in
            let parts = line.split(separator: ":")
            guard parts.count == 2 || parts.count == 3, let remote = IPv4Address(parsing: String(parts[0])),
                let remotePort = UInt16(parts[1]),
                let localPort = parts.count == 3 ? UInt16(parts[2]) : port, ports.contains(localPort)
            else { return nil }
            return TCPConnection(local: address, localPort: localPort, remote: remote, remotePort: remotePort)
        }
    }
}
