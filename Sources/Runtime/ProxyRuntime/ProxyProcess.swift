import Balancing
import Basics
import ControlPlane
import Glibc
import LinuxSystem
import SecureChannel
public import Settings
public import Telemetry
import WitnessRuntime

/// `tandem proxy`: the settings' proxies, until a signal ends them.
public enum ProxyProcess {
    /// The path of the proxies' control socket; a node and a witness on the same machine have others.
    public static func controlSocketPath(_ settings: Settings) -> String { settings.proxySocketPath }

    /// Runs all proxies of the settings until SIGTERM or SIGINT; SIGUSR1 opens the files of access logs anew, SIGHUP reads
    /// the settings anew. Call it before any other thread starts.
    public static func run(settings: Settings, journal: Journal) throws(ProxyError) {
        let plan = try plan(settings)
        let signals: SignalWatch
        let store: ProxyAdminStore
        do throws(SystemError) {
            signals = try SignalWatch([SIGTERM, SIGINT, SIGUSR1, SIGHUP])
            store = try ProxyAdminStore(path: "\(settings.stateDirectory)/proxy.admin")
        } catch {
            throw .system(error)
        }
        let server = try ProxyServer(
            plan.proxies, statistics: plan.statistics, store: store, journal: journal)
        let handler = ProxyControl(server, settings: settings, journal: journal)
        let control: ControlServer
        do throws(ControlError) {
            control = try ControlServer(
                path: controlSocketPath(settings), journal: journal, handler: handler)
        } catch {
            throw .control("\(error)")
        }
        let outcome: Result<Void, ProxyError>
        do throws(SystemError) {
            let keeping = try SystemThread(name: "admin") { store.run() }
            let serving = try SystemThread(name: "control") { control.run() }
            let watch = try SystemThread(name: "signals") {
                signals.run(repeated: [
                    SIGUSR1: { server.reopenLogs() }, SIGHUP: { handler.reload { _ in } },
                ]) { server.stop() }
            }
            outcome = Result { () throws(ProxyError) in try server.run { AccessLog.write($0, to: 1) } }
            control.stop()
            signals.stop()
            watch.join()
            serving.join()
            store.stop()
            keeping.join()
        } catch {
            throw .system(error)
        }
        try outcome.get()
    }

    /// All that the settings want, as the loop takes it.
    static func plan(_ settings: Settings) throws(ProxyError) -> ProxyPlan {
        guard !settings.proxies.isEmpty else { throw .nothingToDo(file: settings.file) }
        let key = try key(settings)
        return ProxyPlan(
            proxies: settings.proxies.compactMap { configuration($0, key: key) },
            statistics: try settings.statistics.flatMap { page throws(ProxyError) in try statistics(page) })
    }

    /// The key of cookies and source hashes, the same on every machine of the cluster, so that each honours the cookies of
    /// the other. Cookies need the secret. A source hash without it is the same on every machine too, and guessed by
    /// whoever wants to: that harms nobody.
    private static func key(_ settings: Settings) throws(ProxyError) -> [UInt8] {
        let sticky = settings.proxies.first { $0.sticky == .cookie }
        let needsKey = sticky != nil || settings.proxies.contains { $0.balance == .source }
        guard needsKey else { return [UInt8](repeating: 0, count: 16) }
        do throws(SecretFileError) {
            return try SecretFile.load(settings.secretPath).messageKey(
                cluster: settings.cluster, purpose: "proxy cookies")
        } catch {
            guard let sticky else {
                if case .missing = error { return [UInt8](repeating: 0, count: 16) }
                throw .secret("\(error)")
            }
            throw .secret(
                "the proxy '\(sticky.name)' has 'sticky: cookie', and its cookies are made with the cluster's secret: \(error)"
            )
        }
    }

    /// What the settings say, as the loop takes it.
    static func configuration(_ proxy: Settings.Proxy, key: [UInt8]) -> ProxyConfiguration? {
        func address(_ endpoint: Settings.Proxy.Endpoint) -> SocketAddress? {
            SocketAddress(host: "\(endpoint.address)", port: endpoint.port)
        }
        guard let listen = address(proxy.listen) else { return nil }
        let servers = proxy.servers.compactMap { server -> ProxyConfiguration.Server? in
            let rules = BackendPool.ServerRules(
                name: server.name, weight: server.weight, isBackup: server.isBackup, limit: server.limit)
            switch server.endpoint {
            case .address(let endpoint):
                return address(endpoint).map { ProxyConfiguration.Server(rules: rules, address: $0) }
            case .name(let host, let port):
                return ProxyConfiguration.Server(rules: rules, host: host, port: port)
            }
        }
        var configuration = ProxyConfiguration(
            name: proxy.name, listen: listen, servers: servers, key: key)
        configuration.mode = proxy.mode == .tcp ? .tcp : .http
        configuration.balance =
            switch proxy.balance {
            case .roundrobin: .roundrobin
            case .leastconn: .leastconn
            case .source: .source
            }
        configuration.cookieName = proxy.sticky == .cookie ? proxy.cookie : nil
        configuration.check =
            switch proxy.check.kind {
            case .none: .off
            case .tcp: .tcp
            case .http(let path): .http(path: path, host: proxy.name, statuses: 200...399)
            }
        configuration.health.interval = proxy.check.interval
        configuration.health.fastInterval = min(proxy.check.interval, .milliseconds(500))
        configuration.health.rise = proxy.check.rise
        configuration.health.fall = proxy.check.fall
        configuration.timeouts.check = proxy.check.timeout
        configuration.timeouts.connect = proxy.timeouts.connect
        configuration.timeouts.client = proxy.timeouts.client
        configuration.timeouts.server = proxy.timeouts.server
        configuration.timeouts.head = proxy.timeouts.head
        configuration.timeouts.idle = proxy.timeouts.idle
        configuration.timeouts.tunnel = proxy.timeouts.tunnel
        configuration.queueLimit = proxy.queue
        configuration.sendsProxyLine = proxy.sendsProxyLine
        configuration.log =
            switch proxy.log {
            case .standardOutput: .standardOutput
            case .none: .none
            case .file(let path): .file(path)
            case .syslog: .syslog("/dev/log")
            case .syslogServer(let server): address(server).map { .syslogServer($0) } ?? .none
            }
        return configuration
    }
}
