import Basics
import Election
import LinuxSystem
import Quorum
import SecureChannel
import Settings
import Synchronization
import Telemetry
import WireFormat

/// What the witness says to one group.
enum ArbiterNews: Sendable {
    /// A session stands; what an earlier one left unanswered was dropped by the witness.
    case up
    case lost
    /// No session can be made: why.
    case unreachable(String)
    case record(ArbiterRecord?)
    case answer(identifier: Mark, ArbiterAnswer)
    case renewed(sequence: UInt64, confirmed: Bool)
    /// The witness does not serve this group: why, for the journal.
    case refused(String)
}

/// The session with the witness: one thread that connects, says hello, carries messages, and connects again.
///
/// It decides nothing: groups send, and are told what came. A message sent while no session stands is dropped; who
/// needs an answer sends it again at `up`. A session on which nothing was heard for `silence` is ended.
final class ArbiterClient: Sendable {
    private let context: NodeContext
    private let address: SocketAddress
    private let inbox: NodeInbox<WitnessRequest>
    private let isStopping = Atomic<Bool>(false)
    private let deliver: @Sendable (_ group: String?, ArbiterNews) -> Void
    private let thread = Mutex<NodeThread?>(nil)

    private static let retry = Interval.milliseconds(300)
    private static let greetingLimit = Interval.seconds(2)

    /// Starts it. `deliver` is called on its thread, with nil for every group.
    init(
        _ context: NodeContext, witness: Settings.Witness,
        deliver: @escaping @Sendable (_ group: String?, ArbiterNews) -> Void
    ) throws(SystemError) {
        self.context = context
        address = try NodeContext.socketAddress(witness.address, witness.port)
        inbox = try NodeInbox()
        self.deliver = deliver
        let thread = try NodeThread(name: "arbiter") { [self] in run() }
        self.thread.withLock { $0 = thread }
    }

    /// Sends a message if a session stands.
    func send(_ request: WitnessRequest) { inbox.post(request) }

    /// Ends the session and the thread.
    func stop() {
        isStopping.store(true, ordering: .relaxed)
        inbox.post(.list)
        thread.withLock { $0 }?.join()
    }

    private var silence: Interval { max(.seconds(1), context.leaseProfile.holder) }

    private func run() {
        var lastProblem = ""
        while !isStopping.load(ordering: .relaxed) {
            do throws(ArbiterProblem) {
                let connection = try connect()
                lastProblem = ""
                context.journal.record("witness-connected", ["address": address])
                // What was said to no session is gone; what `up` makes groups say is not.
                _ = inbox.takeAll()
                deliver(nil, .up)
                let problem = serve(connection)
                connection.close()
                deliver(nil, .lost)
                if !isStopping.load(ordering: .relaxed) {
                    context.journal.record("witness-lost", level: .warning, ["reason": problem])
                }
            } catch {
                // The same trouble every 0.3 s is one line.
                if error.text != lastProblem {
                    context.journal.record("witness-unreachable", level: .warning, ["reason": error.text])
                    deliver(nil, .unreachable(error.text))
                }
                lastProblem = error.text
            }
            pause()
        }
    }

    private func connect() throws(ArbiterProblem) -> SecureConnection {
        let key = context.secret.key(
            cluster: context.settings.cluster, purpose: "witness", client: context.name, server: "witness")
        let deadline = Instant.now() + Self.greetingLimit
        let answer: [UInt8]
        let connection: SecureConnection
        do throws(SecureConnectionError) {
            connection = try .connect(
                to: address, key: key, options: SocketOptions(userTimeout: .seconds(3)), deadline: deadline)
            let hello = WitnessHello(
                cluster: context.settings.clusterMark, node: context.node,
                life: context.life)
            try connection.send(Self.message(.hello(hello)), deadline: deadline)
            answer = try connection.receive(deadline: deadline)
        } catch {
            throw ArbiterProblem(text: "\(error)")
        }
        switch Self.decoded(answer) {
        case .welcome: return connection
        case .refusal(_, _, let text): throw ArbiterProblem(text: "it refuses: \(text)")
        default: throw ArbiterProblem(text: "what answers there speaks another language")
        }
    }

    /// Carries messages until the session ends; why it did.
    private func serve(_ connection: SecureConnection) -> String {
        var heard = Instant.now()
        while !isStopping.load(ordering: .relaxed) {
            do throws(SecureConnectionError) {
                for request in inbox.takeAll() where try !connection.enqueue(Self.message(request)) {
                    return "it takes nothing any more"
                }
                for message in try connection.exchange() {
                    heard = .now()
                    guard let answer = Self.decoded(message) else { return "a message that is none" }
                    take(answer)
                }
            } catch {
                return "\(error)"
            }
            let now = Instant.now()
            if now >= heard + silence { return "silent for \(now.since(heard).wholeMilliseconds) ms" }
            var poll = PollSet()
            poll.add(connection.descriptor, connection.interest)
            poll.add(inbox.descriptor, .readable)
            do throws(SystemError) { try poll.wait(until: heard + silence) } catch { return "\(error)" }
        }
        // What was said last, such as a release, still leaves.
        for request in inbox.takeAll() {
            guard
                case .success(true) = Result(catching: { () throws(SecureConnectionError) in
                    try connection.enqueue(Self.message(request))
                })
            else { break }
        }
        return "stopped"
    }

    private func take(_ answer: WitnessAnswer) {
        switch answer {
        case .record(let group, let record): deliver(group, .record(record))
        case .answer(let group, let identifier, let answer):
            deliver(group, .answer(identifier: identifier, answer))
        case .renewed(let group, let sequence, let confirmed, _):
            deliver(group, .renewed(sequence: sequence, confirmed: confirmed))
        case .refusal(_, let group, let text): deliver(group.isEmpty ? nil : group, .refused(text))
        case .welcome, .groups: break
        }
    }

    private func pause() {
        var poll = PollSet()
        poll.add(inbox.descriptor, .readable)
        let end = Instant.now() + Self.retry
        while !isStopping.load(ordering: .relaxed), Instant.now() < end {
            do throws(SystemError) { try poll.wait(until: end) } catch { return }
            _ = inbox.takeAll()
        }
    }

    /// The connection puts the length before a message itself.
    static func message(_ request: WitnessRequest) -> [UInt8] {
        Array(request.encoded().dropFirst(WitnessMessage.prefixByteCount))
    }

    static func decoded(_ message: [UInt8]) -> WitnessAnswer? {
        do throws(FrameError) { return try WitnessAnswer.decode(message) } catch { return nil }
    }
}

/// Why there is no session.
struct ArbiterProblem: Error {
    var text: String
}

extension NodeContext {
    /// An address of the settings as sockets take it.
    static func socketAddress(_ address: Settings.IPAddress, _ port: UInt16) throws(SystemError)
        -> SocketAddress
    {
        guard let found = SocketAddress(host: "\(address)", port: port) else {
            throw SystemError(operation: "read the address", subject: "\(address)", code: 22)
        }
        return found
    }
}
