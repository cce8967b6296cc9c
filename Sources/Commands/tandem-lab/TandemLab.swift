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
            Up.self, Demo.self, Status.self, Ssh.self, Kill.self, Start.self, Cut.self, Heal.self, Down.self,
            Wipe.self,
            Test.self, Exercise.self, Plot.self, Write.self, Append.self, Check.self, Compare.self,
            Observe.self,
            Ask.self, Browse.self, Origin.self, Machine.self, Disk.self, Knock.self, Relay.self,
            Metadata.self, Copy.self,
            BrokenNode.self, ProxyLoadCommand.self, ProxyCasesCommand.self,
        ])
}

/// Where the lab is and what runs in it.
struct LabOptions: ParsableArguments {
    /// What machines are made of.
    enum Kind: String, ExpressibleByArgument, CaseIterable { case netns, vm }

    @Option(
        name: .customLong("backend"),
        help: "What machines are: vm (virtual, the default) or netns (namespaces); or TANDEM_LAB_BACKEND."
    )
    var named: Kind?

    @Option(help: "The lab's directory; or TANDEM_LAB_DIR.")
    var directory: String?

    @Option(help: "Where virtual machines find their image; or TANDEM_LAB_IMAGE.")
    var image: String?

    /// What the machines are.
    var backend: Kind {
        named ?? environmentVariable("TANDEM_LAB_BACKEND").flatMap { Kind(rawValue: $0) } ?? .vm
    }

    func validate() throws {
        if let word = environmentVariable("TANDEM_LAB_BACKEND"), named == nil, Kind(rawValue: word) == nil {
            throw ValidationError("TANDEM_LAB_BACKEND is netns or vm; not '\(word)'")
        }
    }

    private func place(_ usual: String) throws -> LabDirectory {
        try LabDirectory(directory ?? environmentVariable("TANDEM_LAB_DIR") ?? usual)
    }

    /// The lab of network namespaces that these options name.
    func lab() throws -> LabTopology {
        guard backend == .netns else {
            throw ValidationError("this is not made for virtual machines; say --backend netns")
        }
        return try LabTopology(directory: try place(".lab"), product: try LabTopology.findProduct())
    }

    /// The lab of virtual machines that these options name.
    func virtualLab() throws -> VirtualLab {
        let image = try LabDirectory(
            self.image ?? environmentVariable("TANDEM_LAB_IMAGE") ?? ".lab-image")
        return try VirtualLab(
            directory: try place(".lab-vm"), image: image.path, product: try LabTopology.findProduct())
    }

    /// The lab, whatever its machines are.
    func anyLab() throws -> any LabBackend {
        switch backend {
        case .netns: try lab()
        case .vm: try virtualLab()
        }
    }
}

/// Ends the process with status 1 when `holds` is false; what went wrong was printed before.
func require(_ holds: Bool) throws {
    if !holds { throw ExitCode.failure }
}
