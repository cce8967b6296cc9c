import Basics
import ControlPlane
import Failover
import FuseDevice
import Glibc
import HostServices
import LinuxSystem
import Settings
import Synchronization

/// Performs the effects that may block: mounts, loop devices, file-system checks. One thread a group, one effect at a
/// time, in the order in which they were given.
final class FailoverPerformer: Sendable {
    private enum Order: Sendable {
        case perform(AttemptIdentifier, FailoverEffect)
        case recordClients
        case stop
    }

    private let settings: Settings
    private let group: Settings.Group
    private let orders: NodeInbox<Order>
    /// Ordered and not reported, and those of them that are to stop.
    private struct Attempts {
        var open: Set<AttemptIdentifier> = []
        var cancelled: Set<AttemptIdentifier> = []
        var running: AttemptIdentifier?
    }

    private let attempts = Mutex(Attempts())
    private let cancelWake: EventCounter
    private let isRecording = Atomic(false)
    private let report: @Sendable (AttemptIdentifier, StepFailure?) -> Void
    private let news: @Sendable (ServerNews) -> Void
    /// The mount's descriptor, on its way to the volume's thread.
    private let session = Mutex<MountedDevice?>(nil)
    private let thread = Mutex<NodeThread?>(nil)

    init(
        _ settings: Settings, _ group: Settings.Group, news: @escaping @Sendable (ServerNews) -> Void,
        report: @escaping @Sendable (AttemptIdentifier, StepFailure?) -> Void
    ) throws(SystemError) {
        self.settings = settings
        self.group = group
        self.report = report
        self.news = news
        orders = try NodeInbox()
        cancelWake = try EventCounter()
        let thread = try NodeThread(name: "failover") { [self] in run() }
        self.thread.withLock { $0 = thread }
    }

    /// Performs it and reports.
    func perform(_ identifier: AttemptIdentifier, _ effect: FailoverEffect) {
        attempts.withLock { _ = $0.open.insert(identifier) }
        orders.post(.perform(identifier, effect))
    }

    /// Whether an effect is being performed.
    var isPerforming: Bool { attempts.withLock { $0.running != nil } }

    /// Writes down who is connected over NFS, when it has changed.
    func recordClients() {
        // One that hangs on a frozen device is enough.
        guard !isRecording.exchange(true, ordering: .acquiringAndReleasing) else { return }
        orders.post(.recordClients)
    }

    /// Stops that attempt if it can be stopped; it reports all the same. One that has been reported is not looked for:
    /// its cancellation must not meet the next.
    func cancel(_ identifier: AttemptIdentifier) {
        attempts.withLock { attempts in
            guard attempts.open.contains(identifier) else { return }
            attempts.cancelled.insert(identifier)
            if attempts.running == identifier { cancelWake.signal() }
        }
    }

    /// The device of the `openVolume` that has just succeeded.
    func takeSession() -> MountedDevice? { session.withLock { $0.take() } }

    /// Ends the thread after what was ordered.
    func stop() {
        orders.post(.stop)
        thread.withLock { $0 }?.join()
    }

    private func run() {
        var hands = FailoverHands(settings: settings, group: group)
        while true {
            for order in orders.takeAll() {
                let (identifier, effect): (AttemptIdentifier, FailoverEffect)
                switch order {
                case .perform(let attempt, let what): (identifier, effect) = (attempt, what)
                case .recordClients:
                    for line in hands.recordClients() { news(line) }
                    isRecording.store(false, ordering: .releasing)
                    continue
                case .stop: return
                }
                // Only what is cancelled from here on wakes this one.
                let wasCancelled = attempts.withLock { attempts in
                    cancelWake.drain()
                    attempts.running = identifier
                    return attempts.cancelled.contains(identifier)
                }
                let failure =
                    wasCancelled ? .cancelled : hands.perform(effect, cancel: cancelWake.descriptor.raw)
                if case .openVolume = effect, failure == nil {
                    let device = hands.takeDevice()
                    session.withLock { $0 = device }
                }
                attempts.withLock { attempts in
                    attempts.open.remove(identifier)
                    attempts.cancelled.remove(identifier)
                    attempts.running = nil
                }
                report(identifier, failure)
            }
            var poll = PollSet()
            poll.add(orders.descriptor, .readable)
            do throws(SystemError) { try poll.wait(until: .never) } catch {
                // Nothing to wait with: look again soon, without spinning. Who waits for a step would wait for ever.
                usleep(5000)
            }
        }
    }
}

/// What the performer holds, and how each effect is done.
struct FailoverHands: ~Copyable {
    private let settings: Settings
    private let group: Settings.Group
    private var mount: FuseMount?
    private var device: MountedDevice?
    private var loop: LoopDevice?
    private var loopPath: String?
    private var server: ServerHands

    init(settings: Settings, group: Settings.Group) {
        self.settings = settings
        self.group = group
        server = ServerHands(settings, group)
        mount = nil
        loop = nil
    }

    mutating func recordClients() -> [ServerNews] { server.recordClients() }

    private var sessionPath: String { NodeContext.sessionPath(settings, group) }
    private var volumeFile: String { "\(sessionPath)/\(FuseSession.fileName)" }

    mutating func takeDevice() -> MountedDevice? {
        defer { device = nil }
        return device
    }

    mutating func perform(_ effect: FailoverEffect, cancel: Int32) -> StepFailure? {
        do throws(SystemError) {
            switch effect {
            case .openVolume: try open()
            case .closeVolume: return try close()
            case .attachLoop:
                let attached = try LoopDevice.attach(volumeFile)
                loopPath = attached.path
                loop = consume attached
            case .detachLoop: return try detach()
            case .linkDevice(let group, let volume): try link(group, volume)
            case .unlinkDevice(let group, let volume):
                let path = NodeContext.linkPath(settings, group, volume)
                guard unlink(path) == 0 || errno == ENOENT else {
                    throw SystemError(operation: "unlink", subject: path, code: errno)
                }
            case .checkFileSystem(_, let type): return try check(type, cancel: cancel)
            case .mount(_, let target):
                try FileTree.makeDirectory(target.path, mode: 0o755)
                try Mounting.mount(
                    loopPath ?? "", at: target.path, type: target.type, options: target.options)
            case .unmount(let path): return try unmount(path)
            case .startClientRecords(let export): return try server.startRecords(export)
            case .stopClientRecords(let export): try server.stopRecords(export)
            case .startLockRecords(let export): return try server.startLockRecords(export)
            case .stopLockRecords(let export): try server.stopLockRecords(export)
            case .notifyLockClients(let export, let address):
                return try server.notify(export, address)
            case .export(let export): return try server.publish(export, cancel: cancel)
            case .withdrawExport: try FileExport.flush()
            case .startServer(let export): return try server.start(export)
            case .stopServer: try server.stop()
            case .tickleClients(_, let address): try server.tickle(address)
            case .acquireGrant, .releaseGrant, .failDevice, .raiseAddress, .lowerAddress, .destroyConnections:
                preconditionFailure("\(effect) belongs to the group's thread")
            }
            return nil
        } catch {
            return .failed("\(error)")
        }
    }

    private mutating func open() throws(SystemError) {
        try FileTree.makeDirectory(sessionPath, mode: 0o755)
        let mounted = try FuseMount(at: sessionPath)
        device = MountedDevice(try mounted.descriptor.duplicate())
        mount = consume mounted
    }

    private mutating func close() throws(SystemError) -> StepFailure? {
        do throws(SystemError) { try mount?.unmount() } catch {
            guard error.code == EBUSY else { throw error }
            return .busy(pins: Self.names(try MountPins.of(mount: sessionPath)))
        }
        mount = nil
        device = nil
        return nil
    }

    private mutating func detach() throws(SystemError) -> StepFailure? {
        guard let path = loopPath else { return nil }
        if let owned = loop.take() { try owned.detach() } else { try LoopDevice.detach(path) }
        // The last user may let go a moment later: udev and blkid look at devices that come and go.
        let end = Instant.now() + .seconds(2)
        while !LoopDevice.isDetached(path) {
            guard Instant.now() < end else { return .busy(pins: Self.names(try MountPins.of(device: path))) }
            var poll = PollSet()
            try poll.wait(until: .now() + .milliseconds(5))
        }
        loopPath = nil
        return nil
    }

    private func link(_ group: String, _ volume: String) throws(SystemError) {
        let path = NodeContext.linkPath(settings, group, volume)
        try FileTree.makeDirectory("\(settings.deviceDirectory)/\(group)", mode: 0o755)
        _ = unlink(path)
        guard symlink(loopPath ?? "", path) == 0 else {
            throw SystemError(operation: "link", subject: path, code: errno)
        }
    }

    private func check(_ type: String, cancel: Int32) throws(SystemError) -> StepFailure? {
        guard let path = loopPath else { return .failed("no loop device") }
        let tools = FileSystemTools()
        // The probe is a process; what the kernel's own check of the first bytes finds needs none.
        let isKnown = try ExtendedSuperblock.read(path) != nil
        if !isKnown, try tools.type(of: path, deadline: .seconds(20)) == nil, try BlankDevice.isBlank(path) {
            // A volume that nobody has written to: what the settings name is made on it, once.
            let made = try tools.make(type, on: path, deadline: .seconds(300))
            return made.isSuccess ? nil : .failed(made.summary)
        }
        switch try tools.checkIfNeeded(type, on: path, deadline: .seconds(590), cancel: cancel) {
        case .notNeeded, .clean: return nil
        case .failed(let result): return .failed(result.summary)
        }
    }

    private func unmount(_ path: String) throws(SystemError) -> StepFailure? {
        // A request that has just been answered lets go a moment later.
        let end = Instant.now() + .milliseconds(300)
        while true {
            // What was never mounted is undone as well: somebody else's mount on the same directory stays.
            let table = try MountTable.read()
            let ours = loopPath.map { table.entries(from: $0) } ?? []
            guard let mounted = ours.last(where: { $0.mountPoint == path }) ?? ours.last else { return nil }
            let place = mounted.mountPoint
            if let other = table.entry(at: place), other.source != mounted.source {
                return .busy(pins: ["a mount of \(other.source) over it"])
            }
            do throws(SystemError) {
                try Mounting.unmount(place)
                return nil
            } catch {
                guard error.code == EBUSY else { throw error }
                guard Instant.now() < end else {
                    return .busy(pins: Self.names(try MountPins.of(mount: place)))
                }
                var poll = PollSet()
                try poll.wait(until: .now() + .milliseconds(10))
            }
        }
    }

    private static func names(_ pins: [MountPin]) -> [String] { pins.map { "\($0)" } }
}
