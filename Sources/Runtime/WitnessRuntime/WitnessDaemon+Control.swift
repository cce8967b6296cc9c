import Basics
import ControlPlane
import LinuxSystem
import Quorum
import Settings
import Telemetry
import WireFormat

extension WitnessDaemon {
    /// Answers a request of the control socket.
    func answer(_ request: ControlRequest) -> ControlReply {
        switch request.verb {
        case "status": .done(body: statusBody)
        case "reseed": reseed(request)
        default: .refused("the witness knows status, events and reseed; `\(request.verb)` is for a node")
        }
    }

    private var statusBody: JSONValue {
        [
            "cluster": .string(settings.cluster),
            "witness": .string(settings.witness.map { "\($0.address)" } ?? ""),
            "sessions": .array(
                sessions.values.map(\.node.rawValue).sorted().compactMap { NodeIndex(rawValue: $0) }.map {
                    .string(settings[$0].name)
                }),
            "groups": .array(groups.values.sorted { $0.name < $1.name }.map { status(of: $0) }),
        ]
    }

    private func status(of state: WitnessGroupState) -> JSONValue {
        let record = state.machine.record.map { record in
            GroupStatus.Record(
                epoch: record.epoch, grant: "\(record.grant)", holder: settings[record.holder].name,
                copies: NodeIndex.allCases.filter { record.copies.contains($0) }.map { settings[$0].name })
        }
        return [
            "group": .string(state.name), "record": record?.json ?? .null,
            "rolled_back": .boolean(state.machine.isRolledBack),
        ]
    }

    /// `reseed GROUP`: the highest record that both connected nodes told; `reseed GROUP --force NODE`: that node's.
    private func reseed(_ request: ControlRequest) -> ControlReply {
        guard let name = request.group, var state = groups[name] else {
            return .refused("there is no group '\(request.group ?? "")'")
        }
        let record: ArbiterRecord
        if let forced = request.arguments.first {
            guard let node = settings.nodeIndex(named: forced), let told = state.told[node] else {
                return .refused(
                    "\(forced) has told no record of \(name): start `tandem node` there and try again")
            }
            record = told
        } else {
            switch state.recordToReseed() {
            case .success(let highest): record = highest
            case .failure(let refusal): return .refused("\(name): \(refusal.text)")
            }
        }
        state.machine.reseed(record)
        guard let file = state.file(cluster: cluster, asker: nil) else { return .refused("nothing to store") }
        do throws(SystemError) { try store.store(file) } catch {
            return .refused("the record could not be stored, nothing has changed: \(error)")
        }
        state.stored = file
        groups[name] = state
        journal.record(
            "record-reseeded", level: .warning,
            ["group": name, "epoch": record.epoch, "grant": record.grant, "copies": names(record.copies)])
        return .done("\(name): the record is epoch \(record.epoch), holder \(settings[record.holder].name)")
    }
}
