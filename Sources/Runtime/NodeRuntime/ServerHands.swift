import Basics
import ControlPlane
import Failover
import Glibc
import HostServices
import LinuxSystem
import Netlink
import Settings

/// How the effects on the kernel's NFS server are done; it blocks, on the performer's thread or the keeper's.
struct ServerHands {
    let settings: Settings
    let group: Settings.Group
    let runner = CommandRunner()
    var list = ClientList()
    /// The connections of the old holder, and how many times more they are tickled.
    var known: [TCPConnection] = []
    var tickles = 0
    /// What is served, from the start of the server on.
    var served: ExportTarget?
    /// What clients held of the old server, and who has it again; nil while there is no grace period.
    var grace: (watch: GraceWatch, since: Instant)?
    var holdings = HoldingsList()
    /// Whose names are to be in the records; nil where the kernel writes down everybody by itself.
    var recording: RecordWatch?
    /// What was said of records that could not be written.
    var recordTrouble: String?

    init(_ settings: Settings, _ group: Settings.Group) {
        self.settings = settings
        self.group = group
    }

    static let limit = Interval.seconds(15)

    /// Says that the server which runs is ours: what it finds without this is somebody else's.
    private var mark: String { "\(settings.runDirectory)/nfsd-is-ours" }

    func records(_ export: ExportTarget) -> ClientRecords {
        ClientRecords(directory: export.records, pipes: "\(settings.runDirectory)/rpc_pipefs")
    }

    private func published(_ export: ExportTarget) -> FileExport {
        FileExport(
            path: export.path, clients: export.clients, options: export.options,
            identifier: export.fileSystemIdentifier)
    }

    /// For what answers the kernel where no rpcbind does.
    private var mapper: String { "\(settings.runDirectory)/port-mapper" }

    /// Ends the server; nothing when none runs.
    func stop() throws(SystemError) { try FileServer.stop(mapper: mapper) }

    // MARK: before and after

    /// What may be ready long before this node serves; a sentence when it cannot be, nil when all is well.
    func prepare() -> String? {
        do throws(SystemError) {
            if let trouble = try openKernel() { return trouble }
            guard let export = NodeContext.exportTarget(settings, group) else { return nil }
            if let trouble = try startMountd(export) { return trouble }
            if let trouble = FileServer.trouble(mapper: mapper) { return trouble }
            if let trouble = try makeRoom(export) { return trouble }
            if export.recordsReclaims, CommandRunner.find(ClientRecords.editor) == nil {
                return "\(ClientRecords.editor) is missing, which records clients of NFS 4.0: install it"
            }
            // What is exported must be there; it is not served before something is mounted on it.
            try FileTree.makeDirectory(export.path, mode: 0o755)
            let result = try published(export).publish(runner, deadline: Self.limit)
            return result.isSuccess ? nil : result.summary
        } catch {
            return "\(error)"
        }
    }

    private func openKernel() throws(SystemError) -> String? {
        do throws(SystemError) { try FileServer.openFiles() } catch {
            guard error.code == ENODEV else { throw error }
            let loaded = try runner.run(["modprobe", "nfsd"], deadline: Self.limit)
            guard loaded.isSuccess else { return "this kernel has no NFS server: \(loaded.summary)" }
            try FileServer.openFiles()
        }
        let pipes = "\(settings.runDirectory)/rpc_pipefs"
        try FileTree.makeDirectory(pipes, mode: 0o755)
        try ClientRecords(directory: "", pipes: pipes).openPipes()
        return nil
    }

    private func startMountd(_ export: ExportTarget) throws(SystemError) -> String? {
        do throws(SystemError) {
            if export.hasLockRecords {
                let mapper = try LockRecords.startPortMapper(runner, deadline: Self.limit)
                if let mapper, !mapper.isSuccess { return mapper.summary }
            }
            let result = try FileExport.startMountd(
                runner, servesVersion3: export.hasLockRecords, deadline: Self.limit)
            guard let result else { return nil }
            return result.isSuccess ? nil : result.summary
        } catch {
            guard error.code == ENOENT else { throw error }
            return "rpc.mountd or rpcbind is missing: install nfs-kernel-server"
        }
    }

    /// Ends what a predecessor left of ours; a sentence for another's server on this machine: there can be one only.
    private func makeRoom(_ export: ExportTarget) throws(SystemError) -> String? {
        let advice =
            "end it, as with `systemctl disable --now nfs-server nfsdcld rpc-statd`: there is one for a machine"
        if access(mark, F_OK) != 0, try FileServer.threads() > 0 {
            return "an NFS server that is not Tandem's runs on this machine; \(advice)"
        }
        if let process = try records(export).clear(within: .seconds(4)) {
            return "an nfsdcld that is not Tandem's runs on this machine (process \(process)); \(advice)"
        }
        let locks = LockRecords(directory: export.lockRecords)
        guard export.hasLockRecords, let process = try locks.clear(within: .seconds(4)) else { return nil }
        return "an rpc.statd that is not Tandem's runs on this machine (process \(process)); \(advice)"
    }

    /// Removes what a dead worker left of an NFS server; gives what cannot be removed.
    func removeRemains(_ export: ExportTarget) -> [String] {
        var left: [String] = []
        func attempt(_ what: String, _ body: () throws(SystemError) -> Void) {
            do throws(SystemError) { try body() } catch { left.append("\(what) (\(error))") }
        }
        if access(mark, F_OK) == 0 {
            attempt("nfsd") { () throws(SystemError) in try stop() }
            attempt("the export of \(export.path)") { () throws(SystemError) in try FileExport.flush() }
        }
        attempt("rpc.statd") { () throws(SystemError) in
            try LockRecords(directory: export.lockRecords).stop(within: .seconds(4))
        }
        attempt("nfsdcld") { () throws(SystemError) in try records(export).stop(within: .seconds(4)) }
        if left.isEmpty { _ = unlink(mark) }
        return left
    }

    // MARK: effects

    mutating func startRecords(_ export: ExportTarget) throws(SystemError) -> StepFailure? {
        // The volume is mounted anew: another node may have written the list since.
        list = ClientList()
        holdings = HoldingsList()
        if let trouble = try openKernel() { return .failed(trouble) }
        if let trouble = try makeRoom(export) { return .failed(trouble) }
        let state = group.mount.map { NodeContext.stateOnVolume($0) } ?? export.records
        for directory in [state, export.records] { try FileTree.makeDirectory(directory, mode: 0o755) }
        // statd does not run as root, and reaches its directory through this one.
        guard chmod(state, export.hasLockRecords ? 0o711 : 0o700) == 0, chmod(export.records, 0o700) == 0
        else {
            throw SystemError(operation: "chmod", subject: state, code: errno)
        }
        try FileTree.replace(mark, with: [])
        let started = try records(export).start(runner, deadline: Self.limit)
        return started.isSuccess ? nil : .failed(started.summary)
    }

    func stopRecords(_ export: ExportTarget) throws(SystemError) {
        try records(export).stop(within: .seconds(10))
        guard unlink(mark) == 0 || errno == ENOENT else {
            throw SystemError(operation: "unlink", subject: mark, code: errno)
        }
    }

    func startLockRecords(_ export: ExportTarget) throws(SystemError) -> StepFailure? {
        let locks = LockRecords(directory: export.lockRecords)
        try locks.make()
        try LockRecords.prepareKernel(grace: FileServer.shortLease)
        let started = try locks.start(runner, deadline: Self.limit)
        return started.isSuccess ? nil : .failed(started.summary)
    }

    func stopLockRecords(_ export: ExportTarget) throws(SystemError) {
        try LockRecords(directory: export.lockRecords).stop(within: .seconds(10))
    }

    func publish(_ export: ExportTarget, cancel: Int32) throws(SystemError) -> StepFailure? {
        if let trouble = try startMountd(export) { return .failed(trouble) }
        let published = published(export)
        if published.isPublished { return nil }
        let result = try published.publish(runner, deadline: Self.limit, cancel: cancel)
        return result.isSuccess ? nil : .failed(result.summary)
    }

    /// Takes it out of the table of exports: this node will not serve.
    func unpublish() throws(SystemError) {
        guard let export = NodeContext.exportTarget(settings, group) else { return }
        _ = try published(export).withdraw(runner, deadline: Self.limit)
    }

    mutating func start(_ export: ExportTarget) throws(SystemError) -> StepFailure? {
        let records = records(export)
        let before = records.content()
        let old = recorded(by: export)
        let lease = export.hasShortGrace ? FileServer.shortLease : FileServer.lease
        try FileServer.start(
            scope: export.scope, versions: Set(export.versions.map(\.rawValue)), lease: lease,
            mapper: mapper)
        served = export
        recording = export.recordsReclaims ? RecordWatch(lease: lease) : nil
        recordTrouble = nil
        grace = (GraceWatch(recorded: old, at: .now()), .now())
        // Version 3 alone has no records of this kind.
        guard export.versions != [.three] else { return nil }
        // A kernel that does not find nfsdcld would keep its records elsewhere, and clients would lose their locks.
        let end = Instant.now() + .seconds(3)
        while records.content() == before {
            guard Instant.now() < end else {
                return .failed("nfsd runs and does not keep its client records with nfsdcld")
            }
            var poll = PollSet()
            try poll.wait(until: .now() + .milliseconds(10))
        }
        return nil
    }
}
