import Basics
import Glibc
import LinuxSystem
import SecureChannel
import Settings
import Synchronization
import Telemetry

/// How a data connection begins: one byte, then who it is for. A session begins with TLS's own first byte.
enum PeerPreface: UInt8 {
    /// Sealed: TLS follows, and inside it the group's name.
    case sealed = 0x44
    /// Plain: the token that the session gave follows, and the group's name.
    case plain = 0x50

    /// The first byte of a TLS record that carries a handshake.
    static let session: UInt8 = 0x16
    /// The listening side's answers to a greeting.
    static let welcome: UInt8 = 1
    static let notNow: UInt8 = 2
    /// A group's name has one byte for its length.
    static let nameMaximum = 64
}

// The connections of data, one a group.
extension PeerConnector {
    // MARK: the first node

    func dialData(_ address: SocketAddress) {
        while !stopping {
            wake.drain()
            let now = Instant.now()
            let due: [String] = state.withLock { state in
                guard state.isSessionUp else { return [] }
                return state.links.filter { $0.value.isAllowed && !$0.value.isUp && $0.value.retryAt <= now }
                    .keys.sorted()
            }
            for group in due { dial(group, address) }
            let next: Instant = state.withLock { state in
                guard state.isSessionUp else { return .never }
                return state.links.values.filter { $0.isAllowed && !$0.isUp }.map(\.retryAt).min() ?? .never
            }
            var poll = PollSet()
            poll.add(wake.descriptor.raw, .readable)
            do throws(SystemError) { try poll.wait(until: next) } catch { return }
        }
    }

    private func dial(_ group: String, _ address: SocketAddress) {
        do throws(PeerProblem) {
            let socket = try connect(group, address)
            state.withLock { state in
                state.links[group]?.isUp = true
                state.links[group]?.lastProblem = ""
            }
            deliver(group, .socket(socket))
        } catch {
            let isNew = state.withLock { state in
                defer {
                    state.links[group]?.lastProblem = error.text
                    state.links[group]?.retryAt = .now() + Self.retry
                }
                return state.links[group]?.lastProblem != error.text
            }
            if isNew, !stopping {
                context.journal.record(
                    "peer-data-refused", level: .warning, ["group": group, "reason": error.text])
            }
        }
    }

    private func connect(_ group: String, _ address: SocketAddress) throws(PeerProblem) -> PeerSocket {
        let deadline = Instant.now() + Self.greetingLimit
        let isSealed = context.settings.transport == .sealed
        let token = isSealed ? Mark.none : try agreeOnToken(group, deadline)
        var stream = try PeerStream(
            try begin(address, isSealed ? .sealed : .plain, deadline),
            channel: try channel(.client(context.key("data")), isSealed: isSealed))
        try stream.establish(deadline: deadline)
        var writer = ByteWriter(capacity: 96)
        if !isSealed { writer.write(token) }
        writer.write(UInt8(clamping: group.utf8.count))
        writer.write(Array(group.utf8))
        try stream.send(writer.bytes, deadline: deadline)
        guard try stream.receive(1, deadline: deadline) == [PeerPreface.welcome] else {
            throw PeerProblem(text: "the peer takes no connection for this group now")
        }
        return stream.finished()
    }

    private func begin(
        _ address: SocketAddress, _ preface: PeerPreface, _ deadline: Instant
    ) throws(PeerProblem) -> SocketStream {
        do throws(SystemError) {
            let stream = try SocketStream.connecting(to: address, options: Self.options)
            var poll = PollSet()
            poll.add(stream.descriptor.raw, .writable)
            guard try poll.wait(until: deadline) > 0 else {
                throw SystemError(operation: "connect to", subject: "\(address)", code: ETIMEDOUT)
            }
            try stream.finishConnecting(to: address)
            guard case .moved(1) = try stream.write([preface.rawValue][...]) else {
                throw SystemError(operation: "send to", subject: "\(address)", code: EAGAIN)
            }
            return stream
        } catch {
            throw PeerProblem(text: "\(error)")
        }
    }

    /// `transport: plain`: gives the peer a token on the session and waits until it has it.
    private func agreeOnToken(_ group: String, _ deadline: Instant) throws(PeerProblem) -> Mark {
        let token = state.withLock { state in
            state.taken.remove(group)
            return Mark(using: &state.generator)
        }
        send(.token(group: group, token))
        while !stopping, Instant.now() < deadline {
            if state.withLock({ $0.taken.contains(group) }) { return token }
            var poll = PollSet()
            poll.add(wake.descriptor.raw, .readable)
            do throws(SystemError) { try poll.wait(until: deadline) } catch {
                throw PeerProblem(text: "\(error)")
            }
            wake.drain()
        }
        throw PeerProblem(text: "the peer does not take the token for a plain connection")
    }

    private func channel(
        _ role: SecureChannel.Role, isSealed: Bool
    ) throws(PeerProblem) -> SecureChannel? {
        guard isSealed else { return nil }
        do throws(SecureChannelError) {
            return try SecureChannel(
                role: role, inputSize: VolumeLink.channelSize, outputSize: VolumeLink.channelSize)
        } catch {
            throw PeerProblem(text: "\(error)")
        }
    }

    // MARK: accepting

    func listen(_ own: PeerListener) {
        while !stopping {
            do throws(SystemError) {
                if let stream = try own.listener.accept(options: Self.options) {
                    // A crowd of strangers waits in the kernel's queue, and is dropped there.
                    guard runningThreads <= Self.greetingMaximum else { continue }
                    let guest = PeerGuest(stream)
                    try start("peer-greet") { [self] in greet(guest) }
                    continue
                }
                var poll = PollSet()
                poll.add(own.listener.descriptor.raw, .readable)
                poll.add(ending.descriptor.raw, .readable)
                try poll.wait(until: .never)
            } catch {
                complain("peer-listener-failed", "\(error)")
                pause(Self.retry)
            }
        }
    }

    private func greet(_ guest: PeerGuest) {
        guard let stream = guest.take() else { return }
        do throws(PeerProblem) {
            let deadline = Instant.now() + Self.greetingLimit
            let first = try peek(stream, deadline)
            if first == PeerPreface.session { return acceptSession(stream) }
            guard let preface = PeerPreface(rawValue: first), context.node == .second else {
                throw PeerProblem(text: "something else than a node of this cluster connected")
            }
            var byte: [UInt8] = []
            do throws(SystemError) { _ = try stream.read(appendingTo: &byte, limit: 1) } catch {
                throw PeerProblem(text: "\(error)")
            }
            guard (preface == .sealed) == (context.settings.transport == .sealed) else {
                throw PeerProblem(text: "the peer's transport differs from ours")
            }
            try accept(stream, preface, deadline)
        } catch {
            complain("peer-refused", error.text)
        }
    }

    private func accept(
        _ raw: consuming SocketStream, _ preface: PeerPreface, _ deadline: Instant
    ) throws(PeerProblem) {
        let isSealed = preface == .sealed
        var stream = try PeerStream(
            raw, channel: try channel(.server([context.key("data")]), isSealed: isSealed))
        try stream.establish(deadline: deadline)
        var expected: String?
        if !isSealed {
            var reader = ByteReader(try stream.receive(16, deadline: deadline))
            let token = reader.readMark()
            expected = state.withLock { $0.tokens.removeValue(forKey: token) }
            guard expected != nil else {
                throw PeerProblem(text: "a plain connection without the session's token")
            }
        }
        let count = Int(try stream.receive(1, deadline: deadline)[0])
        guard 1...PeerPreface.nameMaximum ~= count else { throw PeerProblem(text: "a group without a name") }
        let group = String(decoding: try stream.receive(count, deadline: deadline), as: UTF8.self)
        let isWelcome = state.withLock { state in
            state.isSessionUp && state.links[group]?.isAllowed == true
                && (expected == nil || expected == group)
        }
        try stream.send([isWelcome ? PeerPreface.welcome : PeerPreface.notNow], deadline: deadline)
        guard isWelcome else { return }
        state.withLock { $0.links[group]?.isUp = true }
        deliver(group, .socket(stream.finished()))
    }

    /// The first byte, left where it is.
    private func peek(_ stream: borrowing SocketStream, _ deadline: Instant) throws(PeerProblem) -> UInt8 {
        var poll = PollSet()
        poll.add(stream.descriptor.raw, .readable)
        do throws(SystemError) {
            guard try poll.wait(until: deadline) > 0 else {
                throw SystemError(operation: "wait for", subject: "a greeting", code: ETIMEDOUT)
            }
        } catch {
            throw PeerProblem(text: "\(error)")
        }
        var byte: UInt8 = 0
        guard recv(stream.descriptor.raw, &byte, 1, Int32(MSG_PEEK)) == 1 else {
            throw PeerProblem(text: "a connection that ended before it said anything")
        }
        return byte
    }
}
