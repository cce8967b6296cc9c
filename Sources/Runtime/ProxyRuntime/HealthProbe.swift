import Basics
import HTTPFraming
import ProxyReport

/// One check of one server, from its connection to its verdict.
final class HealthProbe: ProxySocketOwner {
    private let frontend: ProxyFrontend
    private let server: Int
    /// What is asked: that of the settings when it began.
    private let check: ProxyConfiguration.Check
    private var socket: ProxySocket?
    private var asked = false
    private let begun: Instant
    private var parser: HeadParser

    init(_ frontend: ProxyFrontend, _ server: Int) {
        self.frontend = frontend
        self.server = server
        check = frontend.configuration.check
        begun = frontend.loop.now
        parser = HeadParser(.response, limits: frontend.configuration.limits)
    }

    func start() {
        socket = frontend.connect(
            to: server, owner: self, patience: frontend.configuration.timeouts.check)
        if socket == nil { end(.layer4Connection) }
    }

    func ready(_ socket: ProxySocket) {
        if !asked {
            guard let connected = socket.isConnected() else { return }
            guard connected else { return end(.layer4Connection) }
            guard case .http(let path, let host, _) = check else {
                return end(.layer4OK)
            }
            asked = true
            // Its answer has all of the time, as in HAProxy: a proxy that got no processor while the connection was made
            // would count its own delay against the server.
            socket.deadline = frontend.loop.now + frontend.configuration.timeouts.check
            let request =
                "GET \(path) HTTP/1.1\r\nHost: \(host)\r\nUser-Agent: tandem-check\r\nConnection: close\r\n\r\n"
            socket.output += Array(request.utf8)
        }
        socket.flush()
        socket.fill()
        guard case .http(_, _, let statuses) = check else { return }
        switch socket.withInput({ parser.push($0) }) {
        case .complete:
            let status = parser.head.status
            end(statuses.contains(status) ? .layer7OK : .layer7Status, code: status)
        case .refused: end(.layer7Response)
        case .incomplete: if socket.isAtEnd || socket.hasFailed { end(.layer7Response) }
        }
    }

    func hold(_ socket: ProxySocket) -> ProxyHold? { ProxyHold(frontend: frontend, places: [server]) }

    func expired(_ socket: ProxySocket) { end(asked ? .layer7Timeout : .layer4Timeout) }

    private func end(_ status: CheckResult.Status, code: Int? = nil) {
        if let socket { frontend.loop.close(socket) }
        socket = nil
        let duration = frontend.loop.now.since(begun)
        frontend.checked(server, CheckResult(status, code: code, duration: duration))
    }
}
