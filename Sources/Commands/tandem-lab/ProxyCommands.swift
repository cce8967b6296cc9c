import ArgumentParser
import Basics
import Lab

struct ProxyLoadCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "proxy-load",
        abstract:
            "Mixed load on a real proxy while its servers die and return; exit 1 when a request was not honest.",
        shouldDisplay: false)
    @Option(help: "An empty directory for what is written meanwhile.") var directory: String
    @Option(help: "Seconds of load.") var seconds: UInt64 = 180
    @Option(help: "Which servers die when.") var seed: UInt64 = 1

    func run() throws {
        var load = ProxyLoad(
            place: directory, product: try LabTopology.findProduct(), length: .seconds(seconds), seed: seed)
        let proof = try load.run()
        proof.printLine()
        try require(proof.failed == 0)
    }
}
