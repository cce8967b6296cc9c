import ArgumentParser
import WitnessRuntime

/// Makes the cluster's secret.
struct SecretCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "secret",
        abstract: "Make a cluster's secret.",
        discussion: "Copy the file to every machine of the cluster; who does not know it takes no part.")

    @Option(
        help: "A new file of mode 0600; one that exists is never overwritten. Without it, standard output.")
    var out: String?

    func run() throws {
        guard let out else { return print(SecretFile.newText(), terminator: "") }
        try SecretFile.create(out)
    }
}
