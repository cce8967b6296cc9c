import Basics
import ControlPlane

/// What can be known of the moment when a client found something that should not be: what the proxy says of its
/// servers and of its last choices, and whether the servers had a processor.
final class LoadEvidence: Sendable {
    /// One server as the proxy sees it.
    struct Server: Sendable, Equatable {
        /// "web/web1"
        var name: String
        var isUp: Bool
        /// How often it went down.
        var downs: Int
        /// How its last check ended.
        var check: String
    }

    /// As long as a check of the settings may take: a server whose thread got no processor for that long could not
    /// answer, and the proxy is right to take it for down.
    static let checkTimeout = Interval.milliseconds(1500)
    /// Two checks that fail, one after the other, and the pauses around them.
    static let reach = Interval.seconds(6)

    private let socketPath: String
    private let logPath: String
    private let origins: [LoadOrigin]

    /// `socketPath` is the proxy's control socket, `logPath` what it writes of its own accord.
    init(socketPath: String, logPath: String, origins: [LoadOrigin]) {
        (self.socketPath, self.logPath, self.origins) = (socketPath, logPath, origins)
    }

    /// Every server of every proxy; empty when the proxy does not answer.
    var servers: [Server] {
        rows.compactMap { row in
            guard row["type"].integer == 2, let proxy = row["pxname"].string, let name = row["svname"].string
            else { return nil }
            return Server(
                name: "\(proxy)/\(name)", isUp: row["status"].string?.hasPrefix("UP") == true,
                downs: Int(row["chkdown"].integer ?? 0), check: row["last_chk"].string ?? "none")
        }
    }

    /// The servers that got no processor for as long as a check may take, in the last `span` or shortly before it.
    func starved(within span: Interval = .seconds(0)) -> [String] {
        let reach = Interval(nanoseconds: Self.reach.nanoseconds + span.nanoseconds)
        return origins.filter { $0.absence(within: reach) >= Self.checkTimeout }.map(\.name)
    }

    /// All of it as lines, for a finding.
    func text(ofClient port: Int?) -> String {
        var lines = servers.map {
            "\($0.name) \($0.isUp ? "up" : "down"), \($0.downs) times down, \($0.check)"
        }
        lines += origins.map {
            "\($0.name) is \($0.health), two of its turns took \($0.absence(within: Self.reach).text) at most"
        }
        lines += (TextFile.read(logPath) ?? "").split(separator: "\n").suffix(6).map(String.init)
        if let port { lines += choices.filter { $0.contains(":\(port) ") }.suffix(4) }
        return lines.map { "\n    \($0)" }.joined()
    }

    private var rows: [JSONValue] { ask(ControlRequest(verb: "status"))?["rows"].elements ?? [] }

    private var choices: [String] {
        ask(ControlRequest(verb: "explain", arguments: ["256"]))?.elements.compactMap(\.string) ?? []
    }

    private func ask(_ request: ControlRequest) -> JSONValue? {
        let deadline = LabClock.now() + .seconds(5)
        let reply = Result { () throws(ControlError) in
            try ControlClient.call(socketPath, request, deadline: deadline)
        }
        guard case .success(let reply) = reply, reply.isOK else { return nil }
        return reply.body
    }
}
