import ArgumentParser
import ControlPlane

/// Why requests went where they went.
struct ProxyExplainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract: "Print the last choices of a server, each with its reason.",
        discussion: "256 choices are kept of each proxy.")

    @OptionGroup var proxy: ProxyPlace

    @Argument(help: "The proxy; all of them when none is named.")
    var name: String?

    @Option(name: .shortAndLong, help: "Choices at most.")
    var number = 20

    func validate() throws {
        guard number >= 0 else { throw ValidationError("-n must be 0 or more") }
    }

    func run() throws {
        let reply = try proxy.ask("explain", ["\(number)"] + [name].compactMap(\.self))
        for sentence in reply.body.elements { print(sentence.string ?? "") }
    }
}
