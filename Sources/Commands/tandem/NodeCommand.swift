import ArgumentParser
import NodeRuntime
import Settings
import Telemetry

/// The daemon of a machine with copies.
struct NodeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "node", abstract: "Run this machine's node until SIGTERM.")

    @OptionGroup var place: PlaceOptions

    func run() throws {
        let (settings, node) = try place.loadNode()
        try NodeDaemon.run(settings: settings, node: node, journal: Journal(label: "tandem"))
    }
}
