import ArgumentParser
import Basics
import ControlPlane
import Glibc
import Settings
import WitnessRuntime

/// Says first whether you are safe now.
struct StatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Say whether you are safe now, and what would happen if either machine failed now.",
        discussion: "On the witness's machine it shows the witness.")

    @OptionGroup var place: PlaceOptions

    @Flag(help: "One JSON object; its names are stable.")
    var json = false

    @Flag(help: "Again every second, until Ctrl-C.")
    var watch = false

    func run() throws {
        let settings = try place.load()
        let path = socketPath(settings)
        repeat {
            let reply = try ControlClient.call(
                path, ControlRequest(verb: "status"), deadline: Clock.now() + .seconds(5))
            guard reply.isOK else { throw Refusal(description: reply.message) }
            if watch && !json { print("\u{1B}[H\u{1B}[2J", terminator: "") }
            print(text(of: reply.body))
            fflush(nil)
            if watch { sleep(1) }
        } while watch
    }

    /// The node's socket, or the witness's where only that one is there.
    private func socketPath(_ settings: Settings) -> String {
        let witness = WitnessProcess.controlSocketPath(settings)
        let isWitness =
            place.node == nil && access(settings.controlSocketPath, F_OK) != 0 && access(witness, F_OK) == 0
        return isWitness ? witness : settings.controlSocketPath
    }

    private func text(of body: JSONValue) -> String {
        if json { return body.encoded() }
        return NodeStatus(json: body)?.screen ?? WitnessStatus.screen(body) ?? body.encoded(isIndented: true)
    }
}
