import Basics
import ControlPlane
import LinuxSystem
import Settings
import Telemetry
import Synchronization

/// Answers the operator's verbs.
final class NodeControl: ControlHandler, Sendable {
    private let context: NodeContext
    private let groups: Mutex<[NodeGroup]> = Mutex([])

    private static let eventsShown = 8

    init(_ context: NodeContext) { self.context = context }

    func serve(_ groups: [NodeGroup]) { self.groups.withLock { $0 = groups } }

    func handle(_ request: ControlRequest, reply: @escaping @Sendable (ControlReply) -> Void) {
        if request.verb == "status" { return reply(.done(body: status(request.group))) }
        guard let verb = NodeVerb(rawValue: request.verb), verb != .leaveForNow else {
            return reply(.refused("'\(request.verb)' is no verb of a node"))
        }
        let all = groups.withLock { $0 }
        guard let group = request.group.map({ name in all.first { $0.name == name } }) ?? only(all) else {
            let names = all.map(\.name).joined(separator: ", ")
            let missing = request.group.map { "there is no group '\($0)'; there is \(names)" }
            return reply(.refused(missing ?? "say which group: \(names)"))
        }
        group.post(.verb(verb) { isDone, text in reply(ControlReply(isOK: isDone, message: text)) })
    }

    private func only(_ all: [NodeGroup]) -> NodeGroup? { all.count == 1 ? all.first : nil }

    private func status(_ name: String?) -> JSONValue {
        let all = groups.withLock { $0 }.filter { name == nil || $0.name == name }
        return NodeStatus(
            cluster: context.settings.cluster, node: context.name, peer: context.peerName,
            groups: all.map(\.status),
            events: context.journal.events(limit: Self.eventsShown).map(\.json)
        ).json
    }
}
