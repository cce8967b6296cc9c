import ArgumentParser
import ProxyRuntime

/// The front proxies of this machine.
struct ProxyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "proxy",
        abstract: "Run the proxies of the settings until SIGTERM.",
        discussion: "The access log goes to standard output, a line a request, in HAProxy's format httplog.")

    @OptionGroup var place: PlaceOptions

    func run() throws { try ProxyProcess.run(settings: try place.load()) }
}
