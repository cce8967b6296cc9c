import ControlPlane
import LinuxSystem
import Settings
import Synchronization

/// A running group: its thread, and the ways to talk with it. Any thread may.
final class NodeGroup: Sendable {
    let name: String
    let volume: Volume?
    private let inbox: NodeInbox<NodeGroupEvent>
    private let shared: NodeGroupShared
    private let performer: FailoverPerformer
    private let asker: ProxyAsker?
    private let thread = Mutex<NodeThread?>(nil)

    /// `makeVolume` is given where the volume's reports go.
    init(
        _ context: NodeContext, _ group: Settings.Group,
        makeVolume: (@escaping @Sendable (VolumeReport) -> Void) throws(NodeError) -> Volume?
    ) throws(NodeError) {
        name = group.name
        do throws(SystemError) {
            let inbox = try NodeInbox<NodeGroupEvent>()
            self.inbox = inbox
            asker = try group.proxy.map { name throws(SystemError) in
                try ProxyAsker(context.settings, proxy: name) { inbox.post(.service($0)) }
            }
            performer = try FailoverPerformer(context.settings, group, news: { inbox.post(.served($0)) }) {
                inbox.post(.performed($0, $1))
            }
        } catch {
            throw .system(error)
        }
        shared = NodeGroupShared(group.name)
        let inbox = inbox
        volume = try makeVolume { inbox.post(.volume($0)) }
    }

    /// Starts the thread.
    func start(
        _ context: NodeContext, _ group: Settings.Group, arbiter: ArbiterClient?, peer: PeerConnector
    ) throws(SystemError) {
        let (inbox, volume, performer, asker, shared) = (inbox, volume, performer, asker, shared)
        let thread = try NodeThread(name: "group") {
            NodeGroupLoop(
                context, group, inbox: inbox, volume: volume, arbiter: arbiter, peer: peer,
                performer: performer, asker: asker, shared: shared
            ).run()
        }
        self.thread.withLock { $0 = thread }
    }

    func post(_ event: NodeGroupEvent) { inbox.post(event) }

    /// As it was at most 100 ms ago.
    var status: GroupStatus { shared.status }

    /// Waits for the thread's end after `NodeVerb.leaveForNow` was answered, and ends the others.
    func join() {
        thread.withLock { $0 }?.join()
        performer.stop()
        asker?.stop()
        volume?.stop()
    }
}
