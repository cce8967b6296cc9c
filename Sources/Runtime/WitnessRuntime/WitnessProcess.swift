import Basics
import ControlPlane
import Glibc
import LinuxSystem
public import Settings
public import Telemetry

/// `tandem witness`: the daemon, its control socket and the signals that end it.
public enum WitnessProcess {
    /// The path of the witness's control socket; a node on the same machine has another.
    public static func controlSocketPath(_ settings: Settings) -> String {
        "\(settings.runDirectory)/witness"
    }

    /// Runs until SIGTERM or SIGINT. Call it before any other thread starts.
    public static func run(settings: Settings, journal: Journal) throws(WitnessError) {
        let watch: SignalWatch
        let remote: WitnessRemote
        do throws(SystemError) {
            watch = try SignalWatch([SIGTERM, SIGINT])
            remote = try WitnessRemote()
        } catch {
            throw .system(error)
        }
        let daemon = try WitnessDaemon(settings: settings, journal: journal, remote: remote)
        let control: ControlServer
        do throws(ControlError) {
            control = try ControlServer(
                path: controlSocketPath(settings), journal: journal, handler: remote)
        } catch {
            throw .unopened("\(error)")
        }
        let failure: Result<Void, WitnessError>
        do throws(SystemError) {
            let serving = try SystemThread(name: "control") { control.run() }
            let signals = try SystemThread(name: "signals") { watch.run { remote.stop() } }
            let outcome = Result { () throws(WitnessError) in try daemon.run() }
            control.stop()
            watch.stop()
            signals.join()
            serving.join()
            failure = outcome
        } catch {
            throw .system(error)
        }
        try failure.get()
    }
}
