import ArgumentParser
import ControlPlane
import Settings

/// Stops a group on this node.
struct DownCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "down",
        abstract: "Take no part: demote if Primary, and disconnect.")

    @OptionGroup var place: PlaceOptions

    @Argument(help: "The group; may be left out when there is one.")
    var group: String?

    func run() throws {
        let settings = try place.load()
        let name = try Daemon.group(group, settings)
        try Daemon.ask(settings.controlSocketPath, ControlRequest(verb: "down", group: name))
    }
}
