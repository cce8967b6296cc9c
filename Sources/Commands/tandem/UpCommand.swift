import ArgumentParser

/// Starts a group on this node.
struct UpCommand: GroupCommand {
    static let configuration = CommandConfiguration(
        commandName: "up",
        abstract: "Take part: connect, and become Primary when it is this node's turn.")

    @OptionGroup var target: GroupOptions
}
