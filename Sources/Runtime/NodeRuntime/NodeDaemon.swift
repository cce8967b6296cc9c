public import Basics
import ControlPlane
import Glibc
import LinuxSystem
public import Settings
import Synchronization
public import Telemetry

/// A node: volumes, elector, failover and control socket of one machine, under a keeper.
public enum NodeDaemon {
    /// Runs until SIGTERM or SIGINT, then leaves in order: hands over, or demotes.
    ///
    /// Call it before any thread was started. Throws one sentence when it cannot run; nothing is half done then. The
    /// calling process becomes the keeper; the worker is its child.
    /// `mistake` is for tests of the tests.
    public static func run(
        settings: Settings, node: NodeIndex, journal: Journal, break mistake: NodeBreak? = nil
    ) throws(NodeError) {
        try NodeStart.check(settings)
        let secret = try NodeStart.secret(settings.secretPath)
        let lock = try NodeStart.lock(settings, node)
        try NodeStart.checkAlone(settings, node)
        try removeRemains(settings, journal)
        try NodeStart.prepareServer(settings)
        let context = NodeContext(
            settings: settings, node: node, secret: secret,
            life: Mark(high: NodeStart.random(), low: NodeStart.random()), journal: journal,
            mistake: mistake)
        if let mistake { journal.record("deliberate-break", level: .warning, ["break": mistake.rawValue]) }
        try KeeperProcess.run(context) { () throws(NodeError) in try work(context) }
        withdrawExports(context)
        withExtendedLifetime(lock) {}
    }

    /// After an orderly end: what was exported here is so no more.
    private static func withdrawExports(_ context: NodeContext) {
        for group in context.settings.groups where group.export != nil {
            do throws(SystemError) { try ServerHands(context.settings, group).unpublish() } catch {
                context.journal.record(
                    "export-stays", level: .warning, ["group": group.name, "reason": "\(error)"])
            }
        }
    }

    /// What a dead predecessor left goes before the first packet; what cannot go is told, and the group is not
    /// started over it.
    private static func removeRemains(_ settings: Settings, _ journal: Journal) throws(NodeError) {
        let left = KeeperRemains.lowerAddresses(settings) + KeeperRemains.removeDevices(settings)
        KeeperRemains.removeRules(settings)
        guard left.isEmpty else {
            throw .refused("what a dead predecessor left cannot be removed: \(left.joined(separator: "; "))")
        }
        for group in settings.groups {
            guard let mount = group.mount else { continue }
            let other: String?
            do throws(SystemError) { other = try KeeperRemains.source(ofMountAt: mount.path) } catch {
                throw .system(error)
            }
            guard let other else { continue }
            journal.record(
                "mount-point-busy", level: .warning,
                [
                    "group": group.name, "path": mount.path, "mounted": other,
                    "effect": "no promotion until it is gone",
                ])
        }
    }

    /// The worker: everything that has threads.
    static func work(_ context: NodeContext) throws(NodeError) {
        let signals: SignalQueue
        do throws(SystemError) { signals = try SignalQueue([SIGTERM, SIGINT]) } catch { throw .system(error) }
        for failure in ProcessProtection.apply() {
            context.journal.record("protection-missing", level: .warning, ["reason": failure])
        }
        let worker = try NodeWorker(context)
        context.journal.record("node-started", ["node": context.name, "cluster": context.settings.cluster])
        var poll = PollSet()
        poll.add(signals.descriptor.raw, .readable)
        do throws(SystemError) {
            while try signals.next() == nil { try poll.wait(until: .never) }
        } catch {
            throw .system(error)
        }
        context.journal.record("node-ends", ["reason": "told to by a signal"])
        worker.end()
        context.journal.record("node-ended")
    }
}
