import Basics
import FuseDevice
import Glibc
import HostServices
import LinuxSystem
import Netlink
import Settings

/// What a dead worker leaves behind, and how it goes: address, NFS server, mount, loop device, FUSE mount, link, rules.
///
/// Used by the keeper when its worker has died, and by a node at its start, before the first packet.
enum KeeperRemains {
    /// Takes off the addresses of all groups and destroys their connections. First, and quick: clients must not reach
    /// a node without a worker. Returns what could not be done.
    static func lowerAddresses(_ settings: Settings) -> [String] {
        settings.groups.compactMap(\.address).flatMap { prefix in
            attempt("the address \(prefix)") { () throws(SystemError) in
                for found in try NetworkInterfaces.addresses() where found.prefix.address == prefix.address {
                    try NetworkInterfaces.lower(found.prefix, on: found.interface)
                }
            }
                + attempt("connections of \(prefix.address)") { () throws(SystemError) in
                    do throws(SystemError) { _ = try TCPConnections.destroy(of: prefix.address) } catch {
                        // A kernel without this: connections of an address that is gone time out.
                        guard error.code == EOPNOTSUPP else { throw error }
                    }
                }
        }
    }

    /// Removes mounts, loop devices and FUSE mounts of all groups. Returns what could not be done.
    static func removeDevices(_ settings: Settings) -> [String] {
        settings.groups.flatMap { group in removeDevices(settings, group) }
    }

    /// Removes the kernel's rules. Only when the addresses are gone: without rules nothing mutes them.
    static func removeRules(_ settings: Settings) {
        for group in settings.groups where group.address != nil {
            // Without nft there are no rules.
            _ = Result { () throws(SystemError) in try KernelLease.remove(group: group.name) }
        }
    }

    private static func removeDevices(_ settings: Settings, _ group: Settings.Group) -> [String] {
        guard let volume = group.volume else { return [] }
        let session = NodeContext.sessionPath(settings, group)
        let file = "\(session)/\(FuseSession.fileName)"
        var left: [String] = []
        let loops = LoopDevice.paths(named: file)
        if let export = NodeContext.exportTarget(settings, group) {
            left += ServerHands(settings, group).removeRemains(export)
        }
        if let mount = group.mount { left += unmount(mount.path, from: loops) }
        let link = NodeContext.linkPath(settings, group.name, volume.name)
        _ = unlink(link)
        for loop in loops {
            left += attempt(loop) { () throws(SystemError) in
                for entry in try MountTable.read().entries(from: loop) { detachLazily(entry.mountPoint) }
                try LoopDevice.detach(loop)
            }
        }
        left += attempt(session) { () throws(SystemError) in
            while try MountTable.read().entry(at: session) != nil {
                guard umount2(session, 0) != 0 else { continue }
                guard umount2(session, Int32(MNT_DETACH)) == 0 else {
                    throw SystemError(operation: "unmount", subject: session, code: errno)
                }
            }
        }
        return left
    }

    /// What is mounted on a directory; nil for nothing.
    static func source(ofMountAt path: String) throws(SystemError) -> String? {
        try MountTable.read().entry(at: path)?.source
    }

    /// A mount of ours, plainly; lazily as the last resort, since its device answers nothing but errors by now.
    private static func unmount(_ path: String, from loops: [String]) -> [String] {
        attempt(path) { () throws(SystemError) in
            guard let entry = try MountTable.read().entry(at: path) else { return }
            guard loops.contains(entry.source) else { return }
            do throws(SystemError) { try Mounting.unmount(path) } catch { detachLazily(path) }
        }
    }

    private static func detachLazily(_ path: String) { _ = umount2(path, Int32(MNT_DETACH)) }

    private static func attempt(_ what: String, _ body: () throws(SystemError) -> Void) -> [String] {
        do throws(SystemError) { try body() } catch { return ["\(what) (\(error))"] }
        return []
    }
}
