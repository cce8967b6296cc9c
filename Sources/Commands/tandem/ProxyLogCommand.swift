import ArgumentParser
import Basics
import ControlPlane
import Glibc
import ProxyRuntime
import Settings

/// The last lines of the proxies' access logs.
struct ProxyLogCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "log",
        abstract: "Print the last lines of the access logs, wherever they go.",
        discussion: "A proxy with `log: none` has none. The last 256 KiB of lines are kept.")

    /// Between two looks while it follows.
    private static let pause: UInt32 = 250_000

    @OptionGroup var place: PlaceOptions

    @Option(name: .shortAndLong, help: "Lines at most.")
    var number = 100

    @Flag(help: "Go on with new ones, until Ctrl-C.")
    var follow = false

    func validate() throws {
        guard number >= 0 else { throw ValidationError("-n must be 0 or more") }
    }

    func run() throws {
        let path = ProxyProcess.controlSocketPath(try place.load())
        var arguments = ["last", "\(number)"]
        while true {
            let request = ControlRequest(verb: "log", arguments: arguments)
            let reply = try ControlClient.call(path, request, deadline: Clock.now() + .seconds(5))
            guard reply.isOK else { throw Refusal(description: reply.message) }
            if let missed = reply.body["missed"].integer, missed > 0 {
                print("... \(missed) lines came faster than they were read")
            }
            for line in reply.body["lines"].elements { print(line.string ?? "") }
            fflush(nil)
            guard follow, let next = reply.body["next"].integer else { return }
            arguments = ["from", "\(next)"]
            usleep(Self.pause)
        }
    }
}
