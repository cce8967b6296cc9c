import ArgumentParser
import ControlPlane
import Settings

/// Starts a group on this node.
struct UpCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "up",
        abstract: "Take part: connect, and become Primary when it is this node's turn.")

    @OptionGroup var place: PlaceOptions

    @Argument(help: "The group; may be left out when there is one.")
    var group: String?

    func run() throws {
        let settings = try place.load()
        let name = try Daemon.group(group, settings)
        try Daemon.ask(settings.controlSocketPath, ControlRequest(verb: "up", group: name))
    }
}
