import ArgumentParser
import ProxyRuntime
import Telemetry

/// The front proxies of this machine.
struct ProxyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "proxy",
        abstract: "Run the proxies of the settings until SIGTERM.",
        discussion:
            "The access log, a line a request in HAProxy's format httplog, goes where `log` says; SIGUSR1 reopens its files."
    )

    @OptionGroup var place: PlaceOptions

    func run() throws { try ProxyProcess.run(settings: try place.load(), journal: Journal(label: "tandem")) }
}
