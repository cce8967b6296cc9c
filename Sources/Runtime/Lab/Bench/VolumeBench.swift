import Basics
import Glibc

/// Measures the volume beside its floors, in a lab of its own: rounds that alternate between the layers.
public struct VolumeBench {
    private let lab: LabTopology
    /// Where the C programs lie, compiled.
    private let tools: String
    private let milliseconds: UInt64
    private let rounds: Int
    /// Whether the copies lie on the lab's own disk, not in memory.
    private let onDisk: Bool
    private let layers: [BenchLayer]
    private var results = BenchResults()
    private let disk = LabDirectory.diskInside

    public init(
        lab: LabTopology, tools: String, milliseconds: UInt64, rounds: Int, onDisk: Bool, floorsOnly: Bool,
        only: [BenchLayer] = []
    ) {
        self.lab = lab
        self.tools = tools
        self.milliseconds = milliseconds
        self.rounds = rounds
        self.onDisk = onDisk
        layers = BenchLayer.allCases.filter {
            (only.isEmpty || only.contains($0)) && !(floorsOnly && $0.needsProduct)
                && !(onDisk && $0 == .network)
        }
    }

    /// Runs all rounds and prints the table; the lab is gone afterwards, whatever happens.
    public mutating func run() throws(LabError) {
        var failure: LabError?
        do {
            for round in 1...rounds {
                for layer in layers {
                    say("round \(round) of \(rounds): \(layer.rawValue)")
                    try measure(layer, traced: round == rounds)
                }
            }
        } catch {
            failure = error
        }
        let remains = try lab.wipe()
        BenchTable(results: results, onDisk: onDisk).print()
        if let failure { throw failure }
        if !remains.isEmpty { throw LabError("left behind: \(remains.joined(separator: "; "))") }
    }

    private func say(_ text: String) {
        let line = Array((text + "\n").utf8)
        _ = write(2, line, line.count)
    }

    private mutating func measure(_ layer: BenchLayer, traced: Bool) throws(LabError) {
        _ = try lab.wipe()
        try lab.raise()
        if !onDisk {
            for node in ["node1", "node2"] {
                try perform("mount -t tmpfs -o size=3g memory \(disk)", on: node)
            }
        }
        switch layer {
        case .network:
            try measureNetwork()
        case .plain:
            try perform("fallocate -l \(4 * BenchWorkload.covered) \(disk)/data", on: "node1")
            try load(layer, "\(disk)/data", servers: [], traced: false)
        case .passthrough, .passthroughLoop:
            try measurePassthrough(layer, traced: traced)
        default:
            try measureProduct(layer, traced: traced)
        }
    }

    @discardableResult
    private func perform(
        _ script: String, on node: String, limit: Interval = .seconds(60)
    ) throws(LabError) -> String {
        let outcome = try lab.machine(node).run(["sh", "-c", script], limit: limit)
        guard outcome.status == 0 else { throw LabError("\(script): \(outcome.output)") }
        return outcome.output
    }

    /// Bytes of the volumes: what the loads use, and room for a file system around it.
    private var size: UInt64 { 4 * BenchWorkload.covered + 256 * BenchWorkload.mebibyte }

    private mutating func measurePassthrough(_ layer: BenchLayer, traced: Bool) throws(LabError) {
        try perform("fallocate -l \(size) \(disk)/backing && mkdir -p /srv/fuse /srv/ext4", on: "node1")
        let log = lab.directory.path + "/passthrough.log"
        let server = try lab.machine("node1").launch(
            [tools + "/passthrough", "\(disk)/backing", "/srv/fuse"], log: log)
        let up: Bool? = try LabClock.wait(.seconds(10)) { () throws(LabError) -> Bool? in
            try lab.machine("node1").run(["mountpoint", "-q", "/srv/fuse"]).status == 0 ? true : nil
        }
        guard up != nil, let process = server.process else {
            throw LabError("the pass-through does not mount: \(TextFile.read(log) ?? "")")
        }
        var file = "/srv/fuse/data"
        if layer.usesLoop {
            try perform(
                "mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0 \(file) && mount -o loop \(file) /srv/ext4"
                    + " && losetup --direct-io=on $(losetup -n -O NAME -j \(file))", on: "node1")
            file = "/srv/ext4/data"
        }
        try load(layer, file, servers: [process], traced: traced)
        if layer.usesLoop { try perform("umount /srv/ext4", on: "node1") }
    }

    private mutating func measureProduct(_ layer: BenchLayer, traced: Bool) throws(LabError) {
        var settings = LabSettings()
        settings.size = "\(size / BenchWorkload.mebibyte)MiB"
        settings.volumeKeys = ", activity-log-extents: \(BenchWorkload.activityLogExtents)"
        settings.mounts = layer.usesLoop
        settings.transport = layer.transport
        settings.freezeSeconds = 60
        try lab.install(settings)
        try waitFor("both copies UpToDate on a Primary") { status in status.isPrimary && status.isSettled }
        if layer.isAlone {
            lab.killDaemon("node2")
            try waitFor("node1 goes on alone") { status in
                status.isPrimary && status.connection != "Connected"
            }
        }
        let file = layer.usesLoop ? "\(LabSettings.mountPath)/data" : try fuseFile()
        let peer = layer.isAlone ? [] : lab.daemonProcesses("node2")
        try load(layer, file, servers: lab.daemonProcesses("node1"), peer: peer, traced: traced)
    }

    private func waitFor(_ what: String, _ condition: (StoryStatus) -> Bool) throws(LabError) {
        let found: Bool? = LabClock.wait(.seconds(60)) { () -> Bool? in
            lab.status(of: "node1").map(condition) == true ? true : nil
        }
        guard found != nil else { throw LabError("not within 60 s: \(what)") }
    }

    /// The one file of the volume's FUSE mount, as the loop device uses it.
    private func fuseFile() throws(LabError) -> String {
        // Mounts of the host are seen here too: only what lies in the node's own directory is its.
        let script =
            "grep -E '^[^ ]+ [^ ]+ [^ ]+ [^ ]+ /run/tandem/.* - fuse[. ]' /proc/self/mountinfo"
            + " | cut -d ' ' -f 5"
        let places = try perform(script, on: "node1").split(separator: "\n")
        guard let place = places.first else { throw LabError("no FUSE mount on node1") }
        let file = try perform("find \(place) -type f | head -n 1", on: "node1").split(separator: "\n").first
        guard let file else { throw LabError("no file in \(place)") }
        return String(file)
    }

    private mutating func measureNetwork() throws(LabError) {
        let log = lab.directory.path + "/floor.log"
        _ = try lab.machine("node2").launch([tools + "/floor", "serve", "7000", "\(disk)/floor"], log: log)
        let up: Bool? = LabClock.wait(.seconds(5)) {
            TextFile.read(log)?.contains("ready") == true ? true : nil
        }
        guard up != nil else { throw LabError("the floor's peer does not listen") }
        for workload in BenchWorkload.onNetwork {
            let words = [
                tools + "/floor", "drive", LabNetwork.address(of: "node2"), "7000", "\(disk)/floor",
                "\(workload.area)", "\(workload.block)", "\(workload.depth)", "\(milliseconds)",
            ]
            let outcome = try lab.machine("node1").run(words)
            guard let rate = Double(outcome.output.split(separator: "\n").first ?? "") else {
                throw LabError("the network floor: \(outcome.output)")
            }
            results.add(rate, .network, workload)
        }
    }

    private mutating func load(
        _ layer: BenchLayer, _ file: String, servers: [Int32], peer: [Int32] = [], traced: Bool
    ) throws(LabError) {
        let filled = try lab.machine("node1").run(BenchWorkload.fill(file), limit: .seconds(120))
        guard BenchWorkload.requestsPerSecond(filled.output) != nil else {
            throw LabError("fill \(file): \(filled.output)")
        }
        for workload in BenchWorkload.all {
            let before = [servers, peer].map { Usage($0) }
            let rate = try fio(workload, file)
            results.add(rate, layer, workload)
            guard workload == .write1 || workload == .write16, !servers.isEmpty else { continue }
            let requests = rate * Double(milliseconds) / 1000
            var costs = zip([servers, peer], before).map { Usage($0).cost(since: $1, requests: requests) }
            if traced {
                costs[0].systemCalls = try systemCalls(of: servers, workload, file)
                if !peer.isEmpty { costs[1].systemCalls = try systemCalls(of: peer, workload, file) }
            }
            results.costs[layer, default: [:]][workload] = (costs[0], peer.isEmpty ? nil : costs[1])
        }
    }

    private func fio(_ workload: BenchWorkload, _ file: String) throws(LabError) -> Double {
        let call = workload.fio(file, milliseconds: milliseconds)
        let outcome = try lab.machine("node1").run(call, limit: .milliseconds(milliseconds + 60_000))
        guard let rate = BenchWorkload.requestsPerSecond(outcome.output) else {
            throw LabError("fio, \(workload.name), on \(file): \(outcome.output)")
        }
        return rate
    }

    /// System calls a request, counted by strace in a run of its own: tracing slows the run, not the count.
    private func systemCalls(
        of processes: [Int32], _ workload: BenchWorkload, _ file: String
    ) throws(LabError) -> Double? {
        let counts = lab.directory.path + "/strace"
        let words = ["strace", "-f", "-c", "-q", "-o", counts] + processes.flatMap { ["-p", "\($0)"] }
        let tracer = try ChildProcess.start(words, output: .file(counts + ".log"))
        let attached: Bool? = LabClock.wait(.seconds(5)) {
            processes.allSatisfy {
                TextFile.read("/proc/\($0)/status")?.contains("TracerPid:\t0\n") == false
            } ? true : nil
        }
        guard attached != nil else {
            kill(tracer, SIGINT)
            _ = ChildProcess.reap(tracer)
            return nil
        }
        let rate = try fio(workload, file)
        kill(tracer, SIGINT)
        _ = ChildProcess.reap(tracer)
        guard let total = TextFile.read(counts)?.split(separator: "\n").last(where: { $0.hasSuffix("total") })
        else {
            return nil
        }
        let fields = total.split(separator: " ")
        guard fields.count > 3, let calls = Double(fields[3]) else { return nil }
        return calls / (rate * Double(milliseconds) / 1000)
    }

    /// What processes have used so far.
    private struct Usage {
        let processor: Interval
        let switches: UInt64

        init(_ processes: [Int32]) {
            processor = Interval(
                nanoseconds: processes.reduce(0) { $0 + ProcessTable.processorTime(of: $1).nanoseconds })
            switches = processes.reduce(0) { $0 + ProcessTable.contextSwitches(of: $1) }
        }

        func cost(since before: Usage, requests: Double) -> BenchCost {
            var cost = BenchCost()
            cost.processor = Double(processor.nanoseconds - before.processor.nanoseconds) / 1000 / requests
            cost.contextSwitches = Double(switches) - Double(before.switches)
            cost.contextSwitches /= requests
            return cost
        }
    }
}
