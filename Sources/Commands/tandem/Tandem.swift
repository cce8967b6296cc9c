import ArgumentParser

/// Two machines keep one disk: the product's one program.
@main
struct Tandem: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tandem",
        abstract: "Two machines keep one disk; the one that holds the address serves it.",
        subcommands: [
            SecretCommand.self, InitCommand.self, CheckCommand.self, WitnessCommand.self, NodeCommand.self,
            ProxyCommand.self,
            StatusCommand.self, EventsCommand.self, UpCommand.self, DownCommand.self, PromoteCommand.self,
            DemoteCommand.self, SwitchoverCommand.self, ConnectCommand.self, DisconnectCommand.self,
        ])
}
