import ArgumentParser
import ControlPlane
import Settings

/// Lets the nodes meet.
struct ConnectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "connect",
        abstract: "Connect to the other node, and copy what differs.")

    @OptionGroup var place: PlaceOptions

    @Argument(help: "The group; may be left out when there is one.")
    var group: String?

    func run() throws {
        let settings = try place.load()
        let name = try Daemon.group(group, settings)
        try Daemon.ask(settings.controlSocketPath, ControlRequest(verb: "connect", group: name))
    }
}
