import ArgumentParser

/// Stops a group on this node.
struct DownCommand: GroupCommand {
    static let configuration = CommandConfiguration(
        commandName: "down",
        abstract: "Take no part: demote if Primary, and disconnect.")

    @OptionGroup var target: GroupOptions
}
