import ArgumentParser

/// Keeps the nodes apart.
struct DisconnectCommand: GroupCommand {
    static let configuration = CommandConfiguration(
        commandName: "disconnect",
        abstract: "Stay without the other node until connect.",
        discussion: "A Primary goes on alone once the arbiter agrees.")

    @OptionGroup var target: GroupOptions
}
