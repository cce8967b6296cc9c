import ArgumentParser
import Lab

/// Measures Tandem beside what bounds it, on the same machine in the same run.
@main
struct TandemBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tandem-bench", abstract: "Measure Tandem beside its floors.", subcommands: [Volume.self]
    )
}

struct Volume: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "The volume beside the plain file, a C pass-through and the network.")
    @Option(help: "Where the compiled programs of Tools/bench.d are.") var tools: String
    @Option(help: "The lab's directory; or TANDEM_LAB_DIR.") var directory: String?
    @Option(help: "Milliseconds of each measurement.") var milliseconds: UInt64 = 2000
    @Option(help: "Rounds, which alternate between the layers.") var rounds = 3
    @Flag(help: "Copies on the directory's disk, not in memory.") var disk = false
    @Flag(help: "Only what needs nothing of the product.") var floors = false
    @Option(help: "Only this layer, by its name in the table; may be repeated.") var layer: [String] = []

    func validate() throws {
        guard milliseconds >= 100, rounds >= 1 else {
            throw ValidationError("at least 100 milliseconds and one round")
        }
        for name in layer where BenchLayer(rawValue: name) == nil {
            let names = BenchLayer.allCases.map { "'\($0.rawValue)'" }.joined(separator: ", ")
            throw ValidationError("there is no layer '\(name)'; there are \(names)")
        }
    }

    func run() throws {
        let path = directory ?? environmentVariable("TANDEM_LAB_DIR") ?? ".lab/bench"
        let lab = try LabTopology(
            directory: try LabDirectory(path), product: try LabTopology.findProduct(), helper: "tandem-lab")
        var bench = VolumeBench(
            lab: lab, tools: tools, milliseconds: milliseconds, rounds: rounds, onDisk: disk,
            floorsOnly: floors, only: layer.compactMap(BenchLayer.init(rawValue:)))
        try bench.run()
    }
}
