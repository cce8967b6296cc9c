import CLinux
import ControlPlane
import Failover
import Glibc
import HostServices
import LinuxSystem
import Settings
import Testing

@testable import NodeRuntime

/// A directory with somebody else's file system mounted on it, for the length of a test.
private func withForeignMount(_ body: (_ path: String, _ folder: String) throws -> Void) throws {
    let folder = "/dev/shm/tandem-hands-\(getpid())-\(NodeStart.random())"
    let path = "\(folder)/srv"
    try FileTree.makeDirectory(path, mode: 0o755)
    defer {
        rmdir(path)
        rmdir(folder)
    }
    guard clinux_mount("tmpfs", path, "tmpfs", 0, "size=1m") == 0 else {
        throw SystemError(operation: "mount tmpfs", subject: path, code: errno)
    }
    let outcome = Result { try body(path, folder) }
    _ = clinux_unmount(path)
    try outcome.get()
}

@Suite("what the failover performs")
struct FailoverHandsTests {
    @Test("a mount of somebody else is named, and stays when the promotion is undone")
    func foreignMount() throws {
        try withForeignMount { path, folder in
            let cluster = try NodeCluster(folder: folder, port: NodeCluster.port())
            let group = try #require(cluster.settings.groups.first)
            var hands = FailoverHands(settings: cluster.settings, group: group)
            let target = MountTarget(path: path, type: "ext4")
            let failure = hands.perform(.mount(volume: "data", target), cancel: -1)
            guard case .failed(let text)? = failure else {
                Issue.record("mounted over somebody else's file system: \(String(describing: failure))")
                return
            }
            #expect(text.contains(path))
            // What failed may be half done, so it is undone all the same.
            #expect(hands.perform(.unmount(path: path), cancel: -1) == nil)
            #expect(try MountTable.read().entry(at: path)?.type == "tmpfs")
        }
    }
}
