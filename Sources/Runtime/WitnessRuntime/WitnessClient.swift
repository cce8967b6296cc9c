public import Basics
import LinuxSystem
public import Quorum
public import SecureChannel
public import Settings
public import WireFormat

/// One session with the witness for a command that asks and waits: `init`, `check`. Blocks; one thread.
public final class WitnessClient {
    private let connection: SecureConnection
    private let deadline: Instant

    /// Opens a session in the node's name and says hello; everything in it ends at `deadline`.
    public init(
        settings: Settings, node: NodeIndex, secret: ClusterSecret, deadline: Instant
    ) throws(WitnessError) {
        guard let place = settings.witness else { throw .notConfigured }
        guard let address = SocketAddress(host: "\(place.address)", port: place.port) else {
            throw .absentAddress("\(place.address)")
        }
        let key = WitnessAgreement.key(secret, cluster: settings.cluster, node: settings[node].name)
        self.deadline = deadline
        do throws(SecureConnectionError) {
            connection = try SecureConnection.connect(to: address, key: key, deadline: deadline)
        } catch {
            throw .session(error)
        }
        var random = SystemRandomNumberGenerator()
        let hello = WitnessHello(
            cluster: settings.clusterMark, node: node, life: Mark(using: &random))
        guard case .welcome = try ask(.hello(hello)) else { throw .unexpectedAnswer }
    }

    deinit { connection.close() }

    /// Sends a request and waits for its answer. A refusal is an error.
    public func ask(_ request: WitnessRequest) throws(WitnessError) -> WitnessAnswer {
        let bytes: [UInt8]
        do throws(SecureConnectionError) {
            try connection.send(WitnessAgreement.message(request.encoded()), deadline: deadline)
            bytes = try connection.receive(deadline: deadline)
        } catch {
            throw .session(error)
        }
        let answer: WitnessAnswer
        do throws(FrameError) { answer = try WitnessAnswer.decode(bytes) } catch { throw .unexpectedAnswer }
        if case .refusal(let reason, _, let text) = answer { throw .refused(reason, text: text) }
        return answer
    }

    /// The group's record; nil when there is none.
    public func read(_ group: String) throws(WitnessError) -> ArbiterRecord? {
        try record(of: group, .read(group: group))
    }

    /// Creates the first record, or does nothing when there is one; the record that stands.
    public func create(_ group: String, _ first: ArbiterRecord) throws(WitnessError) -> ArbiterRecord {
        guard let record = try record(of: group, .create(group: group, first)) else {
            throw .unexpectedAnswer
        }
        return record
    }

    private func record(of group: String, _ request: WitnessRequest) throws(WitnessError) -> ArbiterRecord? {
        guard case .record(let name, let record) = try ask(request), name == group else {
            throw .unexpectedAnswer
        }
        return record
    }
}
