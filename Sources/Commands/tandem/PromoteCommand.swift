import ArgumentParser
import Basics

/// Asks for the role of Primary.
struct PromoteCommand: GroupCommand {
    static let configuration = CommandConfiguration(
        commandName: "promote",
        abstract: "Make this node Primary: grant, device, mount, export, address.",
        discussion:
            "Ends with status 1, and says why, when the arbiter refuses or a step fails; then nothing is left half-way."
    )

    static var patience: Interval { Daemon.promotionPatience }

    @OptionGroup var target: GroupOptions
}
