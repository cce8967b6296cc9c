import Balancing
import Basics
import ControlPlane
import LinuxSystem
import ProxyReport
import Settings
import Telemetry

// The verbs of the control socket.
extension ProxyLoop {
    /// A server that a verb names.
    struct Target {
        let frontend: ProxyFrontend
        let place: Int
        var name: ProxyAdmin.Name {
            ProxyAdmin.Name(
                proxy: frontend.configuration.name, server: frontend.pool.servers[place].rules.name)
        }
    }

    /// Why a verb names nothing: one sentence.
    struct Unknown: Error {
        let message: String
    }

    private var serving: [ProxyFrontend] { frontends.filter { !$0.isRetired } }

    func answer(_ request: ControlRequest, _ reply: @escaping @Sendable (ControlReply) -> Void) {
        let name = request.arguments.first ?? ""
        do throws(Unknown) {
            switch request.verb {
            case "status": reply(.done(body: status))
            case "health": reply(.done(body: health))
            case "adopt": adopt(name, reply)
            case "left": reply(.done(body: left(at: try target(name))))
            case "drain": change(try target(name), reply) { $0.state = .drain }
            case "maintenance": change(try target(name), reply) { $0.state = .maintenance }
            case "ready": change(try target(name), reply) { $0.state = .ready }
            case "weight": try setWeight(of: try target(name), request.arguments.dropFirst().first, reply)
            default:
                let verbs = [
                    "status", "left", "drain", "maintenance", "ready", "weight", "reload", "events", "log",
                    "explain",
                ]
                reply(
                    .refused(
                        "the proxy does not know '\(request.verb)'\(Settings.hint(for: request.verb, in: verbs))"
                    ))
            }
        } catch {
            reply(.refused(error.message))
        }
    }

    /// `PROXY/SERVER`; or `SERVER`, where only one proxy has one of that name.
    func target(_ text: String) throws(Unknown) -> Target {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map(
            String.init)
        guard parts.count == 2 else {
            let found = serving.compactMap { frontend in
                frontend.place(of: text).map { Target(frontend: frontend, place: $0) }
            }
            if found.count == 1 { return found[0] }
            let names = (found.isEmpty ? allTargets : found).map { "\($0.name)" }
            let hint =
                found.isEmpty
                ? Settings.hint(for: text, in: names + allTargets.map(\.name.server))
                : "; say which: \(names.joined(separator: ", "))"
            throw Unknown(message: "no one server is called '\(text)'\(hint)")
        }
        let proxies = serving.map(\.configuration.name)
        guard let frontend = serving.first(where: { $0.configuration.name == parts[0] }) else {
            throw Unknown(
                message: "no proxy is called '\(parts[0])'\(Settings.hint(for: parts[0], in: proxies))")
        }
        guard let place = frontend.place(of: parts[1]) else {
            let servers = frontend.pool.order.map { frontend.pool.servers[$0].rules.name }
            throw Unknown(
                message: "the proxy '\(parts[0])' has no server called '\(parts[1])'"
                    + Settings.hint(for: parts[1], in: servers))
        }
        return Target(frontend: frontend, place: place)
    }

    private var allTargets: [Target] {
        serving.flatMap { frontend in
            frontend.pool.order.map { Target(frontend: frontend, place: $0) }
        }
    }
}

// What the operator wants.
extension ProxyLoop {
    /// What the operator wants of a server, from the page; false when there is none of that name.
    func setAdmin(_ state: BackendPool.AdminState, proxy: String, server: String) -> Bool {
        do throws(Unknown) {
            let journal = journal
            change(try target("\(proxy)/\(server)")) { reply in
                guard !reply.isOK else { return }
                journal.record("admin-state-unwritten", level: .warning, ["reason": reply.message])
            } _: {
                $0.state = state
            }
            return true
        } catch {
            return false
        }
    }

    private func setWeight(
        of target: Target, _ text: String?, _ reply: @escaping @Sendable (ControlReply) -> Void
    ) throws(Unknown) {
        let settings = settingsWeight(of: target)
        if text == "settings" { return change(target, reply) { $0.weight = nil } }
        guard let text, let weight = ProxyAdmin.weight(text) else {
            throw Unknown(
                message: "a weight is a whole number from 0 to 256, or 'settings', found '\(text ?? "")'")
        }
        change(target, reply) {
            $0.weight = weight == settings ? nil : ProxyAdmin.Weight(value: weight, over: settings)
        }
    }

    private func settingsWeight(of target: Target) -> Int {
        let name = target.name.server
        return target.frontend.configuration.servers.first { $0.rules.name == name }?.rules.weight ?? 0
    }

    /// Changes what is wanted of a server now, and answers when that is on the disk.
    private func change(
        _ target: Target, _ reply: @escaping @Sendable (ControlReply) -> Void,
        _ body: (inout ProxyAdmin.Entry) -> Void
    ) {
        let name = target.name
        var entry = admin[name]
        body(&entry)
        if entry != admin[name] {
            admin.order(entry, of: name)
            journal.record(
                "server-ordered",
                [
                    "server": name, "state": entry.state.rawValue,
                    "weight": entry.weight?.value ?? settingsWeight(of: target),
                ])
        }
        apply(entry, to: target)
        let sentence = sentence(about: target)
        guard let store else { return reply(.done(sentence)) }
        store.save(admin) { failure in
            guard let failure else { return reply(.done(sentence)) }
            reply(.refused("\(sentence); but a restart will forget it: \(failure)"))
        }
    }

    private func apply(_ entry: ProxyAdmin.Entry, to target: Target) {
        let (frontend, place) = (target.frontend, target.place)
        if frontend.pool.servers[place].admin != entry.state { frontend.setAdmin(entry.state, of: place) }
        let weight = entry.weight?.value ?? settingsWeight(of: target)
        if frontend.pool.servers[place].rules.weight != weight { frontend.setWeight(weight, of: place) }
    }

    private func sentence(about target: Target) -> String {
        let server = target.frontend.pool.servers[target.place]
        let service = "\(server.active) in service, weight \(server.rules.weight)"
        switch server.admin {
        case .ready: return "\(target.name) is ready: \(server.health.state.rawValue), \(service)"
        case .drain: return "\(target.name) drains: \(service); nobody new, except who brings its cookie"
        case .maintenance: return "\(target.name) is in maintenance: \(service)"
        }
    }

    /// After a start and after new settings: what was wanted of the servers that are there is wanted still. Settings win
    /// over what is older than they are.
    func applyAdmin() {
        var kept = ProxyAdmin()
        for target in allTargets {
            var entry = admin[target.name]
            if let weight = entry.weight, weight.over != settingsWeight(of: target) {
                entry.weight = nil
                journal.record(
                    "weight-forgotten",
                    ["server": target.name, "weight": weight.value, "settings": settingsWeight(of: target)])
            }
            kept.keep(entry, of: target.name, from: admin)
            apply(entry, to: target)
        }
        for name in admin.entries.keys where kept.entries[name] == nil {
            guard !allTargets.contains(where: { $0.name == name }) else { continue }
            journal.record(
                "order-forgotten", ["server": name, "reason": "the settings do not name it"])
        }
        guard kept != admin else { return }
        admin = kept
        let journal = journal
        store?.save(kept) { failure in
            guard let failure else { return }
            journal.record("admin-state-unwritten", level: .warning, ["reason": failure])
        }
    }
}

// What is told.
extension ProxyLoop {
    /// Who is left at a server: in service, and those whose kept connection goes back to it by its cookie.
    private func left(at target: Target) -> JSONValue {
        var clients: [String: (service: Int, returning: Int)] = [:]
        forEachHold { hold in
            guard hold.frontend === target.frontend, let client = hold.client else { return }
            if hold.inService == target.place { clients[client.host, default: (0, 0)].service += 1 }
            if hold.inService == nil, hold.returning == target.place {
                clients[client.host, default: (0, 0)].returning += 1
            }
        }
        let server = target.frontend.pool.servers[target.place]
        let quiet =
            server.active > 0 ? 0 : now.since(target.frontend.servers[target.place].lastUse).wholeMilliseconds
        return [
            "server": .string("\(target.name)"), "admin": .string(server.admin.rawValue),
            "inService": .count(server.active),
            "returning": .count(clients.values.reduce(0) { $0 + $1.returning }),
            "isSticky": .boolean(!target.frontend.cookieName.isEmpty), "quietMilliseconds": .count(quiet),
            "clients": .array(
                clients.sorted { $0.key < $1.key }.map {
                    [
                        "address": .string($0.key), "inService": .count($0.value.service),
                        "returning": .count($0.value.returning),
                    ]
                }),
        ]
    }

    /// The rows of the statistics page, and the proxies that only finish.
    private var status: JSONValue {
        let rows = Result { () throws(JSONError) in
            try JSONValue.decode(Array(snapshot().table.json.utf8), limit: ControlReply.lineMaximum)
        }
        guard case .success(let rows) = rows else { return .null }
        return [
            "clients": .count(clientCount), "rows": rows,
            "finishing": .array(
                frontends.filter(\.isRetired).map {
                    ["proxy": .string($0.configuration.name), "clients": .count($0.clientCount)]
                }),
        ]
    }
}
