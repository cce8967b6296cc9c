import ArgumentParser
import ControlPlane
import Settings
import Telemetry
import WitnessRuntime

/// The small process on a third machine that stores who may write.
struct WitnessCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "witness",
        abstract: "Run the witness, on the machine that has its address.",
        subcommands: [Run.self, Reseed.self], defaultSubcommand: Run.self)

    struct Run: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Run the witness until SIGTERM.")
        @OptionGroup var place: PlaceOptions

        func run() throws {
            try WitnessProcess.run(settings: try place.load(), journal: Journal(label: "tandem"))
        }
    }

    struct Reseed: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Give the witness back the record that it has lost.",
            discussion: """
                Run it on the witness's machine with both nodes connected: the highest of their records counts. A
                witness that has lost its disk, or went back in time, grants nothing until then.
                """)
        @OptionGroup var place: PlaceOptions
        @Argument(help: "The group.") var group: String
        @Option(
            help: "Take this node's record, whatever the other one knows. What only the other has is lost.")
        var force: String?

        func run() throws {
            let path = WitnessProcess.controlSocketPath(try place.load())
            let request = ControlRequest(verb: "reseed", group: group, arguments: force.map { [$0] } ?? [])
            try Daemon.ask(path, request)
        }
    }
}
