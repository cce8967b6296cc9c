import Testing

@testable import Settings

@Suite("The page about the settings")
struct DocumentationTests {
    /// The page, found from this file's place in the repository.
    private static func page() throws -> String {
        let parts = #filePath.split(separator: "/").dropLast(3)
        let path = "/" + parts.joined(separator: "/") + "/Docs/Operating/settings.md"
        return String(decoding: try SettingsFile.bytes(path: path, limit: 1 << 20), as: UTF8.self)
    }

    @Test("names every key that is read")
    func everyKey() throws {
        let page = try Self.page()
        let keys =
            SettingsReader.topKeys + SettingsReader.groupKeys + SettingsReader.volumeKeys
            + SettingsReader.mountKeys
            + SettingsReader.exportKeys + SettingsReader.nodeKeys.map { "nodes.NAME.\($0)" }
            + SettingsReader.witnessKeys.map { "witness.\($0)" }
        for key in keys { #expect(page.contains("| `\(key)` |"), "\(key)") }
    }

    @Test("names every default")
    func everyDefault() throws {
        let page = try Self.page()
        typealias Default = Settings.Default
        let defaults = [
            "`\(Default.secretPath)`", "`\(Default.stateDirectory)`", "`\(Default.runDirectory)`",
            "`\(Default.deviceDirectory)`", "| \(Default.dataPort) |", "| \(Default.witnessPort) |",
            "| \(Default.priority) |", "| \(Default.activityLogExtents) |", "| `\(Default.volumeName)` |",
            "| `\(Quantity.text(Default.freezeTimeout))` |", "| `\(Quantity.text(Default.waitForPeer))` |",
        ]
        for text in defaults { #expect(page.contains(text), "\(text)") }
    }

    @Test("has an example that is accepted")
    func example() throws {
        let page = try Self.page()
        let example = try #require(page.split(separator: "```yaml\n").last?.split(separator: "```").first)
        #expect(throws: Never.self) { try Settings.parse(text: String(example), file: "settings.md") }
    }
}
