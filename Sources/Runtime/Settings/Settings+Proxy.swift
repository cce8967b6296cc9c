public import Basics

extension Settings {
    /// A front proxy: one address before several servers.
    public struct Proxy: Sendable, Equatable {
        /// What is between the client and the server.
        public enum Mode: String, Sendable, CaseIterable { case http, tcp }
        /// How a server is chosen.
        public enum Balance: String, Sendable, CaseIterable { case roundrobin, leastconn, source }
        /// What keeps a client on its server.
        public enum Sticky: String, Sendable, CaseIterable { case none, cookie }

        /// An address and port.
        public struct Endpoint: Sendable, Hashable, CustomStringConvertible {
            public var address: IPAddress
            public var port: UInt16

            /// "192.168.56.21:80", "[2001:db8::1]:80".
            public var description: String {
                address.isVersion4 ? "\(address):\(port)" : "[\(address)]:\(port)"
            }
        }

        /// Where a server is.
        public enum Place: Sendable, Equatable, CustomStringConvertible {
            case address(Endpoint)
            /// A name that is looked up while the proxy runs.
            case name(String, port: UInt16)

            /// As it is written.
            public var description: String {
                switch self {
                case .address(let endpoint): "\(endpoint)"
                case .name(let host, let port): "\(host):\(port)"
                }
            }
        }

        /// One server behind it.
        public struct Server: Sendable, Equatable {
            public var name: String
            public var endpoint: Place
            /// 0 ... 256; 0 gets nobody new.
            public var weight: Int
            public var isBackup: Bool
            /// Most in service at once; nil for no limit.
            public var limit: Int?
        }

        /// What a check asks.
        public enum CheckKind: Sendable, Equatable {
            case none
            case tcp
            /// The path that is asked for.
            case http(String)
        }

        /// How the servers are checked.
        public struct Check: Sendable, Equatable {
            public var kind = CheckKind.tcp
            public var interval = Interval.seconds(2)
            public var timeout = Interval.seconds(2)
            public var rise = 2
            public var fall = 3
        }

        /// How long is waited for what.
        public struct Timeouts: Sendable, Equatable {
            public var connect = Interval.seconds(5)
            public var client = Interval.seconds(30)
            public var server = Interval.seconds(30)
            public var head = Interval.seconds(10)
            public var idle = Interval.seconds(60)
            public var tunnel = Interval.seconds(3600)
        }

        /// Where the access log goes; each machine may have its own.
        public enum Log: Sendable, Equatable {
            case standardOutput
            case none
            /// An absolute path; lines are appended.
            case file(String)
            /// The machine's own, at /dev/log.
            case syslog
            /// Another machine's, over UDP.
            case syslogServer(Endpoint)
        }

        public var name: String
        public var listen: Endpoint
        public var mode: Mode
        public var balance: Balance
        public var sticky: Sticky
        /// The name of the sticky cookie.
        public var cookie: String
        /// At least one, sorted by name.
        public var servers: [Server]
        public var check: Check
        public var timeouts: Timeouts
        /// Most who wait for any server, and for each one.
        public var queue: Int
        /// Whether a line of the PROXY protocol goes before a connection in TCP mode.
        public var sendsProxyLine: Bool
        public var log: Log
    }
}

extension Settings.Proxy {
    /// What both machines of a pair must agree on, as ``Settings/canonicalLines`` has it.
    var canonicalLines: [String] {
        let head = "proxies.\(name)."
        let check =
            switch check.kind {
            case .none: "none"
            case .tcp: "tcp"
            case .http(let path): "http \(path)"
            }
        var lines = [
            "listen = \(listen)", "mode = \(mode.rawValue)", "balance = \(balance.rawValue)",
            "sticky = \(sticky.rawValue)", "cookie = \(cookie)", "check = \(check)", "queue = \(queue)",
        ]
        for server in servers {
            lines.append(
                "servers.\(server.name) = \(server.endpoint) weight \(server.weight)"
                    + (server.isBackup ? " backup" : "") + (server.limit.map { " maxconn \($0)" } ?? ""))
        }
        return lines.map { head + $0 }
    }
}
