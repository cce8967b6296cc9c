public import Basics
import BlockStore
import Election
import Glibc
import LinuxSystem
import SecureChannel
public import Settings
import WitnessRuntime

/// `tandem check`: what a node needs, or the witness, looked at before it is started. Changes nothing.
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
        do throws(SettingsError) {
            let node = try settings.localNode(named: nodeName)
            findings.append(ok("this machine is \(settings[node].name)"))
            if let secret { findings.append(witness(settings, node, secret, deadline)) }
            findings.append(peer(settings, node, deadline))
        } catch {
            if nodeName == nil, let place = settings.witness, isOwn(place.address) {
                return findings + [ok("this machine has the witness's address"), listens(place, deadline)]
            }
            findings.append(problem("\(error)"))
        }
        if settings.lease == .fast {
            findings.append(punctuality(settings.lease.profile, lateness: measuredLateness()))
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

    /// Whether the address is one of this machine's: then a socket can be bound to it.
    private static func isOwn(_ address: Settings.IPAddress) -> Bool {
        guard let any = SocketAddress(host: "\(address)", port: 0) else { return false }
        do throws(SystemError) {
            _ = try SocketListener(tcp: any)
            return true
        } catch {
            return false
        }
    }

    private static func listens(_ place: Settings.Witness, _ deadline: Instant) -> Finding {
        answers(
            "witness: \(place.address) port \(place.port)", place.address, place.port, "witness", deadline)
    }

    private static func peer(_ settings: Settings, _ node: NodeIndex, _ deadline: Instant) -> Finding {
        let other = settings[node.peer]
        return answers(
            "peer: \(other.name), \(other.address) port \(other.port)", other.address, other.port, "node",
            deadline
        )
    }

    /// Whether something listens on the port; who it is, the daemons find out.
    private static func answers(
        _ text: String, _ place: Settings.IPAddress, _ port: UInt16, _ daemon: String, _ deadline: Instant
    ) -> Finding {
        guard let address = SocketAddress(host: "\(place)", port: port) else {
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
            return problem("\(text): \(error); is `tandem \(daemon)` running there?")
        }
    }

    /// Whether a machine that wakes so late at times can renew such a lease.
    static func punctuality(_ profile: LeaseProfile, lateness: Interval) -> Finding {
        let text =
            "lease: of \(profile.holder.wholeMilliseconds) ms; this machine woke up to"
            + " \(lateness.wholeMilliseconds) ms late"
        // An answer of the peer takes longer than a wake-up only on networks that no lease of this length is for.
        return profile.fits(lateness: lateness, roundTrip: .milliseconds(5))
            ? ok(text) : problem("\(text), too late for it: use `lease: normal`")
    }

    /// The latest of a hundred wake-ups, in a second.
    private static func measuredLateness() -> Interval {
        var latest = Interval.milliseconds(0)
        for _ in 0..<100 {
            let due = Instant.now() + .milliseconds(10)
            var poll = PollSet()
            // Without poll there is nothing to measure with.
            do throws(SystemError) { try poll.wait(until: due) } catch { return latest }
            latest = max(latest, Instant.now().since(due))
        }
        return latest
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
        if settings.groups.contains(where: { $0.export?.versions.contains(.fourZero) == true }) {
            names.insert("sqlite3")
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
