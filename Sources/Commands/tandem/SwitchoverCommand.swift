import ArgumentParser
import ControlPlane
import Settings

/// Demotes here and promotes there, or the other way round.
struct SwitchoverCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "switchover",
        abstract: "Move the group to the other node with nothing lost.",
        discussion: """
            Run it on either node. Ends when the other node is Primary with device, mount and address; with status 1,
            and the reason, when it could not be: then the group stays where it was, or goes back there.
            """)

    @OptionGroup var place: PlaceOptions

    @Argument(help: "The group; may be left out when there is one.")
    var group: String?

    func run() throws {
        let settings = try place.load()
        let name = try Daemon.group(group, settings)
        try Daemon.ask(settings.controlSocketPath, ControlRequest(verb: "switchover", group: name))
    }
}
