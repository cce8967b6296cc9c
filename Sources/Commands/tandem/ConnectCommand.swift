import ArgumentParser

/// Lets the nodes meet.
struct ConnectCommand: GroupCommand {
    static let configuration = CommandConfiguration(
        commandName: "connect",
        abstract: "Connect to the other node, and copy what differs.")

    @OptionGroup var target: GroupOptions
}
