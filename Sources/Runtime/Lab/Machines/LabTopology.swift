public import Basics
import Glibc

/// A whole lab on one machine: two nodes, witness, client and the bridge between them, and the product in it.
public struct LabTopology: Sendable {
    public let directory: LabDirectory
    /// This program.
    public let program: String
    /// The product's binary.
    public let product: String
    /// Variables that the product is started with, such as a break of the test build.
    public var environment: [String: String] = [:]

    /// The machines beside the bridge.
    public static let machineNames = ["node1", "node2", "witness", "client"]
    /// The machines that run a daemon of the product.
    public static let daemonNames = ["witness", "node1", "node2"]
    private static let bridgeName = "bridge"

    /// A lab in `directory` that runs the program `product`; needs root.
    /// `helper` names the program beside this one that machines run, when it is not this one.
    public init(directory: LabDirectory, product: String, helper: String? = nil) throws(LabError) {
        guard let program = TextFile.link("/proc/self/exe") else {
            throw LabError("which program is this?", code: errno)
        }
        guard getuid() == 0 else { throw LabError("a lab needs namespaces and mounts: run it as root") }
        self.directory = directory
        self.program = helper.map { Self.beside(program, $0) } ?? program
        self.product = product
    }

    /// One of the machines, up or not.
    public func machine(_ name: String) -> LabMachine { LabMachine(name, in: directory, program: program) }
    /// The machine that the bridge is in.
    public var bridge: LabMachine { machine(Self.bridgeName) }
    /// The links between the machines.
    public var network: LabNetwork { LabNetwork(bridge: bridge) }
    private var everyMachine: [LabMachine] { ([Self.bridgeName] + Self.machineNames).map { machine($0) } }

    /// Starts the machines and links them, with nothing of the product in them.
    public func raise() throws(LabError) {
        for one in everyMachine where one.first != nil {
            throw LabError(
                "this lab is up already (\(directory.path)); 'Tools/lab --backend netns wipe' ends it")
        }
        try TextFile.makeDirectory(directory.path)
        for one in everyMachine { try one.start() }
        try network.build()
        for name in Self.machineNames { try network.attach(machine(name)) }
    }

    /// Makes secret, settings and both copies, and starts witness and nodes.
    public func install(_ settings: LabSettings) throws(LabError) {
        unlink(directory.secret)
        try TextFile.write(settings.text(in: directory), to: directory.settings)
        let secret = try ChildProcess.run([product, "secret", "--out", directory.secret])
        guard secret.status == 0 else { throw LabError("tandem secret: \(secret.output)") }
        if settings.hasVolume { try startWitness() }
        for node in ["node1", "node2"] where settings.hasVolume {
            let made = try verb(["init"], on: node, limit: .seconds(60))
            guard made.status == 0 else { throw LabError("tandem init on \(node): \(made.output)") }
        }
        if settings.hasPair { try startWebServers() }
        for node in ["node1", "node2"] { try startDaemon(node) }
    }

    /// Starts the witness and waits until it listens.
    public func startWitness() throws(LabError) {
        let log = directory.daemonLog("witness")
        let known = TextFile.read(log)?.utf8.count ?? 0
        try startDaemon("witness")
        let up: Bool? = LabClock.wait(.seconds(10)) {
            (TextFile.read(log) ?? "").utf8.dropFirst(known).count > 0 ? true : nil
        }
        guard up != nil else { throw LabError("the witness says nothing") }
    }

    /// Starts the daemon of a machine that is up.
    public func startDaemon(_ name: String) throws(LabError) {
        guard name == "witness" else {
            // First, and answering: a node that finds its proxy gone leaves the address to the other one.
            if hasPair { try startProxy(name) }
            return try startNode(name)
        }
        try launch(["witness", "--settings", directory.settings], on: name)
    }

    /// Starts the node alone of a machine that is up.
    func startNode(_ name: String) throws(LabError) {
        try launch(["node", "--settings", directory.settings, "--node", name], on: name)
    }

    private func launch(_ words: [String], on name: String) throws(LabError) {
        _ = try machine(name).launch(
            [product] + words, log: directory.daemonLog(name), environment: environment)
    }

    /// Runs a verb of the product on a node.
    public func verb(
        _ words: [String], on node: String, limit: Interval = .seconds(30)
    ) throws(LabError) -> ChildProcess.Outcome {
        let place = ["--settings", directory.settings, "--node", node]
        return try machine(node).run([product] + words + place, limit: limit, environment: environment)
    }

    /// Cuts a machine's power.
    public func kill(_ name: String) throws(LabError) {
        try machine(name).kill()
        try network.detach(name)
    }

    /// Stops the product's processes of a machine for that long, as a machine stalls.
    public func pause(_ name: String, for length: Interval) {
        let processes = daemonProcesses(name)
        for process in processes { Glibc.kill(process, SIGSTOP) }
        LabClock.nap(length)
        for process in processes + machine(name).entrances { Glibc.kill(process, SIGCONT) }
    }

    /// Kills the product's processes of a machine at once; what they had made there remains.
    public func killDaemon(_ name: String) {
        // The keeper first: it must not tidy up after the worker.
        for process in daemonProcesses(name).sorted() { Glibc.kill(process, SIGKILL) }
    }

    /// The product's processes of a machine, keeper before worker.
    public func daemonProcesses(_ name: String) -> [Int32] { machine(name).processes(running: product) }

    /// Starts a machine that was killed, and its daemon.
    public func start(_ name: String) throws(LabError) {
        let one = machine(name)
        if one.first == nil {
            try one.start()
            try network.attach(one)
            if name == "client", hasPair { try startWebServers() }
        }
        if Self.daemonNames.contains(name) && daemonProcesses(name).isEmpty { try startDaemon(name) }
    }

    /// Ends all machines; disks and logs stay.
    public func down() throws(LabError) {
        for one in everyMachine.reversed() { try one.kill() }
    }

    /// Ends all machines and removes the lab's directory; says what remains, which must be nothing.
    public func wipe() throws(LabError) -> [String] {
        let loops = everyMachine.flatMap(\.loopDevices)
        try down()
        // Who held a machine from outside ends a moment after it.
        var remains: [String] = []
        _ = LabClock.wait(.seconds(10)) { () -> Bool? in
            remains = processesOfLab()
            return remains.isEmpty ? true : nil
        }
        for line in (TextFile.read("/proc/self/mounts") ?? "").split(separator: "\n")
        where line.contains(directory.path + "/") {
            remains.append("mount: \(line)")
        }
        let gone: Bool? = LabClock.wait(.seconds(5)) {
            () -> Bool? in Set(LabMachine.attachedLoops().map(\.path)).isDisjoint(with: loops) ? true : nil
        }
        if gone == nil {
            let held = Set(LabMachine.attachedLoops().map(\.path)).intersection(loops)
            remains += held.sorted().map { "loop device: \($0)" }
        }
        // A disk that others keep busy takes its time over images of hundreds of megabytes.
        let removed = try ChildProcess.run(
            ["rm", "-rf", "--one-file-system", directory.path], limit: .seconds(120))
        if removed.status != 0 { remains.append("files: rm ended with \(removed.status): \(removed.output)") }
        return remains
    }

    /// The processes that name this lab on their command line, this one not counted.
    private func processesOfLab() -> [String] {
        ProcessTable.numbers.compactMap { number in
            guard let line = TextFile.bytes("/proc/\(number)/cmdline"), number != getpid() else { return nil }
            let words = line.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
            guard words.contains(where: { $0 == directory.path || $0 == directory.settings }) else {
                return nil
            }
            return "process \(number): \(words.joined(separator: " "))"
        }
    }
}
