public import Balancing
public import Basics
public import HTTPFraming
public import LinuxSystem

/// One proxy: where it listens, which servers are behind it, and what it does between them.
public struct ProxyConfiguration: Sendable {
    /// What is between the client and the server.
    public enum Mode: String, Sendable, CaseIterable {
        /// Connections are passed through.
        case tcp
        /// Each request is placed.
        case http
    }

    /// One server.
    public struct Server: Sendable {
        public var rules: BackendPool.ServerRules
        public var address: SocketAddress

        /// The name whose address is looked up; nil for a server that is written as an address. Then `address` is its port.
        public var host: String?

        public init(rules: BackendPool.ServerRules, address: SocketAddress) {
            self.rules = rules
            self.address = address
        }

        /// A server by its name; its proxy has checks.
        public init(rules: BackendPool.ServerRules, host: String, port: UInt16) {
            self.rules = rules
            self.host = host
            address = .unspecified(port: port)
        }

        /// As the settings have it: the same server where this is the same.
        var origin: String { host.map { "\($0):\(address.port)" } ?? "\(address)" }
    }

    /// What a check asks.
    public enum Check: Sendable, Equatable {
        case off
        /// A connection is accepted.
        case tcp
        /// `GET` of the path is answered with a status in the range.
        case http(path: String, host: String, statuses: ClosedRange<Int>)
    }

    /// How long is waited for what.
    public struct Timeouts: Sendable, Equatable {
        /// For a connection to a server, and for a place in the queue.
        public var connect = Interval.seconds(5)
        /// For the client to send or take more.
        public var client = Interval.seconds(30)
        /// For the server to send or take more.
        public var server = Interval.seconds(30)
        /// For a whole request head, from its first byte: who sends slowly does not hold a place.
        public var head = Interval.seconds(10)
        /// For the next request on a connection of a client.
        public var idle = Interval.seconds(60)
        /// For more on an upgraded connection, or one in TCP mode.
        public var tunnel = Interval.seconds(3600)
        /// For a check.
        public var check = Interval.seconds(2)

        public init() {}
    }

    /// Where the access log goes.
    public enum Log: Sendable, Hashable {
        case standardOutput
        case none
        /// Lines are appended to the file at the path.
        case file(String)
        /// Datagrams to the machine's syslog at the path, such as /dev/log.
        case syslog(String)
        /// Datagrams to another machine's.
        case syslogServer(SocketAddress)
    }

    public var name: String
    public var listen: SocketAddress
    public var mode = Mode.http
    public var balance = BackendPool.Method.roundrobin
    /// The cookie that keeps a client on its server; nil for none.
    public var cookieName: String?
    public var servers: [Server]
    public var check = Check.tcp
    public var health = ServerHealth.Rules()
    /// The rules of health as they hold: without checks nothing is down.
    var healthRules: ServerHealth.Rules {
        var rules = health
        rules.isOff = check == .off
        return rules
    }
    public var timeouts = Timeouts()
    public var limits = HTTPLimits()
    /// Most who wait for any server, and for each one.
    public var queueLimit = 128
    /// Idle connections kept to each server.
    public var idleLimit = 64
    /// A line of the PROXY protocol, version 1, before a connection's first byte in TCP mode.
    public var sendsProxyLine = false
    public var log = Log.standardOutput
    /// The key of cookies and source hashes, at least 16 bytes: the same on both proxies.
    public var key: [UInt8]

    public init(name: String, listen: SocketAddress, servers: [Server], key: [UInt8]) {
        self.name = name
        self.listen = listen
        self.servers = servers
        self.key = key
    }
}
