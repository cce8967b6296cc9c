public import Basics
public import ControlPlane

/// Who is left at a server that shall become empty: what `tandem proxy drain --until-empty` waits by.
///
/// Empty is a server that has nobody in service, to whom no kept connection of a client goes back by its cookie, and to
/// whom nobody has come for a while: a client that has its cookie and no connection is seen only when it comes.
public struct ProxyRemainder: Sendable, Equatable {
    /// One client's address.
    public struct Client: Sendable, Equatable {
        public var address: String
        public var inService: Int
        public var returning: Int
    }

    /// How long nobody must have come, where a cookie brings clients back and nothing else is asked for.
    public static let stickyQuiet = Interval.seconds(10)

    public var server: String
    /// Drain or maintenance; somebody may have made it ready again.
    public var isLeaving: Bool
    public var inService: Int
    public var returning: Int
    public var isSticky: Bool
    /// Since when nobody has come.
    public var quiet: Interval
    public var clients: [Client]

    /// The body of the answer to `left`; nil when it is none.
    public init?(_ body: JSONValue) {
        guard let server = body["server"].string, let inService = body["inService"].integer,
            let returning = body["returning"].integer, let quiet = body["quietMilliseconds"].integer
        else { return nil }
        self.server = server
        isLeaving = body["admin"].string != "ready"
        self.inService = Int(inService)
        self.returning = Int(returning)
        isSticky = body["isSticky"].boolean ?? false
        self.quiet = .milliseconds(UInt64(max(0, quiet)))
        clients = body["clients"].elements.map {
            Client(
                address: $0["address"].string ?? "?", inService: Int($0["inService"].integer ?? 0),
                returning: Int($0["returning"].integer ?? 0))
        }
    }

    /// Whether nobody is left; `quiet` is how long nobody must have come, nil for what fits the proxy.
    public func isEmpty(quiet wanted: Interval?) -> Bool {
        inService == 0 && returning == 0
            && quiet >= wanted ?? (isSticky ? Self.stickyQuiet : .milliseconds(0))
    }

    /// One line for the operator.
    public var sentence: String {
        guard inService + returning > 0 else {
            return "\(server): nobody in service, for \(quiet.wholeMilliseconds / 1000) s now"
        }
        let shown = clients.prefix(10).map { client in
            let count = client.inService + client.returning
            return count > 1 ? "\(client.address) (\(count))" : client.address
        }
        let more = clients.count > shown.count ? " and \(clients.count - shown.count) more" : ""
        return "\(server): \(inService) in service"
            + (returning > 0 ? ", \(returning) connected with its cookie" : "")
            + ": \(shown.joined(separator: ", "))\(more)"
    }
}
