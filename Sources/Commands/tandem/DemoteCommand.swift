import ArgumentParser
import ControlPlane
import Settings

/// Gives the role of Primary back.
struct DemoteCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demote",
        abstract: "Make this node Secondary, in order, with nothing lost.",
        discussion: """
            The device must answer: unmount what you mounted yourself first. The other node takes over when it can;
            this one does not take the role again before `tandem up` or `tandem promote`.
            """)

    @OptionGroup var place: PlaceOptions

    @Argument(help: "The group; may be left out when there is one.")
    var group: String?

    func run() throws {
        let settings = try place.load()
        let name = try Daemon.group(group, settings)
        try Daemon.ask(settings.controlSocketPath, ControlRequest(verb: "demote", group: name))
    }
}
