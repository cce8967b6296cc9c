import Basics
import ControlPlane
import LinuxSystem
import Settings
import Synchronization
import Telemetry

/// Everything of a node that has threads, started in order and ended in reverse.
final class NodeWorker {
    private let context: NodeContext
    private let control: NodeControl
    private let server: ControlServer
    private let serverThread: NodeThread
    private let arbiter: ArbiterClient?
    private let peer: PeerConnector
    private let groups: [NodeGroup]
    private let left: NodeCountdown

    /// How long the groups may take to leave: a flush and an unmount of all that is dirty.
    private static let leaveLimit = Interval.seconds(90)

    init(_ context: NodeContext) throws(NodeError) {
        self.context = context
        let settings = context.settings
        let control = NodeControl(context)
        self.control = control
        do throws(ControlError) {
            server = try ControlServer(
                path: settings.controlSocketPath, journal: context.journal, handler: control)
        } catch {
            throw .refused("\(error)")
        }
        var made: [NodeGroup] = []
        do throws(NodeError) {
            for group in settings.groups {
                made.append(
                    try NodeGroup(context, group) { report throws(NodeError) in
                        guard let volume = group.volume else { return nil }
                        return try NodeStart.volume(context, group, volume, report: report)
                    })
            }
        } catch {
            Self.abandon(made)
            throw error
        }
        groups = made
        let all = made
        do throws(SystemError) {
            left = try NodeCountdown(left: made.count)
            peer = try PeerConnector(context) { name, news in
                for group in all where name == nil || group.name == name { group.post(.peer(news)) }
            }
        } catch {
            Self.abandon(made)
            throw NodeStart.words(error, listeningAs: settings[context.node])
        }
        do throws(SystemError) {
            if let witness = settings.witness {
                arbiter = try ArbiterClient(context, witness: witness) { name, news in
                    for group in all where name == nil || group.name == name { group.post(.arbiter(news)) }
                }
            } else {
                arbiter = nil
            }
            for (group, made) in zip(settings.groups, all) {
                try made.start(context, group, arbiter: arbiter, peer: peer)
            }
            control.serve(all)
            let server = server
            serverThread = try NodeThread(name: "control") { server.run() }
        } catch {
            Self.abandon(made)
            throw .system(error)
        }
    }

    /// Ends the threads of groups that nobody will run: a thread is waited for when its owner goes.
    private static func abandon(_ groups: [NodeGroup]) {
        for group in groups {
            group.post(.verb(.leaveForNow) { _, _ in })
            group.join()
        }
    }

    /// Leaves in order: each group hands over or demotes, then all threads end.
    func end() {
        let left = left
        for group in groups { group.post(.verb(.leaveForNow) { _, _ in left.countDown() }) }
        left.wait(until: .now() + Self.leaveLimit)
        arbiter?.stop()
        peer.stop()
        for group in groups { group.join() }
        server.stop()
        serverThread.join()
    }
}

/// Waits until several have answered.
final class NodeCountdown: Sendable {
    private let left: Mutex<Int>
    private let wake: EventCounter

    init(left: Int) throws(SystemError) {
        wake = try EventCounter()
        self.left = Mutex(left)
    }

    func countDown() {
        left.withLock { $0 -= 1 }
        wake.signal()
    }

    func wait(until deadline: Instant) {
        while left.withLock({ $0 }) > 0, Instant.now() < deadline {
            var poll = PollSet()
            poll.add(wake.descriptor.raw, .readable)
            do throws(SystemError) { try poll.wait(until: deadline) } catch { return }
            wake.drain()
        }
    }
}
