import ControlPlane
import LinuxSystem
import Settings
import Synchronization
import Telemetry

/// Answers the proxies' control socket, and reads the settings anew when told to.
///
/// Settings are read on the thread of whoever asks, never on the one that serves.
final class ProxyControl: ControlHandler, Sendable {
    private let server: ProxyServer
    private let journal: Journal
    /// The settings of the start: what no reload changes.
    private let first: Settings
    /// One reload at a time: the later one must win.
    private let turn = Mutex(())

    init(_ server: ProxyServer, settings: Settings, journal: Journal) {
        self.server = server
        self.journal = journal
        first = settings
    }

    func handle(_ request: ControlRequest, reply: @escaping @Sendable (ControlReply) -> Void) {
        switch request.verb {
        case "reload": reload(reply)
        case "log": reply(Self.lines(request.arguments, of: server.ring))
        case "explain": Self.explain(request.arguments, server, reply)
        default: server.ask(request, reply: reply)
        }
    }

    /// Reads the settings file, checks it, and hands it to the proxies. Any thread.
    func reload(_ reply: @escaping @Sendable (ControlReply) -> Void) {
        let journal = journal
        turn.withLock { _ in
            switch Self.read(after: first) {
            case .failure(let refusal):
                journal.record("reload-refused", level: .warning, ["reason": refusal.message])
                reply(.refused(refusal.message))
            case .success(let plan):
                server.reload(plan.proxies, statistics: plan.statistics) { result in
                    switch result {
                    case .success:
                        let names = plan.proxies.map(\.name).joined(separator: ", ")
                        journal.record("reloaded", ["proxies": names])
                        reply(.done("reloaded: \(names)"))
                    case .failure(let error):
                        journal.record("reload-refused", level: .warning, ["reason": error])
                        reply(.refused("\(error). Nothing has changed"))
                    }
                }
            }
        }
    }

    /// Why a file changes nothing.
    private struct Refusal: Error { let message: String }

    private static func read(after first: Settings) -> Result<ProxyPlan, Refusal> {
        func refused(_ text: String) -> Result<ProxyPlan, Refusal> {
            .failure(Refusal(message: text + "\nNothing has changed."))
        }
        let settings: Settings
        do throws(SettingsError) { settings = try Settings.load(path: first.file) } catch {
            return refused("\(error)")
        }
        for (key, old, new) in [
            ("run-directory", first.runDirectory, settings.runDirectory),
            ("state-directory", first.stateDirectory, settings.stateDirectory),
        ] where old != new {
            return refused("'\(key)' cannot change from \(old) to \(new) by a reload: restart `tandem proxy`")
        }
        do throws(ProxyError) { return .success(try ProxyProcess.plan(settings)) } catch {
            return refused("\(error).")
        }
    }
}
