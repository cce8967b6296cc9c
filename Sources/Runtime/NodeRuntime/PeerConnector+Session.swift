import Basics
import Election
import LinuxSystem
import SecureChannel
import Settings
import Synchronization
import Telemetry

// The session of messages between the nodes.
extension PeerConnector {
    static var options: SocketOptions { SocketOptions(userTimeout: .seconds(3)) }

    /// The first node: makes sessions, one after the other.
    func dialSessions(_ address: SocketAddress) {
        while !stopping {
            do throws(SecureConnectionError) {
                let connection = try SecureConnection.connect(
                    to: address, key: context.key("peer"), options: Self.options,
                    deadline: .now() + Self.greetingLimit)
                runSession(connection)
            } catch {
                complain("peer-unreachable", "\(error)")
            }
            pause(Self.retry)
        }
    }

    /// A session that was accepted: the first node's, or that of the other node's keeper.
    func acceptSession(_ stream: consuming SocketStream) {
        let keeper = context.keeperKey(from: context.node.peer)
        let keys = context.node == .second ? [context.key("peer"), keeper] : [keeper]
        do throws(SecureConnectionError) {
            let connection = try SecureConnection(accepted: stream, keys: keys)
            try connection.establish(deadline: .now() + Self.greetingLimit)
            if connection.identity == keeper.identity {
                try hearKeeper(connection)
            } else {
                runSession(connection)
            }
        } catch {
            complain("peer-refused", "\(error)")
        }
    }

    /// The other node's worker has died, and its keeper has lowered the addresses.
    private func hearKeeper(_ connection: SecureConnection) throws(SecureConnectionError) {
        let deadline = Instant.now() + Self.greetingLimit
        for _ in context.settings.groups {
            guard case .resigned(let group) = PeerMessage(try connection.receive(deadline: deadline)) else {
                return
            }
            context.journal.record("peer-resigned", ["group": group, "by": "its keeper"])
            deliver(group, .resigned)
        }
    }

    /// Compares the settings, then carries messages until the session ends or a newer one stands.
    private func runSession(_ connection: SecureConnection) {
        do throws(PeerProblem) {
            try greet(connection)
            let number = state.withLock { state in
                state.session += 1
                state.isSessionUp = true
                state.lastProblem = ""
                return state.session
            }
            context.journal.record("peer-connected", ["peer": context.peerName])
            _ = outbox.takeAll()
            deliver(nil, .up)
            wake.signal()
            let problem = serve(connection, number)
            connection.close()
            let wasNewest = state.withLock { state in
                guard state.session == number else { return false }
                state.isSessionUp = false
                return true
            }
            if wasNewest {
                if !stopping { context.journal.record("peer-lost", level: .warning, ["reason": problem]) }
                deliver(nil, .lost)
            }
        } catch {
            connection.close()
            complain("peer-refused", error.text)
        }
    }

    private func greet(_ connection: SecureConnection) throws(PeerProblem) {
        let own = context.settings.clusterHash()
        let hello = PeerMessage.hello(
            version: PeerMessage.version, node: context.node, settings: own, life: context.life)
        let answer = try exchange(hello, connection)
        guard case .hello(let version, let node, let settings, _) = answer, version == PeerMessage.version
        else {
            throw PeerProblem(text: "the peer speaks another version; run the same version on both nodes")
        }
        guard node == context.node.peer else {
            throw PeerProblem(
                text: "both nodes are started as \(context.name); one must say --node \(context.peerName)")
        }
        if settings == own { return }
        guard case .lines(let theirs) = try exchange(.lines(context.settings.canonicalLines), connection)
        else {
            throw PeerProblem(text: "the settings differ")
        }
        let difference = Settings.firstDifference(context.settings.canonicalLines, theirs)
        throw PeerProblem(
            text: "the settings differ: ours \(difference?.ours ?? "not set"),"
                + " theirs \(difference?.theirs ?? "not set")")
    }

    /// Says one thing and hears one.
    private func exchange(
        _ message: PeerMessage, _ connection: SecureConnection
    ) throws(PeerProblem) -> PeerMessage? {
        let deadline = Instant.now() + Self.greetingLimit
        do throws(SecureConnectionError) {
            try connection.send(message.encoded, deadline: deadline)
            return PeerMessage(try connection.receive(deadline: deadline))
        } catch {
            throw PeerProblem(text: "\(error)")
        }
    }

    /// Carries messages; why it ended.
    private func serve(_ connection: SecureConnection, _ number: UInt64) -> String {
        let silence = max(.milliseconds(1500), context.leaseProfile.holder)
        var heard = Instant.now()
        while !stopping {
            guard state.withLock({ $0.session }) == number else { return "a newer session took its place" }
            do throws(SecureConnectionError) {
                for message in outbox.takeAll() where try !connection.enqueue(message.encoded) {
                    return "the peer takes nothing any more"
                }
                for bytes in try connection.exchange() {
                    heard = .now()
                    guard let message = PeerMessage(bytes) else { return "a message that is none" }
                    take(message)
                }
            } catch {
                return "\(error)"
            }
            let now = Instant.now()
            if now >= heard + silence { return "silent for \(now.since(heard).wholeMilliseconds) ms" }
            var poll = PollSet()
            poll.add(connection.descriptor, connection.interest)
            poll.add(outbox.descriptor, .readable)
            do throws(SystemError) { try poll.wait(until: heard + silence) } catch { return "\(error)" }
        }
        return "stopped"
    }

    private func take(_ message: PeerMessage) {
        switch message {
        case .sign(let sign): deliver(sign.group, .sign(sign))
        case .confirmed(let group, let sequence): deliver(group, .confirmed(sequence: sequence))
        case .resigned(let group): deliver(group, .resigned)
        case .wanted(let group): deliver(group, .wanted)
        case .offered(let group): deliver(group, .offered)
        case .failed(let group, let text): deliver(group, .failed(text))
        case .orders(let group, let text): deliver(group, .orders(text))
        case .token(let group, let mark):
            state.withLock { state in
                state.tokens = state.tokens.filter { $0.value != group }
                state.tokens[mark] = group
            }
            send(.tokenTaken(group: group))
        case .tokenTaken(let group):
            _ = state.withLock { $0.taken.insert(group) }
            wake.signal()
        case .hello, .lines: break
        }
    }

    /// Waits for so long, or until `stop`.
    func pause(_ interval: Interval) {
        var poll = PollSet()
        poll.add(ending.descriptor.raw, .readable)
        // Without poll there is nothing to wait with; the caller tries again.
        _ = Result { () throws(SystemError) in try poll.wait(until: .now() + interval) }
    }
}
