import Basics
public import Election
import Glibc
import LinuxSystem
import Quorum
import SecureChannel
public import Settings
public import Telemetry
import WireFormat

/// The witness: keeps the record of each group, and says who may write.
///
/// One thread runs it, from `init` to the end of `run`. It decides nothing itself: `Quorum.Witness` does. What it
/// adds: a grant is durable before it is told, and a request whose session has ended is dropped.
public final class WitnessDaemon {
    /// Nodes and their one-shot commands; more than two nodes need, and few enough to poll.
    static let sessionMaximum = 64
    /// A node renews several times a second; who says nothing for so long is gone.
    static let idleLimit = Interval.seconds(15)

    /// A session whose node has said hello.
    struct Session {
        let node: NodeIndex
        let life: Mark
    }

    /// A change that waits until both nodes were heard (`after-restart: both`).
    struct Waiting {
        let session: SecureServer.SessionID
        let group: String
        let request: ArbiterRequest
    }

    let settings: Settings
    let journal: Journal
    let remote: WitnessRemote
    let profile: LeaseProfile
    let cluster: UInt64
    let life: Mark
    let store: WitnessStore
    let server: SecureServer
    var groups: [String: WitnessGroupState] = [:]
    /// Who has proven a key, by its identity, and said hello.
    var identities: [SecureServer.SessionID: String] = [:]
    var sessions: [SecureServer.SessionID: Session] = [:]
    var waiting: [Waiting] = []
    var random = SystemRandomNumberGenerator()
    private var nextRefusalLine = Instant(nanoseconds: 0)

    /// Reads secret and records and opens the port: all that can be wrong is said here. `disk` is for tests.
    public init(
        settings: Settings, journal: Journal, remote: WitnessRemote, disk: WitnessDisk = WitnessDisk()
    ) throws(WitnessError) {
        guard let place = settings.witness else { throw .notConfigured }
        self.settings = settings
        self.journal = journal
        self.remote = remote
        profile = settings.lease.profile
        cluster = settings.clusterMark
        life = Mark(using: &random)
        let secret: ClusterSecret
        do throws(SecretFileError) { secret = try SecretFile.load(settings.secretPath) } catch {
            throw .secret(error)
        }
        // The port first: it is what people know of a second witness.
        let listener = try Self.listen("\(place.address)", place.port)
        store = try WitnessStore(
            directory: settings.stateDirectory + "/witness", cluster: cluster, disk: disk)
        server = SecureServer(
            listener, keys: WitnessAgreement.keys(secret, settings),
            sessionLimit: Self.sessionMaximum, idleLimit: Self.idleLimit)
        for group in settings.groups { _ = try state(of: group.name) }
    }

    private static func listen(_ host: String, _ port: UInt16) throws(WitnessError) -> SocketListener {
        guard let address = SocketAddress(host: host, port: port) else { throw .absentAddress(host) }
        do throws(SystemError) { return try SocketListener(tcp: address) } catch {
            switch error.code {
            case EADDRINUSE: throw .portInUse("\(address)")
            case EADDRNOTAVAIL: throw .absentAddress(host)
            default: throw .system(error)
            }
        }
    }

    /// Serves until the remote says stop.
    public func run() throws(WitnessError) {
        journal.record("witness-started", ["address": server.localAddress.map { "\($0)" } ?? ""])
        while true {
            let (orders, isStopping) = remote.takeAll()
            for order in orders { order.reply(answer(order.request)) }
            if isStopping { break }
            let events: [SecureServer.Event]
            do throws(SystemError) {
                events = try server.wait(until: .never, wake: remote.descriptor)
            } catch {
                throw .system(error)
            }
            handle(events)
        }
        journal.record("witness-ended")
    }

    /// A batch of what happened. A request whose session has ended in the same batch is dropped: its asker will
    /// never see the answer and asks again.
    private func handle(_ events: [SecureServer.Event]) {
        let ended = Set(
            events.compactMap { if case .closed(let id, _) = $0 { id } else { nil } })
        for event in events {
            switch event {
            case .opened(let id, let identity): identities[id] = identity
            case .message(let id, let bytes):
                if ended.contains(id) { continue }
                receive(bytes, from: id)
            case .closed(let id, let reason): forget(id, "\(reason)")
            case .refused(let peer, let reason): noteRefusal(peer, "\(reason)")
            }
        }
    }

    private func forget(_ id: SecureServer.SessionID, _ reason: String) {
        waiting.removeAll { $0.session == id }
        identities[id] = nil
        guard let session = sessions.removeValue(forKey: id) else { return }
        journal.record("session-ended", ["node": settings[session.node].name, "reason": reason])
    }

    /// A stranger can knock as often as it likes: one line a second is enough.
    private func noteRefusal(_ peer: String, _ reason: String) {
        guard Instant.now() >= nextRefusalLine else { return }
        nextRefusalLine = .now() + .seconds(1)
        journal.record("session-refused", level: .warning, ["peer": peer, "reason": reason])
    }

    /// The group's state, from the disk when it is asked for the first time.
    func state(of name: String) throws(WitnessError) -> WitnessGroupState {
        if let known = groups[name] { return known }
        let stored = try store.load(name)
        let state = WitnessGroupState(name: name, stored: stored, promise: profile.promise, at: .now())
        groups[name] = state
        if let stored {
            journal.record(
                "record-read",
                [
                    "group": name, "epoch": stored.record.epoch, "grant": stored.record.grant,
                    "holder": settings[stored.record.holder].name, "copies": names(stored.record.copies),
                ])
        }
        return state
    }

    /// Names of nodes, for a line.
    func names(_ nodes: NodeSet) -> String {
        NodeIndex.allCases.filter { nodes.contains($0) }.map { settings[$0].name }.joined(separator: ",")
    }
}

extension Settings.Lease {
    /// The times that the word stands for.
    public var profile: LeaseProfile {
        switch self {
        case .fast: .fast
        case .normal: .normal
        case .slow: .slow
        }
    }
}
