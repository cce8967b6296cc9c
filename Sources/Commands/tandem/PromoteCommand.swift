import ArgumentParser
import ControlPlane
import Settings

/// Asks for the role of Primary.
struct PromoteCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "promote",
        abstract: "Make this node Primary: grant, device, mount, export, address.",
        discussion:
            "Ends with status 1, and says why, when the arbiter refuses or a step fails; then nothing is left half-way."
    )

    @OptionGroup var place: PlaceOptions

    @Argument(help: "The group; may be left out when there is one.")
    var group: String?

    func run() throws {
        let settings = try place.load()
        let name = try Daemon.group(group, settings)
        try Daemon.ask(
            settings.controlSocketPath, ControlRequest(verb: "promote", group: name),
            patience: Daemon.promotionPatience)
    }
}
