import Basics
import BlockStore
import CLinux
import ControlPlane
import DiskFormat
import Glibc
import LinuxSystem
import Replication
import SecureChannel
import Settings
import Telemetry

/// What is done before the first packet.
enum NodeStart {
    /// Refuses what could not work anyway, in one sentence each.
    static func check(_ settings: Settings) throws(NodeError) {
        guard getuid() == 0 else {
            throw .refused(
                "a node needs root: it mounts, attaches loop devices and moves an address; start it as root")
        }
        try checkCapabilities()
        guard settings.groups.contains(where: { $0.volume != nil }) else { return }
        guard access("/dev/fuse", R_OK | W_OK) == 0 else {
            throw .refused("/dev/fuse cannot be opened: load the module with `modprobe fuse`")
        }
        guard access("/dev/loop-control", R_OK | W_OK) == 0 else {
            throw .refused("/dev/loop-control cannot be opened: load the module with `modprobe loop`")
        }
    }

    /// Root in a container may lack what root has elsewhere (capabilities(7)).
    private static func checkCapabilities() throws(NodeError) {
        let needed: [(bit: UInt64, name: String)] = [
            (12, "CAP_NET_ADMIN"), (13, "CAP_NET_RAW"), (21, "CAP_SYS_ADMIN"),
        ]
        let text: String
        do throws(SystemError) { text = try SmallFile.read("/proc/self/status") } catch {
            throw .system(error)
        }
        let line = text.split(separator: "\n").first { $0.hasPrefix("CapEff:") }
        guard let value = line?.split(separator: "\t").last.flatMap({ UInt64($0, radix: 16) }) else { return }
        let missing = needed.filter { value & (1 << $0.bit) == 0 }.map(\.name)
        guard missing.isEmpty else {
            throw .refused(
                "this root lacks \(missing.joined(separator: ", ")), which mounts and addresses need: start the"
                    + " container or unit with \(missing.count == 1 ? "it" : "them")")
        }
    }

    /// The lock that a second daemon of this node meets; held while the process lives, and by its children.
    static func lock(_ settings: Settings, _ node: NodeIndex) throws(NodeError) -> Descriptor {
        let path = "\(settings.runDirectory)/\(settings[node].name).lock"
        do throws(SystemError) {
            try FileTree.makeDirectory(settings.runDirectory, mode: 0o755)
            let number = clinux_open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
            guard number >= 0 else { throw SystemError(operation: "open", subject: path, code: errno) }
            let file = Descriptor(adopting: number)
            guard clinux_lock_exclusive(file.raw) == 0 else {
                throw SystemError(operation: "lock", subject: path, code: errno)
            }
            return file
        } catch {
            guard error.code == EWOULDBLOCK else { throw .system(error) }
            throw .refused(
                "\(settings[node].name) runs on this machine already (\(path) is locked): end that `tandem node`"
                    + " first, or give this one another `run-directory`")
        }
    }

    /// Reads the cluster's secret.
    static func secret(_ path: String) throws(NodeError) -> ClusterSecret {
        var status = stat()
        guard stat(path, &status) == 0 else {
            throw .refused(
                "the secret \(path) cannot be read: \(String(cString: strerror(errno))); make it with `tandem secret`"
                    + " on one machine and copy it to the others")
        }
        guard status.st_mode & 0o077 == 0 else {
            throw .refused("the secret \(path) can be used by others: run `chmod 600 \(path)`")
        }
        let text: String
        do throws(SystemError) { text = try SmallFile.read(path) } catch { throw .system(error) }
        do throws(ClusterSecretError) { return try ClusterSecret(fileContents: Array(text.utf8)) } catch {
            throw .refused("\(path): \(error)")
        }
    }

    /// Refuses while another process has this node's port or copies, before anything is touched: what looks like a dead
    /// predecessor's remains is a living one's service, and the lock is of a `run-directory` only.
    static func checkAlone(_ settings: Settings, _ node: NodeIndex) throws(NodeError) {
        let own = settings[node]
        do throws(SystemError) {
            _ = try SocketListener(tcp: try NodeContext.socketAddress(own.address, own.port))
        } catch {
            throw words(error, listeningAs: own)
        }
        for group in settings.groups {
            guard let path = settings.metadataPath(of: group), access(path, F_OK) == 0 else { continue }
            do throws(BackingError) { _ = try MetadataFile.open(path, size: nil) } catch {
                // Whatever else is wrong with it is told when the volume is opened.
                if case .inUse = error { throw .refused("group '\(group.name)': \(error)") }
            }
        }
    }

    /// Why a node cannot listen on its own address, with what to do.
    static func words(_ error: SystemError, listeningAs node: Settings.Node) -> NodeError {
        switch error.code {
        case EADDRINUSE:
            .refused(
                "\(node.address) port \(node.port) is in use by another process: end it, or give \(node.name) another"
                    + " `port` in the settings of all machines")
        case EADDRNOTAVAIL:
            .refused(
                "this machine does not have \(node.name)'s address \(node.address): set it up, or say with --node"
                    + " which node this machine is")
        default: .system(error)
        }
    }

    /// What a node that exports may have ready long before it serves: the module, its files, rpc.mountd.
    static func prepareServer(_ settings: Settings) throws(NodeError) {
        for group in settings.groups where group.export != nil {
            guard let trouble = ServerHands(settings, group).prepare() else { continue }
            throw .refused("group '\(group.name)' has an export: \(trouble)")
        }
    }

    /// Opens a group's copy and starts its thread.
    static func volume(
        _ context: NodeContext, _ group: Settings.Group, _ volume: Settings.Volume,
        report: @escaping @Sendable (VolumeReport) -> Void
    ) throws(NodeError) -> Volume {
        let settings = context.settings
        guard let path = settings.metadataPath(of: group) else {
            preconditionFailure("a group without a volume")
        }
        guard access(volume.backing, F_OK) == 0, access(path, F_OK) == 0 else {
            throw .refused(
                "group '\(group.name)' has no copy at \(volume.backing) yet: run `tandem init` on this node first"
            )
        }
        let metadata = try opened(group) { () throws(BackingError) in try MetadataFile.open(path, size: nil) }
        try check(context, group, volume, metadata)
        let backing = try opened(group) { () throws(BackingError) in
            try BackingFile.open(volume.backing, size: volume.size, access: volume.directIO ? nil : .buffered)
        }
        let replica = ReplicaConfiguration(
            me: context.node, hasArbiter: settings.witness != nil, freezeTimeout: settings.freezeTimeout,
            waitForPeer: settings.waitForPeer)
        let configuration = VolumeConfiguration(
            name: "\(group.name)/\(volume.name)", replica: replica, seed: random(),
            pingInterval: .milliseconds(300))
        do throws(VolumeError) {
            return try Volume(configuration, backing: backing, metadata: metadata, report: report)
        } catch {
            throw .refused("group '\(group.name)': \(error)")
        }
    }

    private static func opened<File: ~Copyable>(
        _ group: Settings.Group, _ body: () throws(BackingError) -> File
    ) throws(NodeError) -> File {
        do throws(BackingError) { return try body() } catch {
            throw .refused("group '\(group.name)': \(error)")
        }
    }

    /// A file of another cluster, group or node, or of another size, is not touched.
    private static func check(
        _ context: NodeContext, _ group: Settings.Group, _ volume: Settings.Volume,
        _ file: borrowing MetadataFile
    ) throws(NodeError) {
        let metadata: VolumeMetadata
        do throws(VolumeError) { metadata = try VolumeMetadata(reading: file) } catch {
            throw .refused(
                "group '\(group.name)': \(error); bring that file back, or move the copy away and let the other node's"
                    + " be copied with `tandem init --join`")
        }
        let superblock = metadata.superblock
        let wanted = NodeContext.ownership(cluster: context.settings.cluster, group: group.name)
        guard superblock.ownership == wanted else {
            throw .refused(
                "\(file.path) belongs to another cluster or group and is not touched: name another `backing` in the settings"
            )
        }
        guard superblock.node == context.node else {
            throw .refused(
                "\(file.path) is the copy of \(context.peerName), and this is \(context.name): start it with --node"
                    + " \(context.peerName), or name another `backing` in the settings")
        }
        guard superblock.size == volume.size else {
            throw .refused(
                "the copy at \(volume.backing) was made with \(superblock.size) bytes and `size` says \(volume.size):"
                    + " correct `size` on every machine")
        }
        if metadata.damagedPages > 0 {
            context.journal.record(
                "bitmap-damaged", level: .warning, ["group": group.name, "pages": metadata.damagedPages])
        }
    }

    /// 64 bits from the kernel.
    static func random() -> UInt64 {
        var bytes = [UInt8](repeating: 0, count: 8)
        // It fails on no kernel that this program runs on; the clock then still differs between two lives.
        guard clinux_random(&bytes, 8) == 0 else { return clinux_boottime() }
        return bytes.reduce(0) { $0 << 8 | UInt64($1) }
    }
}
