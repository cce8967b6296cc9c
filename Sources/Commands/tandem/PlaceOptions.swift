import ArgumentParser
import Basics
import Settings

/// Which cluster, and which of its machines this is.
struct PlaceOptions: ParsableArguments {
    @Option(help: "The settings file.")
    var settings = "/etc/tandem/tandem.yaml"

    @Option(help: "The node that this machine is, when its host name does not tell.")
    var node: String?

    /// The settings, checked.
    func load() throws -> Settings { try Settings.load(path: settings) }

    /// The settings, and the node that this machine is.
    func loadNode() throws -> (settings: Settings, node: NodeIndex) {
        let loaded = try load()
        return (loaded, try loaded.localNode(named: node))
    }
}

/// A sentence for the operator; the process ends with status 1.
struct Refusal: Error, CustomStringConvertible {
    let description: String
}
