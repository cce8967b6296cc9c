import Basics
import Election
import LinuxSystem
import Quorum
import SecureChannel
import Settings
import Telemetry
import WireFormat

extension WitnessDaemon {
    /// One message of a session.
    func receive(_ bytes: [UInt8], from id: SecureServer.SessionID) {
        let request: WitnessRequest
        do throws(FrameError) { request = try WitnessRequest.decode(bytes) } catch {
            let reason: WitnessRefusal =
                switch error {
                case .unsupportedVersion, .unsupportedFeatures: .unsupportedVersion
                default: .malformed
                }
            return refuse(id, reason, "\(error)")
        }
        if case .hello(let hello) = request { return greet(hello, id) }
        guard let session = sessions[id] else {
            return refuse(id, .unexpected, "something came before hello")
        }
        serve(request, session, id)
    }

    private func greet(_ hello: WitnessHello, _ id: SecureServer.SessionID) {
        guard sessions[id] == nil else { return refuse(id, .unexpected, "a second hello") }
        guard hello.cluster == cluster else {
            return refuse(id, .wrongCluster, "the node belongs to another cluster than \(settings.cluster)")
        }
        // The key says who it is: a node cannot speak for the other one.
        let name = settings[hello.node].name
        let proven = "\(settings.cluster)/\(WitnessAgreement.purpose)/\(name)/\(WitnessAgreement.name)"
        guard identities[id] == proven else {
            return refuse(id, .unexpected, "the session's key is not that of \(name)")
        }
        // What this life left in a session that it has given up must not be served after what it sends now.
        for (other, session) in sessions where session.node == hello.node && session.life == hello.life {
            server.close(other)
            waiting.removeAll { $0.session == other }
            sessions[other] = nil
            identities[other] = nil
        }
        sessions[id] = Session(node: hello.node, life: hello.life)
        send(.welcome(life: life), to: id)
        journal.record("session-opened", ["node": name])
    }

    private func serve(_ request: WitnessRequest, _ session: Session, _ id: SecureServer.SessionID) {
        switch request {
        case .hello: break
        case .list:
            let list = groups.values.sorted { $0.name < $1.name }.map {
                WitnessGroup(
                    name: $0.name, record: $0.machine.record, isRolledBack: $0.machine.isRolledBack)
            }
            send(.groups(list), to: id)
        case .read(let name): withGroup(name, id) { send(.record(group: name, $0.machine.record), to: id) }
        case .change(let name, let change):
            withGroup(name, id) { self.change(&$0, change, session, id) }
            serveWaiting(name)
        case .renew(let name, let renewal):
            withGroup(name, id) { renew(&$0, renewal, session, id) }
            serveWaiting(name)
        case .create(let name, let record):
            withGroup(name, id) { state in
                let isNew = state.machine.record == nil
                update(&state, id, asker: nil) { _ = $0.create(record) }
                if isNew { noteRecord("record-created", state, by: session.node) }
            }
        case .told(let name, let record): withGroup(name, id) { told(&$0, record, session, id) }
        case .release(let name, let epoch, let grant):
            withGroup(name, id) { state in
                if let record = state.machine.record, record.epoch == epoch, record.grant == grant,
                    record.holder == session.node
                {
                    state.machine.released(by: session.node)
                    journal.record(
                        "lease-released",
                        ["group": name, "node": settings[session.node].name, "epoch": epoch])
                }
                send(.record(group: name, state.machine.record), to: id)
            }
        }
    }

    /// Calls `body` with the group's state, read from the disk when it was not known yet, and keeps what it makes
    /// of it.
    private func withGroup(
        _ name: String, _ id: SecureServer.SessionID, _ body: (inout WitnessGroupState) -> Void
    ) {
        guard groups[name] != nil || groups.count < WitnessMessage.groupMaximum else {
            return refuseGroup(name, id, .tooManyGroups, "as many groups as a witness keeps are here already")
        }
        var state: WitnessGroupState
        do throws(WitnessError) { state = try self.state(of: name) } catch {
            journal.record("record-unreadable", level: .error, ["group": name, "reason": error])
            return refuseGroup(name, id, .storageFailed, "\(error)")
        }
        body(&state)
        groups[name] = state
    }

    /// Changes the machine, makes the record durable and answers with it; when the disk fails, the change is undone.
    private func update(
        _ state: inout WitnessGroupState, _ id: SecureServer.SessionID, asker: NodeIndex?,
        _ body: (inout Witness) -> Void
    ) {
        let before = state.machine
        body(&state.machine)
        guard keep(&state, before: before, asker: asker) else {
            return refuseGroup(state.name, id, .storageFailed, "the record could not be made durable")
        }
        send(.record(group: state.name, state.machine.record), to: id)
    }

    /// Makes what the machine holds durable, if it differs from the disk. False: the disk failed, and the machine is
    /// what it was before.
    private func keep(_ state: inout WitnessGroupState, before: Witness, asker: NodeIndex?) -> Bool {
        guard let file = state.file(cluster: cluster, asker: asker), file != state.stored else { return true }
        do throws(SystemError) {
            try store.store(file)
            state.stored = file
            return true
        } catch {
            state.machine = before
            journal.record("record-not-stored", level: .error, ["group": state.name, "reason": error])
            return false
        }
    }

    private func change(
        _ state: inout WitnessGroupState, _ request: ArbiterRequest, _ session: Session,
        _ id: SecureServer.SessionID
    ) {
        guard request.asker == session.node else {
            return refuseGroup(state.name, id, .malformed, "a node asked in the other one's name")
        }
        if settings.witness?.afterRestart == .both, state.heard != .both {
            // Not refused: a refusal is for good, and the other node may be heard in a moment.
            waiting.removeAll { $0.session == id && $0.request.identifier == request.identifier }
            waiting.append(Waiting(session: id, group: state.name, request: request))
            return
        }
        decide(&state, request, id)
    }

    private func decide(
        _ state: inout WitnessGroupState, _ request: ArbiterRequest, _ id: SecureServer.SessionID
    ) {
        let before = state.machine
        let answer = state.machine.decide(request, mark: Mark(using: &random), at: .now())
        guard keep(&state, before: before, asker: request.asker) else {
            return refuseGroup(state.name, id, .storageFailed, "the grant could not be made durable")
        }
        send(.answer(group: state.name, identifier: request.identifier, answer), to: id)
        switch answer {
        case .granted:
            if before.record != state.machine.record {
                noteRecord("granted", state, by: request.asker, "\(request.purpose)")
            }
        case .refused(let reason, _):
            journal.record(
                "refused", level: .warning,
                [
                    "group": state.name, "node": settings[request.asker].name,
                    "purpose": "\(request.purpose)",
                    "reason": "\(reason)",
                ])
        }
    }

    /// Decides on what waited for both nodes, once both were heard.
    private func serveWaiting(_ name: String) {
        guard var state = groups[name], state.heard == .both else { return }
        let ready = waiting.filter { $0.group == name }
        waiting.removeAll { $0.group == name }
        for one in ready { decide(&state, one.request, one.session) }
        groups[name] = state
    }

    private func renew(
        _ state: inout WitnessGroupState, _ renewal: LeaseRenewal, _ session: Session,
        _ id: SecureServer.SessionID
    ) {
        let record = state.machine.record
        let isCurrent = record?.epoch == renewal.epoch && record?.grant == renewal.grant
        state.heard.insert(NodeSet(session.node))
        state.machine.heard(
            session.node, isRestarted: renewal.isRestarted, holding: isCurrent ? renewal.epoch : 0, at: .now()
        )
        let confirmed = isCurrent && record?.holder == session.node && !state.machine.isRolledBack
        send(
            .renewed(
                group: state.name, sequence: renewal.sequence, confirmed: confirmed,
                lease: confirmed ? profile.holder : Interval(nanoseconds: 0)), to: id)
    }

    private func told(
        _ state: inout WitnessGroupState, _ record: ArbiterRecord, _ session: Session,
        _ id: SecureServer.SessionID
    ) {
        let wasRolledBack = state.machine.isRolledBack
        state.told[session.node] = record
        update(&state, id, asker: nil) { $0.told(record) }
        if state.machine.isRolledBack, !wasRolledBack {
            journal.record(
                "rolled-back", level: .error,
                [
                    "group": state.name, "told-by": settings[session.node].name, "told-epoch": record.epoch,
                    "own-epoch": state.machine.record?.epoch ?? 0,
                    "remedy": "tandem witness reseed \(state.name)",
                ])
        }
    }

    // MARK: Answers

    private func send(_ answer: WitnessAnswer, to id: SecureServer.SessionID) {
        // False: the session is over, and a request of an ended session needs no answer.
        _ = server.send(WitnessAgreement.message(answer.encoded()), to: id)
    }

    /// Refuses one group's message; the session goes on.
    private func refuseGroup(
        _ name: String, _ id: SecureServer.SessionID, _ reason: WitnessRefusal, _ text: String
    ) {
        send(.refusal(reason, group: name, text: text), to: id)
    }

    /// Refuses the session and ends it.
    private func refuse(_ id: SecureServer.SessionID, _ reason: WitnessRefusal, _ text: String) {
        send(.refusal(reason, group: "", text: text), to: id)
        server.close(id)
        waiting.removeAll { $0.session == id }
        identities[id] = nil
        let node = sessions.removeValue(forKey: id).map { settings[$0.node].name } ?? "unknown"
        journal.record("session-refused", level: .warning, ["node": node, "reason": text])
    }

    private func noteRecord(
        _ name: String, _ state: WitnessGroupState, by node: NodeIndex, _ purpose: String = ""
    ) {
        guard let record = state.machine.record else { return }
        journal.record(
            name,
            [
                "group": state.name, "node": settings[node].name, "purpose": purpose, "epoch": record.epoch,
                "grant": record.grant, "holder": settings[record.holder].name, "copies": names(record.copies),
            ])
    }
}
