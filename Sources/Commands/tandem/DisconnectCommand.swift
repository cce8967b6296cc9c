import ArgumentParser
import ControlPlane
import Settings

/// Keeps the nodes apart.
struct DisconnectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "disconnect",
        abstract: "Stay without the other node until connect.",
        discussion: "A Primary goes on alone once the arbiter agrees.")

    @OptionGroup var place: PlaceOptions

    @Argument(help: "The group; may be left out when there is one.")
    var group: String?

    func run() throws {
        let settings = try place.load()
        let name = try Daemon.group(group, settings)
        try Daemon.ask(settings.controlSocketPath, ControlRequest(verb: "disconnect", group: name))
    }
}
