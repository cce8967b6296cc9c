import ArgumentParser
import Lab

/// Measures Tandem beside what bounds it, on the same machine in the same run.
@main
struct TandemBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tandem-bench", abstract: "Measure Tandem beside its floors.",
        subcommands: [Volume.self, Proxy.self])
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

struct Proxy: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "The front proxy beside HAProxy and nginx of the distribution, on loopback.")
    @Option(help: "Where the compiled programs of Tools/bench.d are.") var tools: String
    @Option(help: "A directory for what is written meanwhile.") var directory: String
    @Option(help: "Milliseconds of each measurement, counted in whole seconds.") var milliseconds: UInt64 =
        3000
    @Option(help: "Rounds, in which the programs take turns.") var rounds = 5
    @Option(help: "Idle connections whose memory is measured; 0 leaves it out.") var idle = 10_000
    @Option(help: "Only this program: tandem, haproxy, nginx; may be repeated.") var program: [String] = []
    @Option(help: "Only this mode: http, httpLog, tcp; may be repeated.") var mode: [String] = []

    func run() throws {
        let programs = try program.map { name in
            guard let found = ProxyBenchProgram(rawValue: name) else {
                throw ValidationError("there is no program '\(name)'; there are tandem, haproxy, nginx")
            }
            return found
        }
        let modes = try mode.map { name in
            guard let found = ProxyBenchMode.allCases.first(where: { "\($0)" == name }) else {
                throw ValidationError("there is no mode '\(name)'; there are http, httpLog, tcp")
            }
            return found
        }
        var bench = ProxyBench(
            place: directory, tools: tools, product: try LabTopology.findProduct(),
            milliseconds: milliseconds,
            rounds: rounds, programs: programs.isEmpty ? ProxyBenchProgram.allCases : programs,
            modes: modes.isEmpty ? ProxyBenchMode.allCases : modes, idleConnections: idle)
        try bench.run()
    }
}
