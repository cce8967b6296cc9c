public import Balancing
public import Basics

/// One choice of a server, or why there was none: what `tandem proxy explain` tells.
public struct Choice: Sendable, Equatable {
    /// What became of the request.
    public enum Outcome: Sendable, Equatable {
        case placed(server: [UInt8], BackendPool.Reason)
        /// It waits for a place.
        case waits
        case queueFull
        case noServer(BackendPool.Shortage)
        /// The kept connection ended before an answer; the same server gets it once more.
        case sentAgain(server: [UInt8])
    }

    public var at: Instant
    /// The client's address and port as text.
    public var client: [UInt8]
    /// What its cookie was worth; nil where the proxy sets none.
    public var cookie: BackendPool.CookieVerdict?
    /// The server that has just failed it.
    public var failed: [UInt8]?
    public var outcome: Outcome

    public init(
        at: Instant, client: [UInt8], cookie: BackendPool.CookieVerdict?, failed: [UInt8]?, outcome: Outcome
    ) {
        self.at = at
        self.client = client
        self.cookie = cookie
        self.failed = failed
        self.outcome = outcome
    }
}

/// The last choices of one proxy, in memory that is taken once.
public struct ChoiceRing: Sendable {
    /// How many are kept.
    public static let size = 256

    private var choices: [Choice] = []
    private var next = 0

    public init() { choices.reserveCapacity(Self.size) }

    /// Keeps one more; the oldest goes.
    public mutating func note(_ choice: Choice) {
        if choices.count < Self.size {
            choices.append(choice)
        } else {
            choices[next] = choice
        }
        next = next + 1 == Self.size ? 0 : next + 1
    }

    /// The last ones, oldest first.
    public func last(_ count: Int) -> [Choice] {
        let ordered = choices.count < Self.size ? choices : Array(choices[next...] + choices[..<next])
        return Array(ordered.suffix(max(0, count)))
    }
}

extension Choice {
    /// One plain sentence, without the time.
    public var sentence: String {
        let who = String(decoding: client, as: UTF8.self)
        return "\(who) \(told); \(why)"
    }

    private var told: String {
        switch outcome {
        case .placed(let server, _): "-> \(Self.text(server))"
        case .sentAgain(let server): "-> \(Self.text(server)) once more"
        case .waits: "waits"
        case .queueFull, .noServer: "was refused (503)"
        }
    }

    private var why: String {
        let reason =
            switch outcome {
            case .placed(let server, let reason): Self.words(reason, Self.text(server))
            case .waits: "every server that may have it is at its limit, or others wait already"
            case .queueFull: "every server is at its limit and the queue is full"
            case .noServer(let shortage): Self.words(shortage)
            case .sentAgain:
                "its kept connection ended before a byte of the answer, and the request may be repeated"
            }
        let failure = failed.map { "\(Self.text($0)) could not be reached (redispatch): " } ?? ""
        guard let note = cookieNote else { return failure + reason }
        return failure + note + reason
    }

    /// What must be said of the cookie before the reason.
    private var cookieNote: String? {
        if case .sentAgain = outcome { return nil }
        switch cookie {
        case nil: return nil
        case .some(.none): return "no cookie, so: "
        case .invalid: return "its cookie names no server of ours, so: "
        case .down: return "the server of its cookie is down or in maintenance, so: "
        case .valid:
            // The cookie's server failed, or it waits for it.
            if case .placed(_, .sticky) = outcome { return nil }
            return failed == nil ? "its cookie is valid: " : nil
        }
    }

    private static func words(_ reason: BackendPool.Reason, _ server: String) -> String {
        switch reason {
        case .turn(let among): return "its turn in roundrobin among \(count(among, "server"))"
        case .leastLoaded(let active, let among):
            let load = active == 0 ? "none" : "\(active)"
            return "leastconn: \(server) had \(load) in service, the fewest for its weight among "
                + count(among, "server")
        case .sticky: return "its cookie is valid"
        case .source(let among): return "source: the hash of its address, among \(count(among, "server"))"
        case .backup: return "no other server may be chosen, and \(server) is the first backup"
        case .queued: return "it had waited, and a place became free"
        }
    }

    private static func words(_ shortage: BackendPool.Shortage) -> String {
        let parts = [
            (shortage.down, "down"), (shortage.unresolved, "without an address"),
            (shortage.checking, "waiting for the first check"), (shortage.maintenance, "in maintenance"),
            (shortage.drain, "draining"), (shortage.weightless, "of weight 0"),
        ]
        let said = parts.filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }
        return "no server may be chosen: " + (said.isEmpty ? "there is none" : said.joined(separator: ", "))
    }

    private static func count(_ number: Int, _ word: String) -> String {
        number == 1 ? "1 \(word)" : "\(number) \(word)s"
    }

    private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
}
