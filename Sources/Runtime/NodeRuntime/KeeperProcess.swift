import Basics
import CLinux
import Election
import Glibc
import LinuxSystem
import Netlink
import SecureChannel
import Settings
import Telemetry
import WireFormat

/// The keeper: the tiny parent of the worker. It opens no volume and no connection; it passes signals on, and tidies
/// up when the worker dies (DESIGN 5.8).
enum KeeperProcess {
    /// The worker's exit status when it did not start, and the keeper was told why.
    private static let refused: Int32 = 70
    /// When it could not go on; the keeper was told why.
    private static let failed: Int32 = 71

    /// Starts `work` in a child and waits for its end. Throws the worker's own reason when it did not start, and
    /// `workerDied` when it died or could not go on.
    static func run(
        _ context: NodeContext, _ work: () throws(NodeError) -> Void
    ) throws(NodeError) {
        let signals: SignalQueue
        do throws(SystemError) { signals = try SignalQueue([SIGTERM, SIGINT, SIGHUP]) } catch {
            throw .system(error)
        }
        let reason: KeeperReason
        do throws(SystemError) { reason = try .make() } catch { throw .system(error) }
        let worker = clinux_fork()
        if worker == 0 {
            clinux_end_with_parent(SIGTERM)
            do throws(NodeError) { try work() } catch {
                // The keeper says it: the last line that is printed is the reason.
                if !reason.tell("\(error)") {
                    context.journal.record("node-refused", level: .error, ["reason": error])
                }
                if case .refused = error { _exit(refused) }
                _exit(failed)
            }
            _exit(0)
        }
        guard worker > 0 else { throw .system(SystemError(operation: "fork", subject: "", code: errno)) }
        let status = try supervise(worker, signals)
        guard status != 0 else { return }
        // It has served nothing: there is nothing to remove or to give back, and another daemon's is not touched.
        let told = reason.told()
        if status == refused, let told { throw .refused(told) }
        context.journal.record("worker-died", level: .error, ["status": status])
        throw .workerDied(status: status, reason: told, remains: tidyUp(context))
    }

    private static func supervise(_ worker: pid_t, _ signals: borrowing SignalQueue) throws(NodeError)
        -> Int32
    {
        do throws(SystemError) {
            let number = clinux_pidfd(worker)
            guard number >= 0 else {
                throw SystemError(operation: "pidfd_open", subject: "the worker", code: errno)
            }
            let process = Descriptor(adopting: number)
            while true {
                var poll = PollSet()
                let ended = poll.add(process.raw, .readable)
                poll.add(signals.descriptor.raw, .readable)
                try poll.wait(until: .never)
                if !poll.ready(at: ended).isEmpty { return clinux_reap(worker) }
                while let signal = try signals.next() { kill(worker, signal == SIGHUP ? SIGHUP : SIGTERM) }
            }
        } catch {
            throw .system(error)
        }
    }

    /// What must go at once when nobody serves the volume any more, in the order of its urgency.
    private static func tidyUp(_ context: NodeContext) -> [String] {
        var left = KeeperRemains.lowerAddresses(context.settings)
        resign(context)
        KeeperGrant.tellPeer(context)
        KeeperGrant.release(context)
        left += KeeperRemains.removeDevices(context.settings)
        KeeperRemains.removeRules(context.settings)
        return left
    }

    /// Says for each address that nobody is Active here: the other node need not wait for silence.
    private static func resign(_ context: NodeContext) {
        for group in context.settings.groups {
            guard let prefix = group.address else { continue }
            // Best effort: the other node notices the silence as well.
            _ = Result { () throws(SystemError) in
                guard let (interface, own) = try NetworkInterfaces.serving(prefix.address) else { return }
                let socket = try AdvertisementSocket(on: interface, from: own.address, joinsGroup: false)
                let message = VRRPAdvertisement(
                    virtualRouter: group.virtualRouterID, priority: 0, interval: 10,
                    addresses: [prefix.address])
                try socket.send(message.encoded(from: own.address, to: .vrrpGroup), to: .vrrpGroup)
            }
        }
    }
}
