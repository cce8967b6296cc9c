import ArgumentParser
import ControlPlane
import Glibc

/// The last lines of the proxies' access logs.
struct ProxyLogCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "log",
        abstract: "Print the last lines of the access logs, wherever they go.",
        discussion: "A proxy with `log: none` has none. The last 256 KiB of lines are kept.")

    /// Between two looks while it follows.
    private static let pause: UInt32 = 250_000

    @OptionGroup var proxy: ProxyPlace

    @Option(name: .shortAndLong, help: "Lines at most.")
    var number = 100

    @Flag(help: "Go on with new ones, until Ctrl-C.")
    var follow = false

    func validate() throws {
        guard number >= 0 else { throw ValidationError("-n must be 0 or more") }
    }

    func run() throws {
        var arguments = ["last", "\(number)"]
        while true {
            let body = try proxy.ask("log", arguments).body
            if let missed = body["missed"].integer, missed > 0 {
                print("... \(missed) lines came faster than they were read")
            }
            for line in body["lines"].elements { print(line.string ?? "") }
            fflush(nil)
            guard follow, let next = body["next"].integer else { return }
            arguments = ["from", "\(next)"]
            usleep(Self.pause)
        }
    }
}
