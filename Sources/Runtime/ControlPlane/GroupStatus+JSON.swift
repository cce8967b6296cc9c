extension GroupStatus {
    /// The group's object in `tandem status --json`.
    public var json: JSONValue {
        [
            "group": .string(group), "role": .string(role), "disk": .string(disk),
            "connection": .string(connection), "replication": .string(replication),
            "peer": [
                "role": .string(peer.role), "disk": .string(peer.disk), "blocked": .boolean(peer.isBlocked),
            ],
            "record": record?.json ?? .null,
            "arbiter": [
                "kind": .string(arbiter.kind), "reachable": .boolean(arbiter.isReachable),
                "lost_records": .boolean(arbiter.hasLostRecords),
                "open_request": .optional(arbiter.openRequest),
            ],
            "volume": volume?.json ?? .null,
            "frozen": .boolean(isFrozen),
            "address": address.map {
                ["value": .string($0.value), "present": .boolean($0.isPresent)]
            } ?? .null,
            "failover": [
                "state": .string(failover.state), "step": .optional(failover.step),
                "stuck": .optional(failover.stuck), "obstacle": .optional(failover.obstacle),
            ],
        ]
    }

    /// The group of an object; nil when it is none. Fields that are missing keep their defaults.
    public init?(json: JSONValue) {
        guard let group = json["group"].string, let role = json["role"].string else { return nil }
        self.init(group: group)
        self.role = role
        disk = json["disk"].string ?? disk
        connection = json["connection"].string ?? connection
        replication = json["replication"].string ?? replication
        peer = Peer(
            role: json["peer"]["role"].string ?? peer.role, disk: json["peer"]["disk"].string ?? peer.disk,
            isBlocked: json["peer"]["blocked"].boolean ?? false)
        record = Record(json: json["record"])
        arbiter = Arbiter(
            kind: json["arbiter"]["kind"].string ?? arbiter.kind,
            isReachable: json["arbiter"]["reachable"].boolean ?? false,
            hasLostRecords: json["arbiter"]["lost_records"].boolean ?? false,
            openRequest: json["arbiter"]["open_request"].string)
        volume = Volume(json: json["volume"])
        isFrozen = json["frozen"].boolean ?? false
        if let value = json["address"]["value"].string {
            address = Address(value: value, isPresent: json["address"]["present"].boolean ?? false)
        }
        failover = Failover(
            state: json["failover"]["state"].string ?? failover.state,
            step: json["failover"]["step"].string, stuck: json["failover"]["stuck"].string,
            obstacle: json["failover"]["obstacle"].string)
    }
}

extension GroupStatus.Record {
    public var json: JSONValue {
        [
            "epoch": .count(epoch), "grant": .string(grant), "holder": .string(holder),
            "copies": .array(copies.map { .string($0) }),
        ]
    }

    init?(json: JSONValue) {
        guard let epoch = json["epoch"].integer, epoch >= 0 else { return nil }
        self.init(
            epoch: UInt64(epoch), grant: json["grant"].string ?? "", holder: json["holder"].string ?? "",
            copies: json["copies"].elements.compactMap(\.string))
    }
}

extension GroupStatus.Volume {
    public var json: JSONValue {
        [
            "size": .count(size), "dirty_blocks": .count(dirtyBlocks),
            "dirty_bytes": .count(dirtyBlocks.multipliedReportingOverflow(by: 4096).partialValue),
            "out_of_sync_kib": .count(dirtyBlocks.multipliedReportingOverflow(by: 4).partialValue),
            "logged_bytes": .count(loggedBytes), "resync_bytes_sent": .count(resyncBytesSent),
            "done_percent": .number(donePercent), "device": .optional(device),
        ]
    }

    init?(json: JSONValue) {
        guard let size = json["size"].integer else { return nil }
        func count(_ name: String) -> UInt64 { UInt64(clamping: json[name].integer ?? 0) }
        self.init()
        self.size = UInt64(clamping: size)
        dirtyBlocks = count("dirty_blocks")
        loggedBytes = count("logged_bytes")
        resyncBytesSent = count("resync_bytes_sent")
        donePercent = json["done_percent"].double ?? 100
        device = json["device"].string
    }
}
