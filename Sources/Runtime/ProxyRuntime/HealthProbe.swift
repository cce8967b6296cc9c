import Basics
import HTTPFraming

/// One check of one server, from its connection to its verdict.
final class HealthProbe: ProxySocketOwner {
    private let frontend: ProxyFrontend
    private let server: Int
    /// What is asked: that of the settings when it began.
    private let check: ProxyConfiguration.Check
    private var socket: ProxySocket?
    private var asked = false
    private var parser: HeadParser

    init(_ frontend: ProxyFrontend, _ server: Int) {
        self.frontend = frontend
        self.server = server
        check = frontend.configuration.check
        parser = HeadParser(.response, limits: frontend.configuration.limits)
    }

    func start() {
        socket = frontend.connect(
            to: server, owner: self, patience: frontend.configuration.timeouts.check)
        if socket == nil { end(passed: false) }
    }

    func ready(_ socket: ProxySocket) {
        if !asked {
            guard let connected = socket.isConnected() else { return }
            guard connected else { return end(passed: false) }
            guard case .http(let path, let host, _) = check else {
                return end(passed: true)
            }
            asked = true
            let request =
                "GET \(path) HTTP/1.1\r\nHost: \(host)\r\nUser-Agent: tandem-check\r\nConnection: close\r\n\r\n"
            socket.output += Array(request.utf8)
        }
        socket.flush()
        socket.fill()
        guard case .http(_, _, let statuses) = check else { return }
        switch socket.withInput({ parser.push($0) }) {
        case .complete: end(passed: statuses.contains(parser.head.status))
        case .refused: end(passed: false)
        case .incomplete: if socket.isAtEnd || socket.hasFailed { end(passed: false) }
        }
    }

    var hold: ProxyHold? { ProxyHold(frontend: frontend, places: [server]) }

    func expired(_ socket: ProxySocket) { end(passed: false) }

    private func end(passed: Bool) {
        if let socket { frontend.loop.close(socket) }
        socket = nil
        frontend.checked(server, passed: passed)
    }
}
