import Basics
import Glibc

/// Runs every case of the case file as live traffic against ours, HAProxy and nginx, and prints where they differ.
public struct ProxyCases {
    private let cases: [ProxyCase]
    private let place: String
    private let product: String
    private var proof = ProxyProof()
    private var table: ProxyCaseTable
    private static let ports = (proxy: 18380, origin: 18390)

    /// `file` is the case file's text; `place` an empty directory.
    public init(file: String, place: String, product: String) {
        cases = ProxyCase.read(file)
        (self.place, self.product) = (place, product)
        table = ProxyCaseTable(cases: cases)
    }

    /// Runs all cases; only ours can fail. `name` selects cases by a part of their name, and then each is shown.
    public mutating func run(only name: String) throws(LabError) -> ProxyProof {
        try TextFile.makeDirectory(place)
        let made = try ChildProcess.run([product, "secret", "--out", place + "/secret"])
        guard made.status == 0 else { throw LabError("tandem secret: \(made.output)") }
        for (index, program) in ProxyBenchProgram.allCases.enumerated() {
            let peer = ProxyCasePeer(
                program: program, port: Self.ports.proxy + index, origin: Self.ports.origin + index,
                place: place)
            try run(peer, name)
        }
        if name.isEmpty { ProxyProof.say(table.text) }
        return proof
    }

    /// The page of the last run, as Docs has it.
    public var page: String { table.page }

    private mutating func run(_ peer: ProxyCasePeer, _ name: String) throws(LabError) {
        let isOurs = peer.program == .tandem
        if let command = peer.versionCommand {
            let found = try ChildProcess.run(["sh", "-c", "command -v \(command[0])"])
            guard found.status == 0 else {
                proof.skip(
                    "\(command[0]): \(command[0]) is not installed, so cases are not run against it: run `apt-get install"
                        + " \(command[0])`, and stop and disable the service that Debian starts with it")
                return
            }
            let version = try ChildProcess.run(command).output.split(separator: "\n").first.map(String.init)
            table.begin(peer.name, version: Self.number(version ?? ""))
        } else {
            table.begin(peer.name, version: "")
        }
        let listener = try LabSocket.listen(on: peer.origin)
        let process = try raise(peer)
        defer { lower(process) }
        for (index, entry) in cases.enumerated() where name.isEmpty || entry.name.contains(name) {
            let record = try ProxyCaseRun(entry, proxy: peer.port, origin: listener).run()
            let verdict = ProxyCaseVerdict(entry, record, strictly: isOurs)
            table.add(verdict, index, of: peer.name)
            if isOurs { proof.add(passed: verdict.agrees ? 1 : 0, failed: verdict.agrees ? 0 : 1) }
            if !name.isEmpty || isOurs && !verdict.agrees {
                ProxyProof.say(
                    "\(verdict.agrees ? "ok" : "differs") \(peer.name): \(entry.part): \(entry.name)\n"
                        + "  expected \(verdict.expected)\n  seen     \(verdict.actual)")
            }
            if !name.isEmpty {
                for bytes in record.origin { ProxyProof.say("  origin   \(ProxyCase.escape(bytes))") }
                ProxyProof.say("  client   \(ProxyCase.escape(record.client)) \(record.clientEnd)")
            }
            guard process.lives else { throw LabError("\(peer.name) died in the case '\(entry.name)'") }
        }
    }

    /// "nginx version: nginx/1.22.1", "HAProxy version 2.6.12-1+deb12u4 2026/01/01 - ...".
    private static func number(_ text: String) -> String {
        let words = text.split { $0 == " " || $0 == "/" }
        return words.first { $0.first?.isNumber == true }.map(String.init) ?? text
    }

    private func raise(_ peer: ProxyCasePeer) throws(LabError) -> ProcessMark {
        let file = "\(place)/\(peer.program.rawValue).settings"
        let log = "\(place)/\(peer.program.rawValue).log"
        try TextFile.write(peer.settings, to: file)
        let number = try ChildProcess.start(
            peer.command(product: product, settings: file), output: .file(log))
        guard let process = ProcessMark(number) else {
            throw LabError("\(peer.name) ended at once: \(TextFile.read(log) ?? "")")
        }
        let listens: Bool? = try LabClock.wait(.seconds(15)) { () throws(LabError) -> Bool? in
            guard process.lives else { return false }
            let probe = try LabSocket.connect(to: peer.port)
            LabSocket.wait([(probe, true)], .milliseconds(100))
            return probe.write(Array("\r\n".utf8)[...]) == 2 ? true : nil
        }
        guard listens == true else {
            lower(process)
            throw LabError("\(peer.name) does not listen: \(TextFile.read(log) ?? "")")
        }
        return process
    }

    private func lower(_ process: ProcessMark) {
        process.signal(SIGTERM)
        let ended: Int32? = LabClock.wait(.seconds(5)) { () -> Int32? in ChildProcess.ended(process.number) }
        guard ended == nil else { return }
        process.signal(SIGKILL)
        _ = ChildProcess.reap(process.number)
    }
}
