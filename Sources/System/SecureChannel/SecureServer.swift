public import Basics
import Glibc
public import LinuxSystem

/// Accepts connections of messages and serves them all from one thread: what a witness needs.
///
/// At most `sessionLimit` at a time. Who has not proven a key within `handshakeLimit` is dropped, and gives way when
/// there is no place for a newcomer, so that a stranger who only connects cannot keep members out.
public final class SecureServer {
    /// Names a session for as long as this server lives; never used twice.
    public struct SessionID: Hashable, Sendable, CustomStringConvertible {
        let number: UInt64

        public var description: String { "session \(number)" }
    }

    /// What happened.
    public enum Event: Sendable, Equatable {
        /// A client has proven the key of this identity.
        case opened(SessionID, identity: String)
        /// A whole message of an open session.
        case message(SessionID, [UInt8])
        /// An open session has ended; its identifier means nothing from now on.
        case closed(SessionID, SecureConnectionError)
        /// Somebody connected who never got as far as `opened`.
        case refused(peer: String, SecureConnectionError)
    }

    private struct Session {
        let connection: SecureConnection
        let began: Instant
        var heard: Instant
        var isOpen = false
    }

    private let listener: SocketListener
    private let keys: [PresharedKey]
    private let options: SocketOptions
    private let sessionLimit: Int
    private let handshakeLimit: Interval
    private let idleLimit: Interval?
    private var sessions: [SessionID: Session] = [:]
    private var nextNumber: UInt64 = 1
    private var events: [Event] = []
    /// After a lack of descriptors or memory: no accepting before this.
    private var acceptsAgain = Instant(nanoseconds: 0)
    private var poll = PollSet()

    /// Serves `listener` with these keys. A session that has sent nothing for `idleLimit` is closed, if given.
    public init(
        _ listener: consuming SocketListener, keys: [PresharedKey], options: SocketOptions = SocketOptions(),
        sessionLimit: Int = 64, handshakeLimit: Interval = .seconds(5), idleLimit: Interval? = nil
    ) {
        self.listener = listener
        self.keys = keys
        self.options = options
        self.sessionLimit = sessionLimit
        self.handshakeLimit = handshakeLimit
        self.idleLimit = idleLimit
    }

    /// Where it listens.
    public var localAddress: SocketAddress? { listener.localAddress }

    /// How many have proven a key and are served.
    public var openSessions: Int { sessions.values.count { $0.isOpen } }

    /// Waits until something happens, until `deadline`, or until `wake` (an `EventCounter`'s descriptor, which the
    /// caller drains) is readable; returns what happened, in order, perhaps nothing.
    public func wait(until deadline: Instant, wake: Int32? = nil) throws(SystemError) -> [Event] {
        poll.removeAll()
        let now = Instant.now()
        poll.add(listener.descriptor.raw, now >= acceptsAgain ? .readable : [])
        let order = sessions.keys.sorted { $0.number < $1.number }
        for id in order {
            guard let connection = sessions[id]?.connection else { continue }
            poll.add(connection.descriptor, connection.interest)
        }
        if let wake { poll.add(wake, .readable) }
        try poll.wait(until: events.isEmpty ? min(deadline, nextLimit(after: now)) : now)
        for (place, id) in order.enumerated() where !poll.ready(at: place + 1).isEmpty { serve(id) }
        expire()
        if !poll.ready(at: 0).isEmpty { try acceptAll() }
        defer { events = [] }
        return events
    }

    /// Queues a message for an open session. False: the session has ended, or its client takes nothing in and is
    /// closed for it; a `closed` event follows.
    public func send(_ message: [UInt8], to id: SessionID) -> Bool {
        guard let session = sessions[id], session.isOpen else { return false }
        do {
            if try session.connection.enqueue(message) { return true }
            end(id, .timedOut("send to \(session.connection.peer)"))
        } catch {
            end(id, error)
        }
        return false
    }

    /// Ends an open session from our side; no event follows.
    public func close(_ id: SessionID) {
        sessions.removeValue(forKey: id)?.connection.close()
    }

    // MARK: The work

    private func serve(_ id: SessionID) {
        guard var session = sessions[id] else { return }
        do {
            let messages = try session.connection.exchange()
            if !session.isOpen, session.connection.isEstablished {
                session.isOpen = true
                events.append(.opened(id, identity: session.connection.identity ?? ""))
            }
            if !messages.isEmpty { session.heard = .now() }
            sessions[id] = session
            for message in messages { events.append(.message(id, message)) }
            if let failure = session.connection.failure { end(id, failure) }
        } catch {
            end(id, error)
        }
    }

    private func end(_ id: SessionID, _ reason: SecureConnectionError) {
        guard let session = sessions.removeValue(forKey: id) else { return }
        session.connection.close()
        events.append(
            session.isOpen ? .closed(id, reason) : .refused(peer: session.connection.peer, reason))
    }

    /// When a session first runs out of time; also when accepting may go on.
    private func nextLimit(after now: Instant) -> Instant {
        sessions.values.reduce(acceptsAgain > now ? acceptsAgain : .never) { min($0, limit(of: $1)) }
    }

    private func limit(of session: Session) -> Instant {
        guard session.isOpen else { return session.began + handshakeLimit }
        guard let idleLimit else { return .never }
        return session.heard + idleLimit
    }

    private func expire() {
        let now = Instant.now()
        for (id, session) in sessions where limit(of: session) <= now {
            let what = session.isOpen ? "hear from" : "shake hands with"
            end(id, .timedOut("\(what) \(session.connection.peer)"))
        }
    }

    private func acceptAll() throws(SystemError) {
        // As many as could have places: a flood of connections waits in the kernel's queue.
        for _ in 0..<sessionLimit {
            do {
                guard let stream = try listener.accept(options: options) else { return }
                admit(stream)
            } catch {
                guard Self.isShortage(error) else { throw error }
                dropOldestStranger()
                acceptsAgain = .now() + .milliseconds(100)
                return
            }
        }
    }

    private func admit(_ stream: consuming SocketStream) {
        if sessions.count >= sessionLimit && !dropOldestStranger() {
            let peer = stream.peerAddress.map { "\($0)" } ?? "a local process"
            events.append(.refused(peer: peer, .crowdedOut))
            return
        }
        do {
            let connection = try SecureConnection(accepted: stream, keys: keys)
            let id = SessionID(number: nextNumber)
            nextNumber += 1
            let now = Instant.now()
            sessions[id] = Session(connection: connection, began: now, heard: now)
            serve(id)
        } catch {
            events.append(.refused(peer: "a new connection", error))
        }
    }

    /// Drops the one that has kept us waiting longest for its proof; false when all have given it.
    @discardableResult
    private func dropOldestStranger() -> Bool {
        let strangers = sessions.filter { !$0.value.isOpen }
        guard let oldest = strangers.keys.min(by: { $0.number < $1.number }) else { return false }
        end(oldest, .crowdedOut)
        return true
    }

    /// Descriptors or memory are short: another try later may do.
    private static func isShortage(_ error: SystemError) -> Bool {
        [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(error.code)
    }
}
