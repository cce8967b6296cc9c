import ArgumentParser
import ProxyRuntime
import Telemetry

/// The front proxies of this machine.
struct ProxyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "proxy",
        abstract: "Run the proxies of the settings until SIGTERM, or ask those that run.",
        discussion: """
            A server is named PROXY/SERVER, or SERVER where only one proxy has one of that name. What drain, maintenance
            and weight set survives a reload and a restart.
            """,
        subcommands: [
            Run.self, ProxyStatusCommand.self, ProxyDrainCommand.self, ProxyMaintenanceCommand.self,
            ProxyReadyCommand.self, ProxyWeightCommand.self, ProxyReloadCommand.self, ProxyLogCommand.self,
            ProxyExplainCommand.self,
        ],
        defaultSubcommand: Run.self)

    struct Run: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Run the proxies of the settings until SIGTERM.",
            discussion: """
                The access log, a line a request in HAProxy's format httplog, goes where `log` says; SIGUSR1 reopens its
                files, SIGHUP reloads the settings.
                """)

        @OptionGroup var place: PlaceOptions

        func run() throws {
            try ProxyProcess.run(settings: try place.load(), journal: Journal(label: "tandem"))
        }
    }
}
