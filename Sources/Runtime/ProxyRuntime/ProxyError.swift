public import LinuxSystem

/// Why the proxies of this machine do not run.
public enum ProxyError: Error, Sendable, Equatable {
    /// The address of one proxy cannot be listened on.
    case cannotListen(proxy: String, SystemError)
    /// The access log of one proxy cannot be opened.
    case cannotLog(proxy: String, SystemError)
    /// The address of the statistics page cannot be listened on.
    case cannotListenForStatistics(SystemError)
    /// The password of the statistics page cannot be had.
    case statisticsPassword(String)
    /// No proxy is named in the settings.
    case nothingToDo(file: String)
    /// The cluster's secret, from which the key of the cookies is made, cannot be had.
    case secret(String)
    /// The control socket cannot be opened.
    case control(String)
    case system(SystemError)
}

extension ProxyError: CustomStringConvertible {
    /// One sentence for the operator.
    public var description: String {
        switch self {
        case .cannotListen(let proxy, let error):
            "the proxy '\(proxy)' cannot listen: \(error). Stop whoever has that port (`ss -ltnp` names it), or write"
                + " another 'proxies.\(proxy).listen'"
        case .cannotLog(let proxy, let error): "the proxy '\(proxy)' cannot open its access log: \(error)"
        case .cannotListenForStatistics(let error):
            "the statistics page cannot listen: \(error). Stop whoever has that port (`ss -ltnp` names it), or write"
                + " another 'statistics.listen'"
        case .nothingToDo(let file): "\(file) names no proxies; add 'proxies', or do not start this"
        case .secret(let reason), .control(let reason), .statisticsPassword(let reason): reason
        case .system(let error): "\(error)"
        }
    }
}
