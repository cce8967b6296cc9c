/// The settings file that a lab's cluster runs with.
public struct LabSettings: Sendable {
    /// Size of the volume, as settings write it.
    public var size = "256MiB"
    /// Whether the group has a volume; without one it moves an address alone, and needs no witness.
    public var hasVolume = true
    /// Whether the group has the address that moves.
    public var hasAddress = true
    /// Whether the group mounts its volume on /srv/files.
    public var mounts = true
    /// Whether the group exports its mount over NFS, to the machines' network.
    public var exports = false
    /// The versions of NFS that are served; empty for the product's choice.
    public var exportVersions: [String] = []
    /// An option of the export beside the usual ones, with a comma before it.
    public var exportOption = ""
    /// Whether the nodes also run the pair of proxies behind a second address (`LabWeb`).
    public var hasPair = false
    /// Seconds without a verdict until frozen requests are answered EIO.
    public var freezeSeconds = 5
    /// Seconds that a restarted node looks for the other one first.
    public var waitForPeerSeconds = 10
    /// `sealed` or `plain`.
    public var transport = "sealed"
    /// The node that is asked first; empty for none.
    public var prefer = "node1"
    /// Keys of the volume put in by who wants something else, with a comma before each.
    public var volumeKeys = ""
    /// Lines put in by a story that wants something else.
    public var more = ""

    public init() {}

    /// The name of the group with the volume.
    public static let group = "files"
    /// The name of the group that moves an address alone.
    public static let addressGroup = "front"
    /// Where its Primary shows the volume.
    public static let device = "/dev/tandem/files/data"
    /// Where its Primary mounts it.
    public static let mountPath = "/srv/files"

    /// The file's text for machines that see the lab's directory.
    func text(in directory: LabDirectory) -> String {
        text(secret: directory.secret, disk: LabDirectory.diskInside)
    }

    /// The file's text. `secret` and `disk` are where each machine sees its secret, and its copy and state; `client` is the
    /// address of the client's machine.
    func text(
        secret: String, disk: String, client: String = LabNetwork.address(of: "client")
    ) -> String {
        """
        cluster: lab
        secret: \(secret)
        nodes:
          node1: { address: \(LabNetwork.address(of: "node1")) }
          node2: { address: \(LabNetwork.address(of: "node2")) }
        \(hasVolume ? "witness: { address: \(LabNetwork.address(of: "witness")) }" : "arbiter: none")
        transport: \(transport)
        freeze-timeout: \(freezeSeconds)s
        wait-for-peer: \(waitForPeerSeconds)s
        state-directory: \(disk)/state
        \(more)groups:
        \(hasVolume ? volumeGroup(disk: disk) : addressGroup)
        """ + (hasPair ? LabWeb.groupText + LabWeb.proxyText(client: client, log: "\(disk)/access.log") : "")
    }

    private func volumeGroup(disk: String) -> String {
        let mount = mounts ? "    mount: { path: \(Self.mountPath), type: ext4 }\n" : ""
        let versions =
            exportVersions.isEmpty ? "" : ", versions: [\(exportVersions.joined(separator: ", "))]"
        let options = "[rw, sync, no_root_squash\(exportOption)]"
        let export =
            exports ? "    export: { to: \(LabNetwork.range), options: \(options)\(versions) }\n" : ""
        let address = hasAddress ? "    address: \(LabNetwork.virtualAddress)/24\n" : ""
        let preferred = prefer.isEmpty ? "" : "    prefer: \(prefer)\n"
        return """
              \(Self.group):
            \(address)\(preferred)    volume: { size: \(size), backing: \(disk)/files.img\(volumeKeys) }
            \(mount)\(export)
            """
    }

    private var addressGroup: String {
        if hasPair { return "" }
        let preferred = prefer.isEmpty ? "" : ", prefer: \(prefer)"
        return "  \(Self.addressGroup): { address: \(LabNetwork.virtualAddress)/24\(preferred) }\n"
    }
}
