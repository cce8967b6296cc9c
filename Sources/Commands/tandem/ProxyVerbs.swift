import ArgumentParser
import Basics
import ControlPlane
import Glibc
import ProxyRuntime
import Settings

/// Which proxy process is asked.
struct ProxyPlace: ParsableArguments {
    @OptionGroup var place: PlaceOptions

    @Option(
        help:
            "The control socket of the proxy, for when the settings file cannot be read: RUN-DIRECTORY/proxy."
    )
    var socket: String?

    func path() throws -> String { try socket ?? ProxyProcess.controlSocketPath(place.load()) }

    /// One request and its answer; a refusal ends with status 1.
    func ask(_ verb: String, _ arguments: [String] = []) throws -> ControlReply {
        let path = try path()
        let reply: ControlReply
        do {
            reply = try ControlClient.call(
                path, ControlRequest(verb: verb, arguments: arguments), deadline: Clock.now() + .seconds(30))
        } catch ControlError.notRunning {
            throw Refusal(
                description: "no proxy listens on \(path): start `tandem proxy` on this machine first")
        }
        guard reply.isOK else { throw Refusal(description: reply.message) }
        return reply
    }
}

/// What the proxies are and have done.
struct ProxyStatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show the proxies of this machine and their servers.")

    @OptionGroup var proxy: ProxyPlace

    @Flag(help: "One JSON object; its rows have HAProxy's column names.")
    var json = false

    @Flag(help: "Again every second, until Ctrl-C.")
    var watch = false

    func run() throws {
        repeat {
            let body = try proxy.ask("status").body
            if watch && !json { print("\u{1B}[H\u{1B}[2J", terminator: "") }
            print(json ? body.encoded() : ProxyStatusScreen(body).text)
            fflush(nil)
            if watch { sleep(1) }
        } while watch
    }
}

/// A verb about one server.
protocol ProxyServerVerb: ParsableCommand {
    var proxy: ProxyPlace { get }
    var server: String { get }
}

extension ProxyServerVerb {
    func order(_ arguments: [String] = []) throws {
        guard let verb = Self.configuration.commandName else { preconditionFailure("a verb without a name") }
        print(try proxy.ask(verb, [server] + arguments).message)
        fflush(nil)
    }
}

/// Nobody new for a server.
struct ProxyDrainCommand: ProxyServerVerb {
    static let configuration = CommandConfiguration(
        commandName: "drain",
        abstract: "Give a server nobody new; it keeps who is there, and who brings its cookie.",
        discussion: """
            With --until-empty it waits until nobody is in service, no client that has its cookie is connected, and nobody
            has come for --quiet seconds. Until then it shows who is left.
            """)

    @OptionGroup var proxy: ProxyPlace
    @Argument(help: "PROXY/SERVER.") var server: String
    @Flag(help: "Wait until nobody is left.") var untilEmpty = false
    @Option(help: "Seconds to wait at most; then it ends with status 1, and the server goes on draining.")
    var deadline: Int?
    @Option(help: "Seconds in which nobody must have come: 10 where a cookie brings clients back, else 0.")
    var quiet: Int?

    func validate() throws {
        guard untilEmpty || deadline == nil && quiet == nil else {
            throw ValidationError("--deadline and --quiet belong to --until-empty")
        }
        guard (deadline ?? 0) >= 0, (quiet ?? 0) >= 0 else { throw ValidationError("seconds are 0 or more") }
    }

    /// Between two looks.
    private static let pause: UInt32 = 250_000

    func run() throws {
        try order()
        guard untilEmpty else { return }
        let end = deadline.map { Clock.now() + .seconds(UInt64($0)) } ?? .never
        let wanted = quiet.map { Interval.seconds(UInt64($0)) }
        var shown = ""
        while true {
            guard let left = ProxyRemainder(try proxy.ask("left", [server]).body) else {
                throw Refusal(description: "the proxy does not tell who is left")
            }
            guard left.isLeaving else {
                throw Refusal(description: "\(left.server) was made ready by somebody else")
            }
            if left.isEmpty(quiet: wanted) { return print("\(left.server) is empty") }
            guard Clock.now() < end else {
                throw Refusal(
                    description:
                        "after \(deadline ?? 0) s it is not empty: \(left.sentence); it goes on draining")
            }
            if left.sentence != shown { print(left.sentence) }
            shown = left.sentence
            fflush(nil)
            usleep(Self.pause)
        }
    }
}

/// Nobody at all for a server.
struct ProxyMaintenanceCommand: ProxyServerVerb {
    static let configuration = CommandConfiguration(
        commandName: "maintenance", abstract: "Give a server nobody, not even who brings its cookie.")

    @OptionGroup var proxy: ProxyPlace
    @Argument(help: "PROXY/SERVER.") var server: String
    func run() throws { try order() }
}

/// A server serves again.
struct ProxyReadyCommand: ProxyServerVerb {
    static let configuration = CommandConfiguration(
        commandName: "ready", abstract: "End drain or maintenance of a server.")

    @OptionGroup var proxy: ProxyPlace
    @Argument(help: "PROXY/SERVER.") var server: String
    func run() throws { try order() }
}

/// Another share for a server.
struct ProxyWeightCommand: ProxyServerVerb {
    static let configuration = CommandConfiguration(
        commandName: "weight",
        abstract: "Give a server another weight, until the settings give it another.")

    @OptionGroup var proxy: ProxyPlace
    @Argument(help: "PROXY/SERVER.") var server: String
    @Argument(help: "0 to 256, or `settings` for the weight of the settings.") var weight: String
    func run() throws { try order([weight]) }
}

/// New settings without a cut.
struct ProxyReloadCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reload",
        abstract: "Read the settings anew; no connection ends by that.",
        discussion: "A file that cannot be used changes nothing, and is told with line and column.")

    @OptionGroup var proxy: ProxyPlace

    func run() throws { print(try proxy.ask("reload").message) }
}
