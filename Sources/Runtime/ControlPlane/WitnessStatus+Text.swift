/// What the witness says of itself, for people.
public enum WitnessStatus {
    /// The screen of a witness's answer to `status`; nil when the answer is not a witness's.
    public static func screen(_ json: JSONValue) -> String? {
        guard let address = json["witness"].string, let cluster = json["cluster"].string else { return nil }
        let nodes = json["sessions"].elements.compactMap(\.string)
        let heard = nodes.isEmpty ? "no node is connected" : "connected: \(nodes.joined(separator: ", "))"
        return
            (["witness \(address)  (cluster \(cluster)), \(heard)"]
            + json["groups"].elements.map { line(of: $0) })
            .joined(separator: "\n")
    }

    private static func line(of group: JSONValue) -> String {
        let name = group["group"].string ?? "?"
        guard let record = GroupStatus.Record(json: group["record"]) else {
            return
                "\(name): no record; `tandem init` on a node makes it, `tandem witness reseed \(name)` brings a lost"
                + " one back"
        }
        let text =
            "\(name): epoch \(record.epoch), holder \(record.holder),"
            + " copies \(record.copies.joined(separator: " "))"
        return group["rolled_back"].boolean == true
            ? text
                + "; a node knows a later record: nothing is granted before `tandem witness reseed \(name)`"
            : text
    }
}
