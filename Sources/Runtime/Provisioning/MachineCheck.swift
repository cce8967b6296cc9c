public import Basics
import BlockStore
import Glibc
import LinuxSystem
import SecureChannel
public import Settings
import WitnessRuntime

/// `tandem check`: what a node needs, looked at before it is started. Changes nothing.
public enum MachineCheck {
    /// One line.
    public struct Finding: Sendable, Equatable {
        public var isOK: Bool
        /// What was looked at and what came out; with what to do, when it is a problem.
        public var text: String
    }

    /// Everything that can be looked at from here; the network is waited for until `deadline`.
    public static func run(settings: Settings, nodeName: String?, deadline: Instant) -> [Finding] {
        var findings = [privilege()]
        var secret: ClusterSecret?
        do throws(SecretFileError) {
            secret = try SecretFile.load(settings.secretPath)
            findings.append(ok("secret: \(settings.secretPath)"))
        } catch {
            findings.append(problem("secret: \(error)"))
        }
        var node: NodeIndex?
        do throws(SettingsError) {
            let found = try settings.localNode(named: nodeName)
            node = found
            findings.append(ok("this machine is \(settings[found].name)"))
        } catch {
            findings.append(problem("\(error)"))
        }
        if let node {
            if let secret { findings.append(witness(settings, node, secret, deadline)) }
            findings.append(peer(settings, node, deadline))
        }
        findings += devices(settings) + tools(settings) + copies(settings)
        return findings
    }

    private static func ok(_ text: String) -> Finding { Finding(isOK: true, text: text) }
    private static func problem(_ text: String) -> Finding { Finding(isOK: false, text: text) }

    private static func privilege() -> Finding {
        geteuid() == 0
            ? ok("privilege: root")
            : problem("privilege: `tandem node` needs root to mount and to set addresses")
    }

    private static func witness(
        _ settings: Settings, _ node: NodeIndex, _ secret: ClusterSecret, _ deadline: Instant
    ) -> Finding {
        guard let place = settings.witness else {
            return ok("arbiter: none; split brain is possible, and is detected when the nodes meet")
        }
        do throws(WitnessError) {
            let client = try WitnessClient(settings: settings, node: node, secret: secret, deadline: deadline)
            for group in settings.groups where group.volume != nil {
                if try client.read(group.name) == nil {
                    return problem("witness: it has no record of \(group.name): run `tandem init`")
                }
            }
            return ok("witness: \(place.address) port \(place.port) answers and knows every group")
        } catch {
            return problem("witness: \(error)")
        }
    }

    /// Whether something listens on the peer's port; who it is, the daemons find out.
    private static func peer(_ settings: Settings, _ node: NodeIndex, _ deadline: Instant) -> Finding {
        let other = settings[node.peer]
        let text = "peer: \(other.name), \(other.address) port \(other.port)"
        guard let address = SocketAddress(host: "\(other.address)", port: other.port) else {
            return problem("\(text): not an address")
        }
        do throws(SystemError) {
            let stream = try SocketStream.connecting(to: address)
            var poll = PollSet()
            poll.add(stream.descriptor.raw, .writable)
            guard try poll.wait(until: deadline) > 0 else {
                return problem("\(text): no answer; is it up, and is the way to it open?")
            }
            try stream.finishConnecting(to: address)
            return ok(text)
        } catch {
            return problem("\(text): \(error); is `tandem node` running there?")
        }
    }

    private static func devices(_ settings: Settings) -> [Finding] {
        guard settings.groups.contains(where: { $0.volume != nil }) else { return [] }
        let devices: [(path: String, module: String)] = [
            ("/dev/fuse", "fuse"), ("/dev/loop-control", "loop"),
        ]
        return devices.map { path, module in
            access(path, R_OK | W_OK) == 0
                ? ok("device: \(path)")
                : problem("device: \(path) cannot be used: run `modprobe \(module)`, and this as root")
        }
    }

    private static func tools(_ settings: Settings) -> [Finding] {
        var names: Set<String> = []
        for mount in settings.groups.compactMap(\.mount) {
            names.formUnion(mount.type == .ext4 ? ["mkfs.ext4", "e2fsck"] : ["mkfs.xfs", "xfs_repair"])
        }
        if settings.groups.contains(where: { $0.address != nil }) { names.insert("nft") }
        if settings.groups.contains(where: { $0.export != nil }) {
            names.formUnion(["exportfs", "rpc.mountd", "nfsdcld", "modprobe"])
        }
        let places = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"]
        return names.sorted().map { name in
            places.contains { access("\($0)/\(name)", X_OK) == 0 }
                ? ok("tool: \(name)") : problem("tool: \(name) is missing: install the package that has it")
        }
    }

    private static func copies(_ settings: Settings) -> [Finding] {
        settings.groups.compactMap { group in
            guard let volume = group.volume, let metadata = settings.metadataPath(of: group) else {
                return nil
            }
            let isThere = access(volume.backing, F_OK) == 0 && access(metadata, F_OK) == 0
            return isThere
                ? ok("copy: \(group.name), \(volume.backing)")
                : problem("copy: \(group.name) has none here (\(volume.backing)): run `tandem init`")
        }
    }
}
