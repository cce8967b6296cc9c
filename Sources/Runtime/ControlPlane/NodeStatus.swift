/// What a node says of itself: `tandem status` shows it, `--json` prints it with these names in snake_case.
///
/// The names of the fields are a promise to scripts; new ones may be added.
public struct NodeStatus: Sendable, Equatable {
    public var cluster: String
    public var node: String
    public var peer: String
    public var groups: [GroupStatus]
    /// The last events, oldest first.
    public var events: [JSONValue]

    public init(
        cluster: String, node: String, peer: String, groups: [GroupStatus], events: [JSONValue] = []
    ) {
        self.cluster = cluster
        self.node = node
        self.peer = peer
        self.groups = groups
        self.events = events
    }

    /// The value that `--json` prints.
    public var json: JSONValue {
        [
            "cluster": .string(cluster), "node": .string(node), "peer": .string(peer),
            "summary": .string(summary), "groups": .array(groups.map(\.json)), "events": .array(events),
        ]
    }

    /// The status of a value; nil when it is none.
    public init?(json: JSONValue) {
        guard let cluster = json["cluster"].string, let node = json["node"].string else { return nil }
        self.init(
            cluster: cluster, node: node, peer: json["peer"].string ?? "",
            groups: json["groups"].elements.compactMap { GroupStatus(json: $0) },
            events: json["events"].elements)
    }
}

/// One group of a node's status.
public struct GroupStatus: Sendable, Equatable {
    /// The other node's copy, as it said last.
    public struct Peer: Sendable, Equatable {
        public var role: String
        public var disk: String
        /// Whether something on its machine, or its operator, keeps it from taking over.
        public var isBlocked: Bool

        public init(role: String = "Unknown", disk: String = "DUnknown", isBlocked: Bool = false) {
            self.role = role
            self.disk = disk
            self.isBlocked = isBlocked
        }
    }

    /// The arbiter's record, by the nodes' names.
    public struct Record: Sendable, Equatable {
        public var epoch: UInt64
        public var grant: String
        public var holder: String
        public var copies: [String]

        public init(epoch: UInt64, grant: String, holder: String, copies: [String]) {
            self.epoch = epoch
            self.grant = grant
            self.holder = holder
            self.copies = copies
        }
    }

    /// The way to the arbiter.
    public struct Arbiter: Sendable, Equatable {
        /// "witness" or "none".
        public var kind: String
        public var isReachable: Bool
        /// Whether it knows less than this node does: it has lost records, and grants nothing until it is reseeded.
        public var hasLostRecords: Bool
        /// What an open request asks for (R3); nil when none is open.
        public var openRequest: String?

        public init(
            kind: String = "witness", isReachable: Bool = false, hasLostRecords: Bool = false,
            openRequest: String? = nil
        ) {
            self.kind = kind
            self.isReachable = isReachable
            self.hasLostRecords = hasLostRecords
            self.openRequest = openRequest
        }
    }

    /// The volume and its way to equality.
    public struct Volume: Sendable, Equatable {
        /// Bytes.
        public var size: UInt64 = 0
        /// Blocks of 4 KiB that may differ.
        public var dirtyBlocks: UInt64 = 0
        /// Bytes that the last handshake marked from the activity logs.
        public var loggedBytes: UInt64 = 0
        /// Bytes that this node's resyncs have sent since its process started.
        public var resyncBytesSent: UInt64 = 0
        /// 0...100 while a resync runs, else 100.
        public var donePercent: Double = 100
        /// The link to the device, while this node is Primary.
        public var device: String?

        public init() {}
    }

    /// The virtual address.
    public struct Address: Sendable, Equatable {
        public var value: String
        /// Whether this node holds it.
        public var isPresent: Bool

        public init(value: String, isPresent: Bool) {
            self.value = value
            self.isPresent = isPresent
        }
    }

    /// Where the plan of promoting or demoting is.
    public struct Failover: Sendable, Equatable {
        /// "secondary", "promote", "undo", "demote", "deposed", "primary" or "stuck".
        public var state: String
        public var step: String?
        /// Why it cannot go on, with who pins it.
        public var stuck: String?
        /// What keeps this node from taking over, in a sentence: a mount point in use, its operator.
        public var obstacle: String?

        public init(
            state: String = "secondary", step: String? = nil, stuck: String? = nil, obstacle: String? = nil
        ) {
            self.state = state
            self.step = step
            self.stuck = stuck
            self.obstacle = obstacle
        }
    }

    public var group: String
    /// "Primary" or "Secondary".
    public var role: String
    /// DRBD's word: "UpToDate", "Consistent", "Outdated", "Inconsistent", "Failed", "Diskless".
    public var disk: String
    /// "Connected", "Connecting", "StandAlone", "Disconnecting".
    public var connection: String
    /// "Established", "SyncSource", "SyncTarget", "Off".
    public var replication: String
    public var peer: Peer
    public var record: Record?
    public var arbiter: Arbiter
    public var volume: Volume?
    /// Whether requests wait for a verdict.
    public var isFrozen: Bool
    public var address: Address?
    public var failover: Failover

    public init(group: String) {
        self.group = group
        role = "Secondary"
        disk = "DUnknown"
        connection = "Connecting"
        replication = "Off"
        peer = Peer()
        arbiter = Arbiter()
        isFrozen = false
        failover = Failover()
    }
}
