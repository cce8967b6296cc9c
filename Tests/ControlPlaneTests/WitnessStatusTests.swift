import Testing

@testable import ControlPlane

@Suite("the witness's status, for people")
struct WitnessStatusTests {
    private func answer(rolledBack: Bool) -> JSONValue {
        let record = GroupStatus.Record(epoch: 7, grant: "ab", holder: "node1", copies: ["node1", "node2"])
        return [
            "cluster": .string("test"), "witness": .string("192.0.2.3"),
            "sessions": .array([.string("node2")]),
            "groups": .array([
                ["group": .string("files"), "record": record.json, "rolled_back": .boolean(rolledBack)],
                ["group": .string("new"), "record": .null, "rolled_back": .boolean(false)],
            ]),
        ]
    }

    @Test("one line for the witness and one for each group, with what to do where something is missing")
    func lines() throws {
        let screen = try #require(WitnessStatus.screen(answer(rolledBack: false)))
        let lines = screen.split(separator: "\n")
        #expect(lines.first == "witness 192.0.2.3  (cluster test), connected: node2")
        #expect(lines.contains("files: epoch 7, holder node1, copies node1 node2"))
        #expect(lines.last?.contains("`tandem init`") == true)
    }

    @Test("a record that is behind a node's says that nothing is granted")
    func behind() throws {
        let screen = try #require(WitnessStatus.screen(answer(rolledBack: true)))
        #expect(screen.contains("nothing is granted before `tandem witness reseed files`"))
    }

    @Test("a node's answer is no witness's")
    func node() {
        #expect(WitnessStatus.screen(["node": .string("node1"), "groups": .array([])]) == nil)
    }
}
