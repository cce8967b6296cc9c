public import Basics
import Glibc

/// A whole lab of virtual machines: two nodes and a client, which runs the witness as well, and the product in them.
public struct VirtualLab: Sendable {
    public let place: VirtualPlace
    /// The product's binary on this host.
    public let product: String
    /// What becomes of writes that a machine has not flushed when its power is cut.
    public var cache = VolatileDisk.Cache.mixed
    /// A deliberate mistake of both nodes, by its name; for tests of the tests.
    public var mistake: String?

    /// The machines.
    public static let machineNames = ["node1", "node2", "client"]
    /// The settings file inside.
    static let settingsInside = "/etc/tandem/tandem.yaml"
    /// Where copies and state lie inside.
    public static let diskInside = "/var/lib/tandem"
    /// How long a machine may take until it answers; emulation on a busy host is slow.
    static let bootLimit = Interval.seconds(240)

    private let program: String
    private static let hostName = "switch"

    /// A lab in `directory` with machines started from `image`; needs root.
    public init(directory: LabDirectory, image: String, product: String) throws(LabError) {
        guard let program = TextFile.link("/proc/self/exe") else {
            throw LabError("which program is this?", code: errno)
        }
        guard getuid() == 0 else { throw LabError("a lab needs namespaces and taps: run it as root") }
        place = VirtualPlace(directory: directory, image: image)
        self.program = program
        self.product = product
    }

    /// A machine's address in the cluster's network: the client has the witness's.
    public static func address(of name: String) -> String {
        LabNetwork.address(of: name == "client" ? "witness" : name)
    }

    /// One of the machines, on or off.
    public func machine(_ name: String) -> VirtualMachine { VirtualMachine(name, place: place, host: host) }
    /// The namespaces that hypervisors, disks and bridges are in; the network of the host is none of them.
    var host: LabMachine { LabMachine(Self.hostName, in: place.directory, program: program) }
    /// The cluster's network: one bridge, and cuts in it.
    var network: LabNetwork { LabNetwork(bridge: host) }
    private var machines: [VirtualMachine] { Self.machineNames.map { machine($0) } }

    /// Turns all machines on and waits for them. `progress` hears what is being done.
    public func raise(_ progress: (String) -> Void = { _ in }) throws(LabError) {
        guard access(place.root, R_OK) == 0, access(place.kernel, R_OK) == 0 else {
            throw LabError("there is no image in \(place.image): 'Tools/lab.d/image \(place.image)' makes it")
        }
        guard host.first == nil else {
            throw LabError(
                "this lab is up already (\(place.directory.path)); 'wipe' ends it, 'start NAME' starts one")
        }
        try openHost()
        try packProduct()
        let hypervisor = try Hypervisor.find(place, in: host)
        progress("starting \(Self.machineNames.joined(separator: ", ")) (\(hypervisor.text))")
        for one in machines { try one.powerOn(hypervisor, cache: cache) }
        for one in machines {
            try one.waitUntilUp(Self.bootLimit)
            progress("\(one.name) is up")
        }
    }

    private func openHost() throws(LabError) {
        try TextFile.makeDirectory(place.directory.path)
        try host.start()
        try network.build()
        let devices =
            "mkdir -p /run/lab /dev/net && mknod /dev/net/tun c 10 200 && { [ ! -e /sys/class/misc/kvm ]"
            + " || mknod /dev/kvm c $(tr : ' ' </sys/class/misc/kvm/dev); }"
        let made = try host.run(["sh", "-c", devices])
        guard made.status == 0 else { throw LabError("make devices for the hypervisor: \(made.output)") }
        try VirtualReach(place: place, host: host).build(Self.machineNames)
    }

    /// The product and this program as a disk: no copying through an emulated network.
    private func packProduct() throws(LabError) {
        let parts = place.directory.path + "/product"
        try TextFile.makeDirectory(parts)
        let shell =
            "set -e; cp --reflink=auto \"$1\" \"$3/tandem\"; cp --reflink=auto \"$2\" \"$3/tandem-lab\";"
            + " rm -f \"$4\"; mke2fs -q -t ext4 -O ^has_journal -L product -d \"$3\" \"$4\" 160M; rm -rf \"$3\""
        let packed = try ChildProcess.run(
            ["sh", "-c", shell, "sh", product, program, parts, place.product], limit: .seconds(60))
        guard packed.status == 0 else { throw LabError("pack the product: \(packed.output)") }
    }

    /// Whether settings and copies were made before; daemons then start with their machines.
    public var isInstalled: Bool { access(place.directory.settings, F_OK) == 0 }

    /// Whether the cluster that was installed exports its volume, so that the client can mount it.
    public var isExporting: Bool {
        TextFile.read(place.directory.settings)?.contains("    export: {") == true
    }

    /// Makes secret, settings and both copies, and starts witness and nodes.
    public func install(_ settings: LabSettings) throws(LabError) {
        unlink(place.directory.secret)
        let secret = try ChildProcess.run([product, "secret", "--out", place.directory.secret])
        guard secret.status == 0, let words = TextFile.read(place.directory.secret) else {
            throw LabError("tandem secret: \(secret.output)")
        }
        let text = settings.text(
            secret: "/etc/tandem/secret", disk: Self.diskInside, client: Self.address(of: "client"))
        for one in machines {
            try one.write(words, to: "/etc/tandem/secret", mode: "600")
            try one.write(text, to: Self.settingsInside)
        }
        if settings.hasPair { try installPair() }
        if settings.hasVolume { try startDaemon("client") }
        for node in ["node1", "node2"] where settings.hasVolume {
            let made = try verb(["init"], on: node, limit: .seconds(120))
            guard made.status == 0 else { throw LabError("tandem init on \(node): \(made.output)") }
        }
        for node in ["node1", "node2"] { try startDaemon(node) }
        // Last: only a lab that has all of it is installed.
        try TextFile.write(text, to: place.directory.settings)
    }

    /// Starts the daemon of a machine that is up, now and at each start of the machine: the witness on the client.
    /// Returns when it has said that it runs; throws with its last words when it ends before.
    public func startDaemon(_ name: String) throws(LabError) {
        let what = name == "client" ? "witness" : "node"
        let place = name == "client" ? "" : " --node \(name)"
        var words = "/opt/tandem/tandem \(what) --settings \(Self.settingsInside)\(place)"
        if let mistake, name != "client" {
            words = "/opt/tandem/tandem-lab broken-node \(mistake) --settings \(Self.settingsInside)\(place)"
        }
        let one = machine(name)
        // After what `installPair` has put before it.
        try one.require("/usr/local/sbin/lab-init before")
        try one.write(words, to: "/etc/tandem/start")
        let log = self.place.port(1, of: name)
        let known = TextFile.bytes(log)?.count ?? 0
        let process = try one.require("setsid \(words) </dev/null >/dev/lab-log 2>&1 & echo $!")
        func news() -> String {
            String(decoding: (TextFile.bytes(log) ?? []).dropFirst(known), as: UTF8.self)
        }
        let lives: Bool? = try LabClock.wait(.seconds(60), every: .milliseconds(100)) {
            () throws(LabError) -> Bool? in
            if news().contains("\(what)-started") { return true }
            return try one.run("kill -0 \(process)").status == 0 ? nil : false
        }
        guard lives == true else { throw LabError("tandem \(what) does not start on \(name): \(news())") }
    }

    /// Runs a verb of the product on a node.
    public func verb(
        _ words: [String], on node: String, limit: Interval = .seconds(60)
    ) throws(LabError) -> ChildProcess.Outcome {
        let all = ["tandem"] + words + ["--settings", Self.settingsInside, "--node", node]
        return try machine(node).run(all.map { VirtualReach.quote($0) }.joined(separator: " "), limit: limit)
    }

    /// What a node says; nil when it is off or does not answer.
    public func status(of node: String) -> StoryStatus? {
        guard machine(node).life != nil else { return nil }
        do {
            let answer = try verb(["status", "--json"], on: node, limit: .seconds(10))
            return answer.status == 0 ? StoryStatus(json: answer.output) : nil
        } catch {
            // It died between the two questions: the same as off.
            return nil
        }
    }
}

extension Hypervisor {
    /// For people.
    var text: String {
        switch accelerator {
        case .hardware: "hardware virtualisation"
        case .emulation: "emulated, for want of hardware virtualisation"
        }
    }
}
