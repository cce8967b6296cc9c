import ControlPlane
import Testing

@Suite("JSON")
struct JSONTests {
    private func decode(_ text: String) throws(JSONError) -> JSONValue {
        try JSONValue.decode(Array(text.utf8))
    }

    @Test("a value comes back from its text, indented or not")
    func roundTrip() throws {
        let value: JSONValue = [
            "null": .null, "yes": true, "count": .integer(Int64.max), "negative": .integer(-7),
            "percent": .number(12.5), "text": "a \"b\" \\ \n\t\u{1} é 😀", "empty": [], "none": [:],
            "list": [.integer(1), "two", ["three": .integer(3)]],
        ]
        #expect(try decode(value.encoded()) == value)
        #expect(try decode(value.encoded(isIndented: true)) == value)
        #expect(!value.encoded().contains("\n"))
    }

    @Test("escapes are read as RFC 8259 says")
    func escapes() throws {
        #expect(try decode(#""\u0041\/\b\f\ud83d\ude00""#) == "A/\u{8}\u{C}😀")
    }

    @Test(
        "what is not JSON is refused, and never traps",
        arguments: [
            "", "{", "[1,]", "{\"a\":1,}", "{\"a\" 1}", "{\"a\":1,\"a\":2}", "01", "+1", "1.", ".5", "nul",
            "\"a",
            "\"\\x\"", "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\n\"", "1 2", "1e999", "--1", "]", "\"\\u12\"",
        ])
    func malformed(text: String) {
        #expect(throws: JSONError.self) { try decode(text) }
    }

    @Test("a text that is too long or too deep is refused")
    func bounds() throws {
        let deepest = JSONValue.depthMaximum
        let fits = String(repeating: "[", count: deepest) + String(repeating: "]", count: deepest)
        #expect(try decode(fits).elements.count == 1)
        #expect(throws: JSONError.tooDeep) { try decode("[" + fits + "]") }
        #expect(throws: JSONError.tooLong(limit: 3)) { try JSONValue.decode(Array("1234".utf8), limit: 3) }
    }

    @Test("a status comes back from its JSON")
    func status() throws {
        var group = GroupStatus(group: "files")
        group.role = "Primary"
        group.disk = "UpToDate"
        group.connection = "Connected"
        group.replication = "SyncSource"
        group.peer = GroupStatus.Peer(role: "Secondary", disk: "Inconsistent")
        group.record = GroupStatus.Record(epoch: 7, grant: "0123abcd", holder: "node1", copies: ["node1"])
        group.arbiter = GroupStatus.Arbiter(isReachable: true, openRequest: "widen")
        var volume = GroupStatus.Volume()
        volume.size = 1 << 30
        volume.dirtyBlocks = 3
        volume.loggedBytes = 4 << 20
        volume.resyncBytesSent = 8192
        volume.donePercent = 12.5
        volume.device = "/dev/tandem/files/data"
        group.volume = volume
        group.isFrozen = true
        group.address = GroupStatus.Address(value: "192.0.2.1/24", isPresent: true)
        group.failover = GroupStatus.Failover(state: "stuck", step: "unmount", stuck: "busy: 17 (cp)")
        let status = NodeStatus(cluster: "lab", node: "node1", peer: "node2", groups: [group], events: ["x"])
        #expect(NodeStatus(json: try decode(status.json.encoded())) == status)
        #expect(status.json["groups"].elements.first?["volume"]["out_of_sync_kib"] == .integer(12))
    }

    @Test("the first sentence says whether it is safe and what a failure would do")
    func summary() {
        var group = GroupStatus(group: "files")
        group.volume = GroupStatus.Volume()
        group.role = "Primary"
        group.disk = "UpToDate"
        group.connection = "Connected"
        group.replication = "Established"
        group.peer.disk = "UpToDate"
        group.arbiter.isReachable = true
        func text() -> String {
            NodeStatus(cluster: "lab", node: "a", peer: "b", groups: [group]).summary
        }
        #expect(
            text() == "files: safe: both copies are UpToDate; if a failed now b would take over,"
                + " if b failed now a would go on.")
        group.arbiter.isReachable = false
        #expect(text().contains("the witness is out of reach"))
        group.arbiter.isReachable = true
        group.arbiter.hasLostRecords = true
        #expect(text().contains("the witness has lost its record and grants nothing"))
        group.arbiter.hasLostRecords = false
        group.role = "Secondary"
        group.peer.role = "Secondary"
        #expect(text().contains(" safe: both copies are UpToDate and nobody is Primary"))
        group.peer.isBlocked = true
        #expect(text().contains("NOT safe: both copies are UpToDate, nobody is Primary and b cannot serve"))
        group.peer.isBlocked = false
        group.role = "Primary"
        group.replication = "SyncSource"
        group.peer.disk = "Inconsistent"
        #expect(text().contains("NOT safe yet: b is being copied from a"))
        group.replication = "Established"
        group.disk = "Diskless"
        group.peer.disk = "UpToDate"
        #expect(text().contains("the disk of a has failed, it reads and writes through b; if b failed now"))
        group.disk = "UpToDate"
        group.peer.disk = "Diskless"
        #expect(text().contains("if a failed now the service would stop, if b failed now a would take over"))
        group.peer.disk = "Inconsistent"
        group.connection = "Connecting"
        group.replication = "Off"
        group.record = GroupStatus.Record(epoch: 2, grant: "", holder: "a", copies: ["a"])
        #expect(text().contains("only a is known to hold current data"))
        group.isFrozen = true
        #expect(text().contains("FROZEN: requests wait for a verdict; the peer is gone and the witness is"))
        group.connection = "Connected"
        group.disk = "Failed"
        #expect(text().contains("the disk of a has failed, it can go on through b only, and the witness"))
        group.disk = "Diskless"
        #expect(text().contains("the disk of a has failed, and b has not confirmed"))
        group.connection = "Connecting"
        #expect(text().contains("the disk of a has failed, and b, which has the only copy, is gone."))
        group.failover.stuck = "unmount: busy"
        #expect(text().contains("STUCK on a: unmount: busy"))
    }
}
