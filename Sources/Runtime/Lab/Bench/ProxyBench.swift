import Basics
import Glibc

/// Measures the proxy beside HAProxy and nginx on loopback: alternating rounds, one program at a time.
///
/// The proxy runs on one processor, the load (wrk) and the servers (a program in C that answers at once) on the other,
/// so that the processor time of a request is the proxy's alone. It is the figure to believe: the rate also shows what
/// the load cost, and the rest of the machine.
public struct ProxyBench {
    private let place: String
    private let tools: String
    private let product: String
    private let milliseconds: UInt64
    private let rounds: Int
    private let programs: [ProxyBenchProgram]
    private let modes: [ProxyBenchMode]
    /// Connections of the memory measurement; 0 leaves it out.
    private let idleConnections: Int
    private var results = ProxyBenchResults()
    private var running: [ProcessMark] = []
    private static let connections = 64
    private static let body = 1024
    private let ports = (proxy: 18180, origins: [18181, 18182])

    /// `place` is an empty directory, `tools` where the compiled programs of Tools/bench.d are.
    public init(
        place: String, tools: String, product: String, milliseconds: UInt64, rounds: Int,
        programs: [ProxyBenchProgram], modes: [ProxyBenchMode], idleConnections: Int
    ) {
        (self.place, self.tools, self.product) = (place, tools, product)
        (self.milliseconds, self.rounds) = (milliseconds, rounds)
        (self.programs, self.modes) = (programs, modes)
        self.idleConnections = idleConnections
    }

    /// Runs all rounds and prints the table. Every program that it started has ended afterwards.
    public mutating func run() throws(LabError) {
        var failure: LabError?
        do throws(LabError) {
            try TextFile.makeDirectory(place)
            Self.raiseDescriptorLimit()
            let made = try ChildProcess.run([product, "secret", "--out", place + "/secret"])
            guard made.status == 0 else { throw LabError("tandem secret: \(made.output)") }
            for port in ports.origins {
                _ = try start(
                    [tools + "/http", "origin", "\(port)", "\(Self.body)"], on: 1, log: "origin.\(port)")
            }
            try measureAll()
        } catch {
            failure = error
        }
        for process in running { end(process) }
        ProxyBenchTable(results: results, programs: programs, modes: modes, connections: idleConnections)
            .print()
        if let failure { throw failure }
    }

    private mutating func measureAll() throws(LabError) {
        for round in 1...rounds {
            for mode in modes {
                // Whoever comes first finds another machine than whoever comes last.
                let order = round % 2 == 1 ? programs : programs.reversed()
                for program in order {
                    let subject = ProxyBenchSubject(program: program, mode: mode)
                    say("round \(round) of \(rounds): \(subject.name)")
                    try measure(subject)
                }
            }
        }
        guard idleConnections > 0 else { return }
        for program in programs {
            say("memory: \(program.rawValue)")
            try measureMemory(ProxyBenchSubject(program: program, mode: .http))
        }
    }

    private mutating func measure(_ subject: ProxyBenchSubject) throws(LabError) {
        let proxy = try raise(subject)
        defer { lower(proxy) }
        _ = try load(milliseconds: 300)
        let before = ProxyBenchCost.now(of: proxy.number)
        let outcome = try load(milliseconds: milliseconds)
        let cost = ProxyBenchCost.now(of: proxy.number) - before
        results.add(ProxyBenchSample(load: outcome, cost: cost), of: subject)
    }

    private func load(milliseconds: UInt64) throws(LabError) -> ProxyBenchLoad {
        // wrk counts whole seconds: a shorter load is ended by its deadline.
        let seconds = max(1, (milliseconds + 999) / 1000)
        let outcome = try ChildProcess.run(
            [
                "taskset", "-c", "1", "wrk", "-t1", "-c\(Self.connections)", "-d\(seconds)s", "--latency",
                "http://127.0.0.1:\(ports.proxy)/",
            ], limit: .seconds(seconds + 20))
        guard outcome.status == 0, let load = ProxyBenchLoad(outcome.output) else {
            throw LabError("wrk: \(outcome.output)")
        }
        guard load.failures == 0 else {
            throw LabError("\(load.failures) requests failed: \(outcome.output)")
        }
        return load
    }

    private mutating func measureMemory(_ subject: ProxyBenchSubject) throws(LabError) {
        let proxy = try raise(subject)
        defer { lower(proxy) }
        let before = Self.residentKilobytes(of: proxy.number)
        unlink(place + "/idle")
        let client = try start(
            [tools + "/http", "idle", "127.0.0.1", "\(ports.proxy)", "\(idleConnections)"], on: 1, log: "idle"
        )
        defer { lower(client) }
        let log = place + "/idle"
        let ready: Bool? = LabClock.wait(.seconds(60)) { () -> Bool? in
            TextFile.read(log)?.contains("ready \(idleConnections)") == true
                ? true : client.lives ? nil : false
        }
        guard ready == true else { throw LabError("idle connections: \(TextFile.read(log) ?? "")") }
        results.memory[subject.program] = (before, Self.residentKilobytes(of: proxy.number))
    }

    /// As far as this user may; whoever is started inherits it.
    private static func raiseDescriptorLimit() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        _ = setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }

    static func residentKilobytes(of process: Int32) -> Int {
        let lines = (TextFile.read("/proc/\(process)/status") ?? "").split(separator: "\n")
        let line = lines.first { $0.hasPrefix("VmRSS:") } ?? ""
        return Int(line.filter { $0.isNumber }) ?? 0
    }

    // Programs.

    /// Starts the proxy; returns when it has answered from both servers.
    private mutating func raise(_ subject: ProxyBenchSubject) throws(LabError) -> ProcessMark {
        let file = place + "/proxy.settings"
        let log = "proxy.log"
        try TextFile.write(
            subject.settings(port: ports.proxy, origins: ports.origins, place: place), to: file)
        unlink(place + "/" + log)
        unlink(place + "/nginx.access")
        let process = try start(subject.command(product: product, settings: file), on: 0, log: log)
        let answers: Bool? = try LabClock.wait(.seconds(10)) { () throws(LabError) -> Bool? in
            guard process.lives else { return false }
            let asked = try ChildProcess.run(
                ["curl", "-sf", "-o", "/dev/null", "-m", "1", "http://127.0.0.1:\(ports.proxy)/"])
            return asked.status == 0 ? true : nil
        }
        guard answers == true else {
            lower(process)
            throw LabError("\(subject.name) does not serve: \(TextFile.read(place + "/" + log) ?? "")")
        }
        return process
    }

    private mutating func start(_ command: [String], on processor: Int, log: String) throws(LabError)
        -> ProcessMark
    {
        let number = try ChildProcess.start(
            ["taskset", "-c", "\(processor)"] + command,
            output: .file(place + "/" + log))
        guard let mark = ProcessMark(number) else {
            throw LabError("\(command[0]) ended at once: \(TextFile.read(place + "/" + log) ?? "")")
        }
        running.append(mark)
        return mark
    }

    private mutating func lower(_ process: ProcessMark) {
        end(process)
        running.removeAll { $0 == process }
    }

    private func end(_ process: ProcessMark) {
        process.signal(SIGTERM)
        let ended: Int32? = LabClock.wait(.seconds(5)) { () -> Int32? in ChildProcess.ended(process.number) }
        guard ended == nil else { return }
        process.signal(SIGKILL)
        _ = ChildProcess.reap(process.number)
    }

    private func say(_ text: String) {
        let line = Array((text + "\n").utf8)
        _ = write(2, line, line.count)
    }
}
