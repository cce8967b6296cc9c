import ArgumentParser
import Basics
import Provisioning

/// Makes this node's copies.
struct InitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init",
        abstract: "Make this node's copy of each group's volume, and the group's first record.",
        discussion: "All or nothing: when a step fails, what was made before it is removed.")

    @OptionGroup var place: PlaceOptions

    @Argument(help: "The group; without it, all that have a volume.")
    var group: String?

    @Flag(help: "Keep the data that is in the backing file: the cluster's first copy.")
    var adopt = false

    @Flag(help: "Overwrite the backing file with the other node's copy: a full resync when they meet.")
    var join = false

    func validate() throws {
        if adopt && join {
            throw ValidationError("--adopt keeps the data, --join overwrites it: say one of them")
        }
    }

    func run() throws {
        let (settings, node) = try place.loadNode()
        let reports = try CopyInitialization.run(
            settings: settings, node: node, group: group, wish: adopt ? .adopt : join ? .join : .fresh,
            deadline: Clock.now() + .seconds(10))
        for report in reports { print(report.text) }
    }
}
