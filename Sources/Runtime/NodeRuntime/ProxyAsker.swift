import Basics
import ControlPlane
import Election
import LinuxSystem
import Settings
import Synchronization

/// What a group's proxy has answered.
struct ProxyAnswer: Sendable, Equatable {
    var answer: ServiceAnswer
    /// Why it counts as gone; nil when it does not.
    var trouble: String?
    /// What its operator wants of its servers, as its file has it.
    var orders: String?
}

/// Asks the proxy of this machine over its control socket, on a thread of its own: it may hang, and the group must not.
final class ProxyAsker: Sendable {
    private enum Order: Sendable {
        case ask
        case adopt(String)
        case stop
    }

    /// The most that a question takes: the elector has stopped waiting by then.
    private static let limit = Interval.seconds(2)

    private let path: String
    private let proxy: String
    private let orders: NodeInbox<Order>
    private let report: @Sendable (ProxyAnswer) -> Void
    private let thread = Mutex<NodeThread?>(nil)

    init(
        _ settings: Settings, proxy: String, report: @escaping @Sendable (ProxyAnswer) -> Void
    ) throws(SystemError) {
        path = settings.proxySocketPath
        self.proxy = proxy
        self.report = report
        orders = try NodeInbox()
        let thread = try NodeThread(name: "proxy") { [self] in run() }
        self.thread.withLock { $0 = thread }
    }

    /// Asks once, and reports.
    func ask() { orders.post(.ask) }

    /// Hands it what the operator wants at the other node's proxy. What it does not take it is handed again when it has
    /// been gone.
    func adopt(_ text: String) { orders.post(.adopt(text)) }

    func stop() {
        orders.post(.stop)
        thread.withLock { $0.take() }?.join()
    }

    private func run() {
        var poll = PollSet()
        poll.add(orders.descriptor, .readable)
        while true {
            for order in orders.takeAll() {
                switch order {
                case .ask: report(question())
                case .adopt(let text): _ = call(ControlRequest(verb: "adopt", arguments: [text]))
                case .stop: return
                }
            }
            // Without poll it looks again by and by.
            let look = Instant.now() + .seconds(1)
            _ = Result { () throws(SystemError) in try poll.wait(until: look) }
        }
    }

    private func call(_ request: ControlRequest) -> Result<ControlReply, ControlError> {
        let deadline = Instant.now() + Self.limit
        return Result { () throws(ControlError) in
            try ControlClient.call(path, request, deadline: deadline)
        }
    }

    private func question() -> ProxyAnswer {
        switch call(ControlRequest(verb: "health")) {
        case .failure(.notRunning): return ProxyAnswer(answer: .failed, trouble: "nobody listens on \(path)")
        case .failure(let error): return ProxyAnswer(answer: .failed, trouble: "\(error)")
        case .success(let reply):
            guard reply.isOK else { return ProxyAnswer(answer: .failed, trouble: reply.message) }
            return Self.read(reply.body, proxy: proxy)
        }
    }

    /// What the proxy's word on its health is worth.
    static func read(_ body: JSONValue, proxy: String) -> ProxyAnswer {
        guard let entry = body["proxies"].elements.first(where: { $0["name"].string == proxy }),
            let servers = entry["servers"].integer
        else {
            return ProxyAnswer(
                answer: .failed,
                trouble: "the proxy that runs here has no '\(proxy)': run `tandem proxy reload`")
        }
        return ProxyAnswer(
            answer: servers > 0 ? .serving : .empty, trouble: nil, orders: body["orders"].string)
    }
}
