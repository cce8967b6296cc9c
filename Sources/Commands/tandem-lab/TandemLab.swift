import ArgumentParser
import Basics
import Lab

/// Brings up a whole cluster on one machine, breaks it on purpose, and shows what became of the data.
@main
struct TandemLab: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tandem-lab",
        abstract: "Two nodes, a witness and a client on one machine, and ways to break them.",
        subcommands: [
            Up.self, Demo.self, Status.self, Kill.self, Start.self, Cut.self, Heal.self, Down.self, Wipe.self,
            Test.self, Write.self, Check.self, Compare.self, Observe.self, Machine.self,
        ])
}

/// Where the lab is and what runs in it.
struct LabOptions: ParsableArguments {
    @Option(help: "Only network namespaces (netns) are available as machines.")
    var backend = "netns"

    @Option(help: "The lab's directory; or TANDEM_LAB_DIR.")
    var directory: String?

    func validate() throws {
        guard backend == "netns" else {
            throw ValidationError("there is no backend '\(backend)'; the only one is netns")
        }
    }

    /// The lab that these options name.
    func lab() throws -> LabTopology {
        let path = directory ?? environmentVariable("TANDEM_LAB_DIR") ?? ".lab"
        return try LabTopology(directory: try LabDirectory(path), product: try LabTopology.findProduct())
    }
}

/// Ends the process with status 1 when `holds` is false; what went wrong was printed before.
func require(_ holds: Bool) throws {
    if !holds { throw ExitCode.failure }
}
