public import Basics

/// What a step does to the machine. The runtime performs it; doing it twice is as good as once, and undoing
/// what was not done is a success.
public enum FailoverEffect: Sendable, Hashable {
    /// Ask the arbiter, or learn that it has granted already.
    case acquireGrant
    /// Give the grant back, so that the peer may be granted at once.
    case releaseGrant
    /// The volume becomes Primary and its device appears (a FUSE session of its own).
    case openVolume(String)
    /// Ends the FUSE session; the device must not be in use.
    case closeVolume(String)
    /// From now on the device answers every request with EIO, the frozen ones first.
    case failDevice(String)
    case attachLoop(String)
    case detachLoop(String)
    /// Makes /dev/tandem/GROUP/VOLUME.
    case linkDevice(group: String, volume: String)
    case unlinkDevice(group: String, volume: String)
    /// Runs the check only if the superblock asks for more than its journal.
    case checkFileSystem(volume: String, type: String)
    case mount(volume: String, MountTarget)
    /// A plain unmount, never a lazy one: lazily unmounted it would go on writing.
    case unmount(path: String)
    /// Starts what keeps the client records, on those of the volume.
    case startClientRecords(ExportTarget)
    /// Ends it: it holds files of the volume open.
    case stopClientRecords(ExportTarget)
    /// Starts what keeps the names of clients of version 3 with locks, on those of the volume.
    case startLockRecords(ExportTarget)
    /// Ends it, and what still tells clients of a new server.
    case stopLockRecords(ExportTarget)
    /// Tells the recorded clients of version 3 that the server is new, in the name of the address: they reclaim.
    case notifyLockClients(ExportTarget, IPv4Address)
    /// Tells the kernel's server who may mount what.
    case export(ExportTarget)
    /// Takes that back, with all that the kernel remembers of it.
    case withdrawExport(ExportTarget)
    /// Starts the kernel's server, under the cluster's scope, with a grace period for the clients of the old one.
    case startServer(ExportTarget)
    /// Ends every thread of the kernel's server: its state, locks, open files and sockets go with them.
    case stopServer
    /// Makes the clients known from the old holder connect anew at once.
    case tickleClients(ExportTarget, IPv4Address)
    /// Raises the address with its kernel lease and announces it.
    case raiseAddress(IPv4Prefix)
    /// Removes the address, and succeeds only once a dump no longer shows it.
    case lowerAddress(IPv4Prefix)
    /// Destroys the TCP connections of the address, so that no client is answered from here later.
    case destroyConnections(IPv4Address)

    /// Whether it may begin while an older effect, told to stop, has not answered yet and may still take
    /// place.
    ///
    /// What makes a deposed node mute must not wait for a file-system check that hangs on the very device
    /// that is to be failed. Such a step is done again when the older effect has answered. Nothing else
    /// overlaps.
    func mayOverlap(_ older: FailoverEffect) -> Bool {
        switch self {
        case .lowerAddress: return older != self
        case .destroyConnections, .failDevice:
            // Both follow the address, and one that is being raised is not gone (G8: mute before EIO).
            if case .raiseAddress = older { return false }
            return older != self
        case .acquireGrant, .releaseGrant, .openVolume, .closeVolume, .attachLoop, .detachLoop, .linkDevice,
            .unlinkDevice, .checkFileSystem, .mount, .unmount, .startClientRecords, .stopClientRecords,
            .startLockRecords, .stopLockRecords, .notifyLockClients, .export, .withdrawExport, .startServer,
            .stopServer, .tickleClients, .raiseAddress:
            return false
        }
    }
}

/// One step of a plan.
public struct FailoverStep: Sendable, Hashable {
    /// What the journal calls it, such as "mount files".
    public var name: String
    public var effect: FailoverEffect
    /// What takes it back; nil when there is nothing to take back.
    public var undo: FailoverEffect?
    public var deadline: Interval
    /// Whether the plan goes on when it fails; the failure is told all the same.
    public var isBestEffort: Bool

    public init(
        name: String, effect: FailoverEffect, undo: FailoverEffect? = nil, deadline: Interval,
        isBestEffort: Bool = false
    ) {
        self.name = name
        self.effect = effect
        self.undo = undo
        self.deadline = deadline
        self.isBestEffort = isBestEffort
    }
}

/// The ordered plans, as data (DESIGN 9).
///
/// Promote: grant, volumes Primary, loop, link, check, mount, client records, export, server, address (G5), tickle,
/// and clients of version 3 told.
/// Demote: the reverse, which needs a device that answers. Deposed: address off and verified, connections
/// destroyed, device failed, and only then what may block on it.
///
/// The server's threads end before the export is withdrawn: while they live, an active client keeps files of the
/// file system open, whatever else is taken away.
public enum FailoverPlans {
    /// The steps of a promotion.
    public static func promote(_ targets: FailoverTargets, break mistake: FailoverBreak? = nil)
        -> [FailoverStep]
    {
        let limits = targets.deadlines
        let volumes = targets.volumes
        var steps = [
            FailoverStep(name: "grant", effect: .acquireGrant, undo: .releaseGrant, deadline: limits.grant)
        ]
        steps += volumes.map {
            FailoverStep(
                name: "open \($0.name)", effect: .openVolume($0.name), undo: .closeVolume($0.name),
                deadline: limits.quick)
        }
        steps += volumes.map {
            FailoverStep(
                name: "attach \($0.name)", effect: .attachLoop($0.name), undo: .detachLoop($0.name),
                deadline: limits.quick)
        }
        steps += volumes.map {
            FailoverStep(
                name: "link \($0.name)", effect: .linkDevice(group: targets.group, volume: $0.name),
                undo: .unlinkDevice(group: targets.group, volume: $0.name), deadline: limits.quick)
        }
        for volume in volumes {
            guard let mount = volume.mount else { continue }
            steps.append(
                FailoverStep(
                    name: "check \(volume.name)",
                    effect: .checkFileSystem(volume: volume.name, type: mount.type),
                    deadline: limits.check))
            steps.append(
                FailoverStep(
                    name: "mount \(volume.name)", effect: .mount(volume: volume.name, mount),
                    undo: .unmount(path: mount.path), deadline: limits.mount))
        }
        let addresses = targets.addresses.map {
            FailoverStep(
                name: "raise \($0)", effect: .raiseAddress($0), undo: .lowerAddress($0),
                deadline: limits.quick)
        }
        switch mistake {
        case nil: steps += serving(targets) + addresses
        case .addressRaisedBeforeServer: steps += addresses + serving(targets)
        case .addressRaisedFirst: steps = addresses + steps + serving(targets)
        }
        return steps + tickles(targets)
    }

    private static func serving(_ targets: FailoverTargets) -> [FailoverStep] {
        guard let export = targets.export else { return [] }
        let limit = targets.deadlines.server
        let locks = FailoverStep(
            name: "start statd", effect: .startLockRecords(export), undo: .stopLockRecords(export),
            deadline: limit)
        return [
            FailoverStep(
                name: "start nfsdcld", effect: .startClientRecords(export), undo: .stopClientRecords(export),
                deadline: limit)
        ] + (export.hasLockRecords ? [locks] : []) + [
            FailoverStep(
                name: "export \(export.path)", effect: .export(export), undo: .withdrawExport(export),
                deadline: limit),
            FailoverStep(
                name: "start nfsd", effect: .startServer(export), undo: .stopServer, deadline: limit),
        ]
    }

    private static func tickles(_ targets: FailoverTargets) -> [FailoverStep] {
        guard let export = targets.export else { return [] }
        let tickles = targets.addresses.map {
            FailoverStep(
                name: "tickle clients of \($0.address)", effect: .tickleClients(export, $0.address),
                deadline: targets.deadlines.quick, isBestEffort: true)
        }
        guard export.hasLockRecords else { return tickles }
        return tickles
            + targets.addresses.map {
                FailoverStep(
                    name: "notify clients of \($0.address)", effect: .notifyLockClients(export, $0.address),
                    deadline: targets.deadlines.quick, isBestEffort: true)
            }
    }

    /// The steps of an orderly demotion, while the device answers.
    public static func demote(_ targets: FailoverTargets) -> [FailoverStep] {
        addressesOff(targets) + serverOff(targets) + unmounts(targets) + removals(targets) + [
            FailoverStep(
                name: "release", effect: .releaseGrant, deadline: targets.deadlines.quick, isBestEffort: true)
        ]
    }

    /// The steps when the grant is gone, or the device does not answer: there is no grant to release.
    public static func deposed(_ targets: FailoverTargets) -> [FailoverStep] {
        let failures = targets.volumes.map {
            FailoverStep(
                name: "fail \($0.name)", effect: .failDevice($0.name), deadline: targets.deadlines.quick)
        }
        return addressesOff(targets) + failures + serverOff(targets) + unmounts(targets) + removals(targets)
    }

    private static func serverOff(_ targets: FailoverTargets) -> [FailoverStep] {
        guard let export = targets.export else { return [] }
        let limit = targets.deadlines.server
        return [
            FailoverStep(name: "stop nfsd", effect: .stopServer, deadline: limit),
            FailoverStep(name: "withdraw \(export.path)", effect: .withdrawExport(export), deadline: limit),
        ]
            + (export.hasLockRecords
                ? [FailoverStep(name: "stop statd", effect: .stopLockRecords(export), deadline: limit)] : [])
            + [
                FailoverStep(name: "stop nfsdcld", effect: .stopClientRecords(export), deadline: limit)
            ]
    }

    private static func addressesOff(_ targets: FailoverTargets) -> [FailoverStep] {
        let limits = targets.deadlines
        let lowered = targets.addresses.reversed().map {
            FailoverStep(name: "lower \($0)", effect: .lowerAddress($0), deadline: limits.quick)
        }
        let destroyed = targets.addresses.reversed().map {
            FailoverStep(
                name: "disconnect \($0.address)", effect: .destroyConnections($0.address),
                deadline: limits.quick,
                isBestEffort: true)
        }
        return lowered + destroyed
    }

    private static func unmounts(_ targets: FailoverTargets) -> [FailoverStep] {
        targets.volumes.reversed().compactMap { volume in
            volume.mount.map {
                FailoverStep(
                    name: "unmount \(volume.name)", effect: .unmount(path: $0.path),
                    deadline: targets.deadlines.mount)
            }
        }
    }

    private static func removals(_ targets: FailoverTargets) -> [FailoverStep] {
        let volumes = targets.volumes.reversed().map(\.name)
        let limit = targets.deadlines.quick
        return volumes.map {
            FailoverStep(
                name: "unlink \($0)", effect: .unlinkDevice(group: targets.group, volume: $0), deadline: limit
            )
        }
            + volumes.map { FailoverStep(name: "detach \($0)", effect: .detachLoop($0), deadline: limit) }
            + volumes.map { FailoverStep(name: "close \($0)", effect: .closeVolume($0), deadline: limit) }
    }
}
