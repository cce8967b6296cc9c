import Basics
import Election
import Failover
import Settings
import Telemetry

// The proxy behind the address: whether it serves, and what its operator wants.
extension NodeGroupLoop {
    /// Whether the other node's proxy has servers; where this one has none, it should have the address.
    var isPeerBetter: Bool { isPeerHeard && peerSign?.isPromotable == true && peerSign?.isHeld == false }

    /// Whether nothing is wrong with the proxy; true without one.
    var isServiceWhole: Bool { service.map { $0.state == .serving } ?? true }

    /// Asks when it is time, and gives the address up when it must.
    func watchService() {
        guard let before = service?.state else { return }
        if service?.wake(at: now) == true { asker?.ask() }
        serviceChanged(from: before, trouble: "it does not answer")
        guard plan.state == .primary, let service,
            service.mustGiveUp(isPeerBetter: isPeerBetter, at: now)
        else { return }
        note("step-down", .warning, "the proxy \(Self.words(service.state))")
        run(plan.handle(.demote, at: now))
    }

    /// The proxy was asked.
    func take(_ answer: ProxyAnswer) {
        guard let before = service?.state else { return }
        service?.answered(answer.answer, at: now)
        serviceChanged(from: before, trouble: answer.trouble ?? "")
        if let orders = answer.orders, orders != sentOrders, isPeerUp {
            sentOrders = orders
            peer.send(.orders(group: group.name, text: orders))
        }
        // One that has come back may have missed what the other's operator wants.
        if before == .gone || before == .unknown, answer.answer != .failed, let peerOrders {
            asker?.adopt(peerOrders)
        }
    }

    private func serviceChanged(from before: ServiceState, trouble: String) {
        guard let service, service.state != before else { return }
        obstacle =
            service.state == .gone
            ? "the proxy '\(group.proxy ?? "")' is gone (\(trouble)): start `tandem proxy` on \(context.name)"
            : nil
        let level = service.state == .serving ? JournalLevel.notice : .warning
        note("proxy", level, Self.words(service.state) + (trouble.isEmpty ? "" : ": \(trouble)"))
        nextSign = now
    }

    static func words(_ state: ServiceState) -> String {
        switch state {
        case .unknown: "has not answered yet"
        case .serving: "serves"
        case .empty: "has no server"
        case .gone: "is gone"
        }
    }

    /// For the status.
    var serviceText: String? {
        guard let service, service.state == .empty || service.state == .unknown else { return nil }
        return "the proxy '\(group.proxy ?? "")' \(Self.words(service.state))"
    }

    /// What the other node's operator wants of the proxy's servers.
    func takeOrders(_ text: String) {
        guard asker != nil else { return }
        peerOrders = text
        asker?.adopt(text)
    }
}
