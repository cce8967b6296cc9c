import ArgumentParser
import Basics
import Lab
import NodeRuntime
import Settings
import Telemetry

struct Knock: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Connect to a port again and again, until SIGTERM.", shouldDisplay: false)
    @Argument var address: String
    @Argument var port: UInt16
    @Option var log: String
    @Option(help: "Milliseconds between two tries.") var pause: UInt64 = 50

    func run() throws {
        try PortKnocker(address: address, port: port, log: log, pause: .milliseconds(pause)).run()
    }
}

struct Relay: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Relay NFS from a port of this machine, until SIGTERM.", shouldDisplay: false)
    @Argument var listen: UInt16
    @Argument var address: String
    @Argument var port: UInt16
    @Flag(help: "Let the client see one write verifier for ever.") var keepVerifier = false

    func run() throws {
        try VerifierRelay(listen: listen, address: address, port: port, keepsVerifier: keepVerifier).run()
    }
}

struct Metadata: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make, rename, link and remove files, until SIGTERM.", shouldDisplay: false)
    @Argument var directory: String
    @Option var log: String
    @Option(help: "Milliseconds from one operation to the next.") var period: UInt64 = 50

    func run() throws {
        try MetadataWriter(directory: directory, log: log, period: .milliseconds(period)).run()
    }
}

struct Copy: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write a large file and sync it once, or judge it.", shouldDisplay: false)
    @Argument var path: String
    @Option(help: "MiB.") var size = 200
    @Option var seed: UInt64 = 1
    @Option(help: "Where each answer goes; without it the file is judged.") var log: String?

    func run() throws {
        let copy = FileCopy(path: path, size: size, seed: seed)
        if let log { return try copy.write(log: log) }
        let wrong = try copy.differences()
        print("\(wrong) of \(size) MiB differ")
        try require(wrong == 0)
    }
}

/// The product's node with a mistake of its own: for tests of the tests. The product has no word for it.
struct BrokenNode: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "broken-node", abstract: "Run a node with a deliberate mistake.", shouldDisplay: false)
    @Argument(help: "A case of NodeBreak.") var mistake: String
    @Option var settings: String
    @Option var node: String

    func run() throws {
        guard let mistake = NodeBreak(rawValue: mistake) else { throw ValidationError("no such break") }
        let loaded = try Settings.load(path: settings)
        try NodeDaemon.run(
            settings: loaded, node: try loaded.localNode(named: node), journal: Journal(label: "tandem"),
            break: mistake)
    }
}
