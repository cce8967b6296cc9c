import LinuxSystem

// New settings.
extension ProxyLoop {
    /// Goes on by new settings: all of them, or as if nothing had been asked. A listener whose address stays is never
    /// closed; what may fail comes before the first change.
    func reload(_ plan: ProxyPlan) throws(ProxyError) -> ProxyAddresses {
        let current = frontends.filter { !$0.isRetired }
        let kept = current.compactMap(\.listener) + [desk?.listener].compactMap(\.self)
        var listeners: [ProxyListener] = []
        // One's own before another's: two may have asked for port 0.
        func add(_ address: SocketAddress, own: ProxyListener?) throws(SystemError) {
            let known = ([own].compactMap(\.self) + kept).first { old in
                old.has(address) && !listeners.contains { $0 === old }
            }
            if let known { listeners.append(known) } else { listeners.append(try ProxyListener(address)) }
        }
        var newLogs: [ProxyConfiguration.Log: AccessLog] = [:]
        for configuration in plan.proxies {
            do throws(SystemError) {
                if newLogs[configuration.log] == nil {
                    newLogs[configuration.log] = try openLog(configuration.log)
                }
            } catch {
                throw .cannotLog(proxy: configuration.name, error)
            }
            let own = current.first { $0.configuration.name == configuration.name }?.listener
            do throws(SystemError) { try add(configuration.listen, own: own) } catch {
                throw .cannotListen(proxy: configuration.name, error)
            }
        }
        do throws(SystemError) {
            if let page = plan.statistics { try add(page.listen, own: desk?.listener) }
        } catch {
            throw .cannotListenForStatistics(error)
        }
        try watchNew(listeners)
        // Nothing fails from here on. Who has connected to an address that goes is still taken.
        for listener in kept where !listeners.contains(where: { $0 === listener }) {
            if let token = tokens[ObjectIdentifier(listener)] { acceptors[token]?.accept() }
            forget(listener)
        }
        swap(to: plan, listeners, newLogs, from: current)
        var addresses = ProxyAddresses()
        for (configuration, listener) in zip(plan.proxies, listeners) {
            addresses.proxies[configuration.name] = listener.listener.localAddress
        }
        addresses.statistics = desk?.listener.listener.localAddress
        return addresses
    }

    /// All of the new ones, or none.
    private func watchNew(_ listeners: [ProxyListener]) throws(ProxyError) {
        var begun: [ProxyListener] = []
        for listener in listeners where tokens[ObjectIdentifier(listener)] == nil {
            do throws(SystemError) {
                try watch(listener, for: NobodyAccepts())
                begun.append(listener)
            } catch {
                for listener in begun { forget(listener) }
                throw .system(error)
            }
        }
    }

    private func swap(
        to plan: ProxyPlan, _ listeners: [ProxyListener], _ newLogs: [ProxyConfiguration.Log: AccessLog],
        from current: [ProxyFrontend]
    ) {
        var held: [ObjectIdentifier: Set<Int>] = [:]
        forEachHold { held[ObjectIdentifier($0.frontend), default: []].formUnion($0.places) }
        for log in logs.values { log.flush() }
        logs = newLogs
        var next: [ProxyFrontend] = []
        for (configuration, listener) in zip(plan.proxies, listeners) {
            guard let log = logs[configuration.log] else { continue }
            let frontend: ProxyFrontend
            if let known = current.first(where: { $0.configuration.name == configuration.name }) {
                frontend = known
                frontend.listener = listener
                frontend.reload(configuration, log: log, held: held[ObjectIdentifier(frontend)] ?? [])
            } else {
                frontend = ProxyFrontend(configuration, listener, loop: self, log: log)
            }
            accept(on: listener, frontend)
            next.append(frontend)
        }
        for frontend in current where !next.contains(where: { $0 === frontend }) { frontend.retire() }
        frontends = frontends.filter(\.isRetired) + next
        swapDesk(to: plan.statistics, listeners.last)
        applyAdmin()
        for frontend in next { frontend.checkServers() }
        for acceptor in acceptors.values { acceptor.accept() }
    }

    /// The page keeps its key: an order on one that is open in a browser is still taken.
    private func swapDesk(to page: StatisticsConfiguration?, _ listener: ProxyListener?) {
        guard var page, let listener else { return desk = nil }
        if let desk { page.key = desk.key }
        let next = StatisticsDesk(page, listener, loop: self)
        desk = next
        accept(on: listener, next)
    }

    private func accept(on listener: ProxyListener, _ acceptor: any ProxyAcceptor) {
        if let token = tokens[ObjectIdentifier(listener)] { acceptors[token] = acceptor }
    }
}

/// Of a listener that is not in use yet.
private final class NobodyAccepts: ProxyAcceptor {
    func accept() {}
}
