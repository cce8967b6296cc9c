public import Basics
import CLinux
import Glibc

/// One machine of the lab: namespaces of its own for processes, mounts, network and name, held by one
/// process.
///
/// Killing that process is what a power cut is: the kernel ends everything inside, and no mount, address or
/// link remains. What lies on the machine's disk stays.
public struct LabMachine: Sendable {
    public let directory: LabDirectory
    public let name: String
    /// This program, which is also what runs as a machine's first process.
    let program: String

    public init(_ name: String, in directory: LabDirectory, program: String) {
        self.name = name
        self.directory = directory
        self.program = program
    }

    private var markFile: String { directory.machine(name) + "/process" }

    /// The machine's first process while it runs.
    public var first: ProcessMark? {
        guard let mark = TextFile.read(markFile).flatMap({ ProcessMark($0) }), mark.lives else { return nil }
        return mark
    }

    /// Starts it and waits until it is ready.
    public func start() throws(LabError) {
        guard first == nil else { throw LabError("\(name) runs already") }
        try TextFile.makeDirectory(directory.disk(name))
        let ready = directory.machine(name) + "/ready"
        unlink(ready)
        let holder = try ChildProcess.start(
            [
                "unshare", "--net", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child",
                "--mount-proc", "--propagation", "private", "--", program, "machine", "--directory",
                directory.path, "--name", name,
            ], output: .file(directory.machine(name) + "/machine.log"))
        let up: Bool? = LabClock.wait(.seconds(10)) { () -> Bool? in
            if TextFile.read(ready) != nil { return true }
            return ProcessMark(holder) == nil ? false : nil
        }
        guard up == true, let number = ProcessTable.children(of: holder).first, let mark = ProcessMark(number)
        else {
            Glibc.kill(holder, SIGKILL)
            let log = TextFile.read(directory.machine(name) + "/machine.log") ?? ""
            throw LabError("the machine \(name) did not start: \(log.suffix(400))")
        }
        try TextFile.write(mark.description, to: markFile)
    }

    /// Ends it as a power cut does. The loop devices that it had attached go with it.
    public func kill() throws(LabError) {
        guard let mark = first else { return }
        let loops = loopDevices
        // Who entered from outside stops with the program that it waits for; stopped, it would not see it die.
        for entrance in entrances { Glibc.kill(entrance, SIGCONT) }
        mark.signal(SIGKILL)
        let gone: Bool? = LabClock.wait(.seconds(10), every: .milliseconds(2)) {
            () -> Bool? in ProcessTable.status(mark.number)?.startTime == mark.startTime ? nil : true
        }
        // A machine's memory goes with it, and its loop devices are memory.
        for loop in loops { Self.detach(loop) }
        unlink(markFile)
        guard gone != nil else {
            throw LabError("\(name) (process \(mark.number)) does not end after SIGKILL")
        }
    }

    /// What starts a program inside the machine.
    public func inside(_ arguments: [String], only: [String]? = nil) throws(LabError) -> [String] {
        guard let mark = first else { throw LabError("\(name) is not up") }
        let spaces = only ?? ["--net", "--mount", "--pid", "--uts", "--ipc"]
        return ["nsenter", "--target", "\(mark.number)"] + spaces + ["--"] + arguments
    }

    /// Runs a program inside the machine to its end.
    public func run(
        _ arguments: [String], limit: Interval = .seconds(30), environment: [String: String] = [:]
    ) throws(LabError) -> ChildProcess.Outcome {
        try ChildProcess.run(try inside(arguments), limit: limit, environment: environment)
    }

    /// Starts a program inside the machine that goes on when this command has ended.
    public func launch(
        _ arguments: [String], log: String, environment: [String: String] = [:]
    ) throws(LabError) -> LabProgram {
        let entrance = try ChildProcess.start(
            try inside(arguments), output: .file(log), environment: environment)
        return LabProgram(entrance: entrance)
    }

    /// The processes inside, the first one not counted, by the program that they run.
    public func processes(running program: String) -> [Int32] {
        guard let mark = first else { return [] }
        return ProcessTable.sharing(namespaceOf: mark.number).filter {
            $0 != mark.number && ProcessTable.program(of: $0) == program
        }
    }

    /// The processes outside that wait for a program inside.
    var entrances: [Int32] {
        guard let mark = first else { return [] }
        let inside = Set(ProcessTable.sharing(namespaceOf: mark.number))
        let parents = Set(inside.subtracting([mark.number]).compactMap { ProcessTable.status($0)?.parent })
        return parents.subtracting(inside).filter {
            $0 > 1 && ProcessTable.program(of: $0)?.hasSuffix("/nsenter") == true
        }
    }

    /// The loop devices whose backing file lies on a file system mounted in this machine alone.
    var loopDevices: [String] {
        guard let mark = first, let mounts = TextFile.read("/proc/\(mark.number)/mountinfo") else {
            return []
        }
        let devices = Set(
            mounts.split(separator: "\n").filter { $0.contains(" - fuse") }.compactMap { line -> UInt64? in
                let fields = line.split(separator: " ")
                guard fields.count > 2 else { return nil }
                let parts = fields[2].split(separator: ":").compactMap { UInt64($0) }
                return parts.count == 2 ? parts[0] << 8 | parts[1] & 0xFF | (parts[1] & ~0xFF) << 12 : nil
            })
        return Self.attachedLoops().filter { devices.contains($0.device) }.map(\.path)
    }

    static func attachedLoops() -> [(path: String, device: UInt64)] {
        TextFile.names(in: "/sys/block").filter { $0.hasPrefix("loop") }.compactMap { name in
            guard TextFile.read("/sys/block/\(name)/loop/backing_file") != nil else { return nil }
            let file = clinux_open("/dev/" + name, O_RDONLY | O_CLOEXEC, 0)
            guard file >= 0 else { return nil }
            defer { close(file) }
            var device: UInt64 = 0
            var inode: UInt64 = 0
            guard clinux_loop_flags(file, &device, &inode) >= 0 else { return nil }
            return ("/dev/" + name, device)
        }
    }

    private static func detach(_ loop: String) {
        let file = clinux_open(loop, O_RDONLY | O_CLOEXEC, 0)
        guard file >= 0 else { return }
        _ = clinux_loop_clear(file)
        close(file)
    }
}

/// A program started inside a machine, seen from outside.
public struct LabProgram: Sendable {
    /// The process that entered the machine and waits for the program.
    public let entrance: Int32

    /// The program's own process, as the host numbers it; nil before it runs and after it has ended.
    public var process: Int32? { ProcessTable.children(of: entrance).first }

    /// Its exit status, nil while it runs. Only the process that launched it may ask.
    public var ended: Int32? { ChildProcess.ended(entrance) }

    /// Sends the program a signal.
    public func signal(_ signal: Int32) {
        if let process { Glibc.kill(process, signal) }
    }

    /// Waits for its end; nil at the deadline.
    public func wait(_ limit: Interval) -> Int32? { LabClock.wait(limit) { ended } }
}
