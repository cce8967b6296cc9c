import ArgumentParser
import Basics
import ControlPlane
import ProxyRuntime
import Settings

/// Why requests went where they went.
struct ProxyExplainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract: "Print the last choices of a server, each with its reason.",
        discussion: "256 choices are kept of each proxy.")

    @OptionGroup var place: PlaceOptions

    @Argument(help: "The proxy; all of them when none is named.")
    var proxy: String?

    @Option(name: .shortAndLong, help: "Choices at most.")
    var number = 20

    func validate() throws {
        guard number >= 0 else { throw ValidationError("-n must be 0 or more") }
    }

    func run() throws {
        let path = ProxyProcess.controlSocketPath(try place.load())
        let request = ControlRequest(
            verb: "explain", arguments: ["\(number)"] + [proxy].compactMap(\.self))
        let reply = try ControlClient.call(path, request, deadline: Clock.now() + .seconds(5))
        guard reply.isOK else { throw Refusal(description: reply.message) }
        for sentence in reply.body.elements { print(sentence.string ?? "") }
    }
}
