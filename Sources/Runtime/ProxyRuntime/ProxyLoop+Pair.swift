import Balancing
import ControlPlane
import Telemetry

// What the node of this machine asks: whether to leave the address here, and what the operator wants of the pair.
extension ProxyLoop {
    /// How many servers each proxy could use now, and the operator's orders.
    var health: JSONValue {
        [
            "proxies": .array(
                frontends.filter { !$0.isRetired }.map { frontend in
                    [
                        "name": .string(frontend.configuration.name),
                        "servers": .count(frontend.pool.order.count { frontend.pool.servers[$0].mayServe }),
                    ]
                }),
            "orders": .string(admin.text),
        ]
    }

    /// Takes over what was ordered later at the other proxy of the pair.
    func adopt(_ text: String, _ reply: @escaping @Sendable (ControlReply) -> Void) {
        let other: ProxyAdmin
        do throws(ProxyAdminError) { other = try ProxyAdmin(text: text) } catch {
            return reply(.refused("orders that are none: \(error.reason)"))
        }
        let changed = admin.merge(other)
        for name in changed.sorted(by: { "\($0)" < "\($1)" }) {
            journal.record("server-ordered-there", ["server": name, "state": admin[name].state.rawValue])
        }
        guard !changed.isEmpty else { return reply(.done()) }
        applyAdmin()
        guard let store else { return reply(.done()) }
        store.save(admin) { failure in
            reply(failure.map { .refused("a restart will forget it: \($0)") } ?? .done())
        }
    }
}
