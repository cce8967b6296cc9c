import ArgumentParser

/// Demotes here and promotes there, or the other way round.
struct SwitchoverCommand: GroupCommand {
    static let configuration = CommandConfiguration(
        commandName: "switchover",
        abstract: "Move the group to the other node with nothing lost.",
        discussion: """
            Run it on either node. Ends when the other node is Primary with device, mount and address; with status 1,
            and the reason, when it could not be: then the group stays where it was, or goes back there.
            """)

    @OptionGroup var target: GroupOptions
}
