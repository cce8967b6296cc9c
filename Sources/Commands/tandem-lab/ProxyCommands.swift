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
    @Option(help: "Seconds of load; 0: only the reloads under load.") var seconds: UInt64 = 180
    @Option(help: "Which servers die when.") var seed: UInt64 = 1
    @Option(help: "The first of the ports of 127.0.0.1 that are used.") var port = 18280

    func run() throws {
        var load = ProxyLoad(
            place: directory, product: try LabTopology.findProduct(), length: .seconds(seconds), seed: seed,
            port: port)
        let proof = try load.run()
        proof.printLine()
        try require(proof.failed == 0)
    }
}

struct ProxyCasesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "proxy-cases",
        abstract: "Every case of the case file against ours, HAProxy and nginx; exit 1 when ours differs.",
        shouldDisplay: false)
    @Option(help: "The case file.") var cases: String
    @Option(help: "An empty directory for what is written meanwhile.") var directory: String
    @Option(help: "Where the page of the result is written.") var page: String?
    @Option(help: "Only cases with this in their name, each shown with its bytes.") var only = ""

    func run() throws {
        guard let text = TextFile.read(cases) else { throw ValidationError("there is no file '\(cases)'") }
        var run = ProxyCases(file: text, place: directory, product: try LabTopology.findProduct())
        let proof = try run.run(only: only)
        if let page { try TextFile.write(run.page, to: page) }
        proof.printLine()
        try require(proof.failed == 0)
    }
}
