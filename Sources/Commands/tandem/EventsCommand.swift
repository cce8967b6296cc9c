import ArgumentParser
import Basics
import ControlPlane
import Glibc
import Settings
import WitnessRuntime

/// The journal of every decision.
struct EventsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "events",
        abstract: "Print the last decisions and changes of this node, or of the witness on its machine.")

    @OptionGroup var place: PlaceOptions

    @Flag(help: "Go on with new ones, until Ctrl-C.")
    var follow = false

    @Flag(help: "One JSON object a line.")
    var json = false

    func run() throws {
        let settings = try place.load()
        let witness = WitnessProcess.controlSocketPath(settings)
        let isWitness =
            place.node == nil && access(settings.controlSocketPath, F_OK) != 0 && access(witness, F_OK) == 0
        let request = ControlRequest(verb: "events", arguments: follow ? ["follow"] : [])
        let deadline = follow ? Instant.never : Clock.now() + .seconds(5)
        try ControlClient.follow(
            isWitness ? witness : settings.controlSocketPath, request, deadline: deadline
        ) {
            reply in
            for event in reply.body.elements { print(line(of: event)) }
            fflush(nil)
            return follow
        }
    }

    private func line(of event: JSONValue) -> String {
        if json { return event.encoded() }
        return "\(event["time"].string ?? "")  \(event["level"].string ?? "")  \(event["text"].string ?? "")"
    }
}
