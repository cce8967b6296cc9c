import Balancing
import Basics
import Glibc
import LinuxSystem
import SecureChannel
public import Settings
import WitnessRuntime

/// `tandem proxy`: the settings' proxies, until a signal ends them.
public enum ProxyProcess {
    /// Runs all proxies of the settings until SIGTERM or SIGINT; SIGUSR1 opens the files of access logs anew. Call it
    /// before any other thread starts.
    public static func run(settings: Settings) throws(ProxyError) {
        guard !settings.proxies.isEmpty else { throw .nothingToDo(file: settings.file) }
        let key: [UInt8]
        do throws(SecretFileError) {
            // The same on every machine of the cluster, so that each honours the cookies of the other.
            key = try SecretFile.load(settings.secretPath).messageKey(
                cluster: settings.cluster, purpose: "proxy cookies")
        } catch {
            throw .secret("\(error)")
        }
        let signals: SignalWatch
        do throws(SystemError) {
            signals = try SignalWatch([SIGTERM, SIGINT, SIGUSR1])
        } catch {
            throw .system(error)
        }
        let server = try ProxyServer(
            settings.proxies.compactMap { configuration($0, key: key) },
            statistics: try settings.statistics.flatMap { page throws(ProxyError) in try statistics(page) })
        let outcome: Result<Void, ProxyError>
        do throws(SystemError) {
            let watch = try SystemThread(name: "signals") {
                signals.run(repeated: SIGUSR1, again: { server.reopenLogs() }) { server.stop() }
            }
            outcome = Result { () throws(ProxyError) in try server.run { AccessLog.write($0, to: 1) } }
            signals.stop()
            watch.join()
        } catch {
            throw .system(error)
        }
        try outcome.get()
    }

    /// What the settings say, as the loop takes it.
    static func configuration(_ proxy: Settings.Proxy, key: [UInt8]) -> ProxyConfiguration? {
        func address(_ endpoint: Settings.Proxy.Endpoint) -> SocketAddress? {
            SocketAddress(host: "\(endpoint.address)", port: endpoint.port)
        }
        guard let listen = address(proxy.listen) else { return nil }
        let servers = proxy.servers.compactMap { server in
            address(server.endpoint).map {
                ProxyConfiguration.Server(
                    rules: BackendPool.ServerRules(
                        name: server.name, weight: server.weight, isBackup: server.isBackup,
                        limit: server.limit), address: $0)
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
