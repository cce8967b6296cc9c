public import Basics

/// One settings file, checked: the cluster as every machine of it sees it.
///
/// Every type of this module lives inside this one, so that a file that imports it can always say which is meant.
/// The keys, their defaults and their limits are in `Docs/Operating/settings.md`.
public struct Settings: Sendable, Equatable {
    /// The file as it was named by the caller, for messages.
    public var file: String
    /// `cluster`: the name of the cluster; a file that has only proxies may leave it out.
    public var cluster: String
    /// `secret`: the path of the file with the cluster's secret.
    public var secretPath: String
    /// `nodes`: exactly two, sorted by name; a node's place here is its ``Basics/NodeIndex``. None in a file that has
    /// only proxies.
    public var nodes: [Node]
    /// `witness`; nil when `arbiter: none` is written.
    public var witness: Witness?
    /// `transport`
    public var transport: Transport
    /// `lease`
    public var lease: Lease
    /// `freeze-timeout`: how long requests wait for a verdict before they are answered EIO; 1 s ... 1 h.
    public var freezeTimeout: Interval
    /// `wait-for-peer`: how long a restarted member seeks the other before it asks alone; 0 ... 1 h.
    public var waitForPeer: Interval
    /// `elector`
    public var elector: Elector
    /// `state-directory`: where the node and the witness keep what must survive a restart.
    public var stateDirectory: String
    /// `run-directory`: where the control socket is.
    public var runDirectory: String
    /// `device-directory`: where the links `GROUP/VOLUME` to the block devices are.
    public var deviceDirectory: String
    /// `groups`: at least one, sorted by name; none in a file that has only proxies.
    public var groups: [Group]
    /// `proxies`: sorted by name; may be empty.
    public var proxies: [Proxy] = []
    /// `statistics`: the page of the proxies; nil for none.
    public var statistics: Statistics?
}

extension Settings {
    /// A machine with copies.
    public struct Node: Sendable, Equatable {
        /// The name, which is also its host name unless it is started with `--node`.
        public var name: String
        /// Where the other node and the operator's tools reach it.
        public var address: IPAddress
        /// The port of the connection between the nodes.
        public var port: UInt16
    }

    /// The small process on a third machine that stores who may write.
    public struct Witness: Sendable, Equatable {
        /// Where both nodes reach it.
        public var address: IPAddress
        /// The port that it listens on.
        public var port: UInt16
        /// `after-restart`
        public var afterRestart: AfterRestart
    }

    /// What a witness that has restarted needs before it grants.
    public enum AfterRestart: String, Sendable, CaseIterable {
        /// Its own stored record.
        case normal
        /// Both nodes heard: closes the case of a disk that has gone back in time, at the price of availability.
        case both
    }

    /// How the data travels between the nodes.
    public enum Transport: String, Sendable, CaseIterable {
        /// Inside TLS 1.3.
        case sealed
        /// Beside it, with a checksum only: for a cable between the two machines.
        case plain
    }

    /// How long a holder may answer readers without hearing from a grantor.
    public enum Lease: String, Sendable, CaseIterable {
        /// 225 ms, renewed each 75 ms.
        case fast
        /// 1 s, renewed each 300 ms.
        case normal
        /// 4 s, renewed each 1.2 s: for machines that stall.
        case slow

        /// The holder's lease, for this module's own check; everything else takes its times from the elector.
        var duration: Interval {
            switch self {
            case .fast: .milliseconds(225)
            case .normal: .milliseconds(1000)
            case .slow: .milliseconds(4000)
            }
        }
    }

    /// Who decides when to ask for the role of Primary.
    public enum Elector: String, Sendable, CaseIterable {
        /// Tandem's own VRRP advertisements.
        case vrrp
        /// The scripts of another program, which call `tandem promote` and `tandem demote`.
        case external
    }

    /// What applies when a key is not written.
    public enum Default {
        /// `cluster`, of a file that has only proxies
        public static let cluster = "tandem"
        /// `nodes.NAME.port`
        public static let dataPort: UInt16 = 7790
        /// `witness.port`
        public static let witnessPort: UInt16 = 7791
        /// `secret`
        public static let secretPath = "/etc/tandem/secret"
        /// `state-directory`
        public static let stateDirectory = "/var/lib/tandem"
        /// `run-directory`
        public static let runDirectory = "/run/tandem"
        /// `device-directory`
        public static let deviceDirectory = "/dev/tandem"
        /// `freeze-timeout`
        public static let freezeTimeout = Interval.seconds(60)
        /// `wait-for-peer`
        public static let waitForPeer = Interval.seconds(10)
        /// `groups.NAME.priority`
        public static let priority: UInt8 = 100
        /// `groups.NAME.volume.activity-log-extents`
        public static let activityLogExtents = 1237
        /// `groups.NAME.volume.name`
        public static let volumeName = "data"
    }
}

extension Settings {
    /// The node with that number.
    public subscript(node: NodeIndex) -> Node { nodes[Int(node.rawValue)] }

    /// The number of the node with that name, nil when there is none.
    public func nodeIndex(named name: String) -> NodeIndex? {
        nodes.firstIndex { $0.name == name }.flatMap { NodeIndex(rawValue: UInt8($0)) }
    }

    /// The group with that name, nil when there is none.
    public func group(named name: String) -> Group? { groups.first { $0.name == name } }

    /// The path of the control socket.
    public var controlSocketPath: String { "\(runDirectory)/control" }

    /// The control socket of `tandem proxy`.
    public var proxySocketPath: String { "\(runDirectory)/proxy" }
}
