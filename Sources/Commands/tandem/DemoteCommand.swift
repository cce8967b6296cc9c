import ArgumentParser

/// Gives the role of Primary back.
struct DemoteCommand: GroupCommand {
    static let configuration = CommandConfiguration(
        commandName: "demote",
        abstract: "Make this node Secondary, in order, with nothing lost.",
        discussion: """
            The device must answer: unmount what you mounted yourself first. The other node takes over when it can;
            this one does not take the role again before `tandem up` or `tandem promote`.
            """)

    @OptionGroup var target: GroupOptions
}
