import ArgumentParser
import Basics
import ControlPlane
import Settings

/// A verb about one group that the node's daemon on this machine carries out. Its name on the command line is the one
/// that the daemon knows.
protocol GroupCommand: ParsableCommand {
    /// How long the daemon may take; longer than its own deadlines.
    static var patience: Interval { get }
    var target: GroupOptions { get }
}

/// Which group, of which cluster.
struct GroupOptions: ParsableArguments {
    @OptionGroup var place: PlaceOptions

    @Argument(help: "The group; may be left out when there is one.")
    var group: String?
}

extension GroupCommand {
    static var patience: Interval { Daemon.patience }

    func run() throws {
        guard let verb = Self.configuration.commandName else { preconditionFailure("a verb without a name") }
        let settings = try target.place.load()
        let name = try Daemon.group(target.group, settings)
        try Daemon.ask(
            settings.controlSocketPath, ControlRequest(verb: verb, group: name), patience: Self.patience)
    }
}
