import Basics
import Failover

/// A machine that does what a plan says, in memory, and fails where it is told to.
///
/// It knows what must be there before what, so a plan in the wrong order is noticed by what it breaks and not
/// by a comparison with itself.
struct FakeMachine {
    enum Behaviour: Equatable {
        case works
        case fails
        case busy
        /// Answers only after it was told to stop.
        case slow
        /// Does not answer, told or not, until `release` is called.
        case hangs
    }

    var plan: FailoverPlan
    var now = Instant(nanoseconds: 1_000_000_000_000)
    /// What exists: "granted", "open V", "loop V", "link V", "mounted P", "address A".
    var exists: Set<String> = []
    /// Volumes whose device answers with EIO.
    var failed: Set<String> = []
    var behaviours: [String: Behaviour] = [:]
    /// The names of the steps performed, in order.
    var performed: [String] = []
    /// What broke an order that must never be broken.
    var violations: [String] = []
    var outcomes: [FailoverAction] = []
    var notes: [FailoverNote] = []
    var hanging: [(AttemptIdentifier, FailoverEffect)] = []
    private var started: String = ""

    init(_ targets: FailoverTargets, break mistake: FailoverBreak? = nil) {
        plan = FailoverPlan(targets: targets, break: mistake)
    }

    mutating func tell(_ event: FailoverEvent) {
        var queue = plan.handle(event, at: now)
        while !queue.isEmpty {
            let action = queue.removeFirst()
            switch action {
            case .note(let note):
                notes.append(note)
                if case .stepStarted(_, let step) = note { started = step }
            case .perform(let identifier, let effect): queue += perform(identifier, effect, named: started)
            case .cancel(let identifier): queue += cancel(identifier)
            default: outcomes.append(action)
            }
        }
    }

    private mutating func perform(
        _ identifier: AttemptIdentifier, _ effect: FailoverEffect, named name: String
    )
        -> [FailoverAction]
    {
        performed.append(name)
        if let address = told(by: effect) {
            // Judged when it begins: what it sends too late reaches nobody who would mind.
            require("server", for: effect)
            let isThere = exists.contains { $0.hasPrefix("address \(address)/") }
            if !isThere { violations.append("\(effect) without the address") }
        }
        switch behaviours[name] ?? .works {
        case .works:
            apply(effect)
            return plan.handle(.succeeded(identifier), at: now)
        case .fails: return plan.handle(.failed(identifier, .failed("as the test says")), at: now)
        case .busy: return plan.handle(.failed(identifier, .busy(pins: ["77 cat"])), at: now)
        case .slow, .hangs:
            hanging.append((identifier, effect))
            return []
        }
    }

    /// The address in whose name clients are told.
    private func told(by effect: FailoverEffect) -> IPv4Address? {
        switch effect {
        case .tickleClients(_, let address), .notifyLockClients(_, let address): address
        default: nil
        }
    }

    private mutating func cancel(_ identifier: AttemptIdentifier) -> [FailoverAction] {
        guard let index = hanging.firstIndex(where: { $0.0 == identifier }) else { return [] }
        let step = started
        guard behaviours[step] != .hangs else { return [] }
        let effect = hanging.remove(at: index).1
        // The worst case: it came too late to be stopped, and took effect.
        apply(effect)
        return plan.handle(.failed(identifier, .cancelled), at: now)
    }

    /// What hung in the kernel ends, having taken effect after all.
    mutating func release() {
        while !hanging.isEmpty {
            let (identifier, effect) = hanging.removeFirst()
            apply(effect)
            tell(.succeeded(identifier))
        }
    }

    /// Sends the wake-ups that fall due until then.
    mutating func run(for time: Interval) {
        let end = now + time
        while plan.nextWakeup <= end {
            now = max(now, plan.nextWakeup)
            tell(.wake)
        }
        now = end
    }

    private mutating func require(_ thing: String, for effect: FailoverEffect) {
        if !exists.contains(thing) { violations.append("\(effect) without \(thing)") }
    }

    private mutating func forbid(_ prefix: String, for effect: FailoverEffect) {
        for thing in exists where thing.hasPrefix(prefix) { violations.append("\(effect) while \(thing)") }
    }

    private mutating func apply(_ effect: FailoverEffect) {
        switch effect {
        case .acquireGrant: exists.insert("granted")
        case .releaseGrant:
            for prefix in ["open", "loop", "mounted", "records", "exported", "server", "address"] {
                forbid(prefix, for: effect)
            }
            exists.remove("granted")
        case .openVolume(let name):
            require("granted", for: effect)
            failed.remove(name)
            exists.insert("open \(name)")
        case .closeVolume(let name):
            forbid("loop \(name)", for: effect)
            exists.remove("open \(name)")
        case .failDevice(let name):
            forbid("address", for: effect)
            failed.insert(name)
        case .attachLoop(let name):
            require("open \(name)", for: effect)
            exists.insert("loop \(name)")
        case .detachLoop(let name):
            forbid("mounted \(name)", for: effect)
            exists.remove("loop \(name)")
        case .linkDevice(_, let name):
            require("loop \(name)", for: effect)
            exists.insert("link \(name)")
        case .unlinkDevice(_, let name): exists.remove("link \(name)")
        case .checkFileSystem(let name, _):
            require("loop \(name)", for: effect)
            forbid("mounted \(name)", for: effect)
        case .mount(let name, _):
            require("loop \(name)", for: effect)
            exists.insert("mounted \(name)")
        case .unmount(let path):
            forbid("address", for: effect)
            forbid("server", for: effect)
            forbid("exported \(path)", for: effect)
            forbid("records \(path)", for: effect)
            forbid("locks \(path)", for: effect)
            exists.remove("mounted \(path.dropFirst("/srv/".count))")
        case .startClientRecords, .stopClientRecords, .startLockRecords, .stopLockRecords, .export,
            .withdrawExport, .startServer, .stopServer, .tickleClients, .notifyLockClients:
            applyToServer(effect)
        case .raiseAddress(let prefix):
            if plan.targets.export != nil { require("server", for: effect) }
            for volume in plan.targets.volumes where volume.mount != nil {
                require("mounted \(volume.name)", for: effect)
            }
            exists.insert("address \(prefix)")
        case .lowerAddress(let prefix): exists.remove("address \(prefix)")
        case .destroyConnections: forbid("address", for: effect)
        }
    }

    private mutating func applyToServer(_ effect: FailoverEffect) {
        switch effect {
        case .startClientRecords(let export):
            require("mounted \(export.path.dropFirst("/srv/".count))", for: effect)
            exists.insert("records \(export.path)")
        case .stopClientRecords(let export):
            forbid("server", for: effect)
            exists.remove("records \(export.path)")
        case .startLockRecords(let export):
            require("mounted \(export.path.dropFirst("/srv/".count))", for: effect)
            exists.insert("locks \(export.path)")
        case .stopLockRecords(let export):
            forbid("server", for: effect)
            exists.remove("locks \(export.path)")
        case .export(let export):
            require("mounted \(export.path.dropFirst("/srv/".count))", for: effect)
            exists.insert("exported \(export.path)")
        case .withdrawExport(let export):
            forbid("server", for: effect)
            exists.remove("exported \(export.path)")
        case .startServer(let export):
            require("records \(export.path)", for: effect)
            require("exported \(export.path)", for: effect)
            if export.hasLockRecords { require("locks \(export.path)", for: effect) }
            exists.insert("server")
        case .stopServer:
            forbid("address", for: effect)
            exists.remove("server")
        default: break
        }
    }

    static let targets = FailoverTargets(
        group: "files",
        volumes: [
            VolumeTarget(name: "one", mount: MountTarget(path: "/srv/one", type: "ext4")),
            VolumeTarget(name: "two"),
        ],
        export: ExportTarget(
            path: "/srv/one", clients: ["192.168.56.0/24"], options: ["rw", "sync"], fileSystemIdentifier: 77,
            scope: "lab", records: "/srv/one/.tandem"),
        addresses: [IPv4Prefix(IPv4Address(192, 168, 56, 100), length: 24)])

    static let promotion = [
        "grant", "open one", "open two", "attach one", "attach two", "link one", "link two", "check one",
        "mount one", "start nfsdcld", "export /srv/one", "start nfsd", "raise 192.168.56.100/24",
        "tickle clients of 192.168.56.100",
    ]
    /// Those whose failure is the promotion's: all but the tickle, which is worth a try.
    static let promotionNeeds = promotion.filter { !$0.hasPrefix("tickle") }
    static let demotion = [
        "lower 192.168.56.100/24", "disconnect 192.168.56.100", "stop nfsd", "withdraw /srv/one",
        "stop nfsdcld", "unmount one", "unlink two", "unlink one", "detach two", "detach one", "close two",
        "close one", "release",
    ]
    static let deposition = [
        "lower 192.168.56.100/24", "disconnect 192.168.56.100", "fail one", "fail two", "stop nfsd",
        "withdraw /srv/one", "stop nfsdcld", "unmount one", "unlink two", "unlink one", "detach two",
        "detach one", "close two", "close one",
    ]

    /// A machine that is Primary, its record of what was performed emptied.
    static func primary() -> FakeMachine {
        var machine = FakeMachine(targets)
        machine.tell(.promote)
        machine.performed.removeAll()
        machine.outcomes.removeAll()
        machine.notes.removeAll()
        return machine
    }

    /// The steps of a promotion that have an undo, reversed, from this one on.
    static func undone(from step: String) -> [String] {
        let begun = promotion[...(promotion.firstIndex(of: step) ?? 0)]
        return begun.reversed().filter { !$0.hasPrefix("check") && !$0.hasPrefix("tickle") }.map {
            "undo \($0)"
        }
    }
}
