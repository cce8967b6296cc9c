import Basics
import ControlPlane
import Glibc
import LinuxSystem
import ProxyRuntime
import Synchronization

/// One value from another thread, waited for with a deadline.
final class Mail<Value: Sendable>: Sendable {
    private let value = Mutex<Value?>(nil)
    private let came: EventCounter

    init() throws { came = try EventCounter() }

    func put(_ new: Value) {
        value.withLock { $0 = new }
        came.signal()
    }

    func get() throws -> Value {
        var poll = PollSet()
        poll.add(came.descriptor.raw, .readable)
        guard try poll.wait(until: Instant.now() + .seconds(20)) > 0, let found = value.withLock({ $0 })
        else {
            throw TestFailure("no answer in 20 s")
        }
        return found
    }
}

extension Stage {
    /// Reloads and waits for the outcome.
    func reload(
        _ configurations: [ProxyConfiguration]? = nil, _ change: (inout ProxyConfiguration) -> Void = { _ in }
    ) throws -> Result<Void, ProxyError> {
        var changed = configuration
        change(&changed)
        let mail = try Mail<Result<Void, ProxyError>>()
        proxy.reload(configurations ?? [changed], statistics: page) { mail.put($0) }
        return try mail.get()
    }

    /// Reloads, which must succeed.
    func reloaded(_ change: (inout ProxyConfiguration) -> Void) throws {
        try reload(nil, change).get()
    }

    /// The answer to a verb.
    func verb(_ verb: String, _ arguments: String...) throws -> ControlReply {
        let mail = try Mail<ControlReply>()
        proxy.ask(ControlRequest(verb: verb, arguments: arguments)) { mail.put($0) }
        return try mail.get()
    }

    /// The row of a server in the answer to `status`.
    func row(_ server: String) throws -> JSONValue {
        let rows = try verb("status").body["rows"].elements
        guard let row = rows.first(where: { $0["svname"].string == server }) else {
            throw TestFailure("no row of \(server)")
        }
        return row
    }

    /// Asks a verb until the body is as wanted.
    func await(_ name: String, _ arguments: String, _ wanted: (JSONValue) -> Bool) throws {
        let deadline = Instant.now() + .seconds(10)
        var last = JSONValue.null
        while Instant.now() < deadline {
            last = try verb(name, arguments).body
            if wanted(last) { return }
        }
        throw TestFailure("\(name) was never as wanted: \(last.encoded())")
    }
}

/// A directory that goes with its owner.
final class Scratch {
    let path = "/dev/shm/tandem-proxy.\(UInt64.random(in: 0 ... .max))"

    init() throws {
        guard mkdir(path, 0o700) == 0 else { throw TestFailure("cannot make \(path)") }
    }

    func write(_ name: String, _ text: String) throws {
        try FileTree.replace("\(path)/\(name)", with: Array(text.utf8))
    }

    deinit {
        for name in ["proxy.admin", "tandem.yaml", "proxy.admin.new"] { unlink("\(path)/\(name)") }
        rmdir(path)
    }
}

/// Runs a store on a thread until it goes.
final class RunningStore {
    let store: ProxyAdminStore
    private let thread: Stage.ThreadBox.OneThread

    init(_ directory: String) throws {
        let store = try ProxyAdminStore(path: "\(directory)/proxy.admin")
        self.store = store
        thread = .init(try SystemThread(name: "admin") { store.run() })
    }

    deinit { store.stop() }
}

/// A name server of the test's own.
final class KnownNames: Sendable {
    let known = Mutex<[String: [SocketAddress]]>([:])

    func addresses(of host: String) -> [SocketAddress] { known.withLock { $0[host] ?? [] } }
}
