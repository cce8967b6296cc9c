public import Basics

/// New settings for a pool that is at work.
extension BackendPool {
    /// One server of the new settings.
    public struct Arrival: Sendable {
        public var rules: ServerRules
        /// Where it is already, with the same name and address; nil for one that is new.
        public var place: Int?

        public init(rules: ServerRules, place: Int?) {
            self.rules = rules
            self.place = place
        }
    }

    /// Takes new settings. Servers that stay keep their place, health, counters, who is in service and what the operator
    /// wanted; new ones begin with their first check; whoever waits for one that is gone waits for any. `held` are the
    /// places that somebody still names, who is in service or not: no new server gets one of those.
    public mutating func reload(
        proxy: String, method: Method, servers arrivals: [Arrival], health: ServerHealth.Rules,
        queueLimit: Int,
        key: KeyedHash, held: Set<Int>, at now: Instant
    ) -> [Grant] {
        (self.method, self.queueLimit, self.key) = (method, queueLimit, key)
        var free = servers.indices.filter {
            servers[$0].isRemoved && servers[$0].active == 0 && !held.contains($0)
        }
        let staying = Set(arrivals.compactMap(\.place))
        let leaving = order.filter { !staying.contains($0) }
        for place in leaving { servers[place].isRemoved = true }
        order = arrivals.map { arrival in
            let rules = arrival.rules
            var server = Server(
                rules: rules, health: ServerHealth(rules: health, at: now),
                cookie: StickyCookie.number(proxy: proxy, server: rules.name, key: key),
                salt: key.hash(Array(rules.name.utf8)))
            if let place = arrival.place {
                (servers[place].rules, servers[place].cookie, servers[place].salt) = (
                    rules, server.cookie, server.salt
                )
                servers[place].health.adopt(health, at: now)
                return place
            }
            // The same name at another address: what the operator wanted was said of the name.
            if let old = leaving.first(where: { servers[$0].rules.name == rules.name }) {
                server.admin = servers[old].admin
            }
            if let place = free.popLast() {
                servers[place] = server
                return place
            }
            servers.append(server)
            return servers.count - 1
        }
        return leaving.reduce(into: []) { $0 += settle($1) } + dispatch()
    }
}
