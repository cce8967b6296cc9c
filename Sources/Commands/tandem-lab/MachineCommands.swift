import ArgumentParser
import Basics
import Glibc
import Lab

struct Up: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Start machines, witness and nodes.")
    @OptionGroup var options: LabOptions
    @Option(help: "Size of the volume.") var size = "256MiB"
    @Option(help: "sealed or plain.") var transport = "sealed"
    @Flag(
        inversion: .prefixedNo,
        help: "Export the mount over NFS, and mount it on the client (virtual machines).")
    var export = true
    @Flag(help: "Start the machines without the product.") var bare = false

    func run() throws {
        var settings = LabSettings()
        settings.size = size
        settings.transport = transport
        settings.hasPair = true
        switch options.backend {
        case .netns:
            let lab = try options.lab()
            try lab.raise()
            if !bare { try lab.install(settings) }
        case .vm:
            settings.exports = export
            try raiseVirtual(settings)
        }
        for line in try options.anyLab().statusLines() { print(line) }
    }

    private func raiseVirtual(_ settings: LabSettings) throws {
        let lab = try options.virtualLab()
        func say(_ text: String) {
            print(text)
            fflush(nil)
        }
        try lab.raise(say)
        guard !bare else { return }
        // After `down` the machines find everything on their disks.
        if !lab.isInstalled {
            say("making secret, settings and copies")
            try lab.install(settings)
        }
        if lab.isExporting {
            try VirtualClient(lab).mount()
            say("the client has \(VirtualClient.source) at \(VirtualClient.inside)")
        }
    }
}

struct Ssh: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "A shell on a virtual machine, or one command there: ssh NAME [CMD ...].")
    @OptionGroup var options: LabOptions
    @Argument(help: "node1, node2 or client.") var name: String
    @Argument(parsing: .captureForPassthrough, help: "The command; nothing for a shell.")
    var command: [String] = []

    func run() throws {
        guard options.backend == .vm else {
            throw ValidationError("only virtual machines have ssh; say --backend vm")
        }
        let lab = try options.virtualLab()
        try lab.check(name)
        try lab.machine(name).enter(command.isEmpty ? nil : command.joined(separator: " "))
    }
}

struct Demo: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Replicate, kill the holder, take over, return, resync, switch over, compare the copies.")
    @OptionGroup var options: LabOptions

    func run() throws {
        switch options.backend {
        case .netns: try require(LabDemo(lab: try options.lab()).run())
        case .vm: try require(VirtualDemo(lab: try options.virtualLab()).run())
        }
    }
}

struct Status: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Which machines are up, what is cut, who is Primary.")
    @OptionGroup var options: LabOptions

    func run() throws { for line in try options.anyLab().statusLines() { print(line) } }
}

struct Kill: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Cut a machine's power.")
    @OptionGroup var options: LabOptions
    @Argument(help: "node1, node2, witness or client.") var name: String
    @Flag(help: "Kill only the product's processes; mounts, loop device and address stay behind.")
    var process = false

    func run() throws {
        let lab = try options.anyLab()
        try lab.check(name)
        if process { try lab.killDaemon(name) } else { try lab.kill(name) }
    }
}

struct Start: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Start a machine that was killed.")
    @OptionGroup var options: LabOptions
    @Argument(help: "node1, node2, witness or client.") var name: String

    func run() throws {
        let lab = try options.anyLab()
        try lab.check(name)
        try lab.start(name)
    }
}

struct Cut: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Drop what a machine sends and receives: cut NAME [from NAME] [--oneway].")
    @OptionGroup var options: LabOptions
    @Argument(help: "NAME, or NAME from NAME.") var words: [String]
    @Flag(name: .customLong("oneway"), help: "Drop only what the first one sends.") var oneWay = false

    func run() throws {
        guard words.count == 1 || (words.count == 3 && words[1] == "from") else {
            throw ValidationError("say 'cut NAME' or 'cut NAME from NAME'")
        }
        let lab = try options.anyLab()
        for name in Set([words[0], words[words.count - 1]]) { try lab.check(name) }
        let others = words.count == 3 ? [words[2]] : lab.names
        try lab.cut(words[0], from: others, oneWay: oneWay)
    }
}

struct Heal: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Take back every cut.")
    @OptionGroup var options: LabOptions

    func run() throws { try options.anyLab().heal() }
}

struct Down: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "End all machines; disks and logs stay.")
    @OptionGroup var options: LabOptions

    func run() throws { try options.anyLab().down() }
}

struct Wipe: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "End all machines and remove everything; exit 1 and a list when something remains.")
    @OptionGroup var options: LabOptions

    func run() throws {
        let remains = try options.anyLab().wipe()
        for line in remains { print("remains: \(line)") }
        print(remains.isEmpty ? "nothing runs and nothing is mounted" : "\(remains.count) things remain")
        try require(remains.isEmpty)
    }
}

struct Machine: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "A machine's first process.", shouldDisplay: false)
    @Option var directory: String
    @Option var name: String

    func run() throws { try MachineInit.run(name: name, directory: try LabDirectory(directory)) }
}

struct Disk: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "A virtual machine's disk, whose cache forgets when the machine's power is cut.",
        shouldDisplay: false)
    @Argument var image: String
    @Option var socket: String
    @Option(help: "mixed, all or none.") var cache = "mixed"
    @Option var seed: UInt64 = 1

    func validate() throws {
        guard VolatileDisk.Cache(rawValue: cache) != nil else {
            throw ValidationError("--cache is mixed, all or none; not '\(cache)'")
        }
    }

    func run() throws {
        var disk = VolatileDisk(image: image, socket: socket)
        disk.cache = VolatileDisk.Cache(rawValue: cache) ?? .mixed
        disk.seed = seed
        let lost = try disk.run()
        print("\(lost) sectors lost (cache \(cache), seed \(seed))")
    }
}
