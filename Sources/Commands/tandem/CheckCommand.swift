import ArgumentParser
import Basics
import Provisioning

/// Looks at what a node needs before it is started.
struct CheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Look at settings, secret, witness, peer, tools and copies of this machine.")

    @OptionGroup var place: PlaceOptions

    func run() throws {
        let settings = try place.load()
        print("ok       settings: \(place.settings)")
        let findings = MachineCheck.run(
            settings: settings, nodeName: place.node, deadline: Clock.now() + .seconds(5))
        for finding in findings { print("\(finding.isOK ? "ok      " : "problem ") \(finding.text)") }
        if findings.contains(where: { !$0.isOK }) { throw ExitCode.failure }
    }
}
